"""Messages to India: what is registered with the operators (TRAI TCCCPR 2018, the directions of 2023-02 and 2025-11),
and whether a message is what was registered. Operators drop what is not; asking here costs nothing.

A registered text has variables in one of two dialects of the portals: `{#var#}` and `##var##`. Untyped ones hold up to
30 characters. Since 2025-11 every variable is to be tagged with its type, in the text or beside it.
"""

import difflib
import hashlib
import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from functools import lru_cache
from itertools import pairwise
from typing import Annotated

from msgspec import Meta

from watchword.kernel.document import Document

COUNTRY = "IN"
VARIABLES_MAX = 2
FIXED_MIN = 0.30

DltId = Annotated[str, Meta(pattern=r"^[0-9]{12,20}\Z")]

_VARIABLE = re.compile(r"\{#([A-Za-z0-9_]{1,32})#\}|##([A-Za-z0-9_]{1,32})##")
_TYPES: Mapping[str, str] = {
    "var": r"[^\r\n]{1,30}",
    "numeric": r"[0-9]{1,40}",
    "number": r"[0-9]{1,40}",
    "alphanumeric": r"[A-Za-z0-9]{1,40}",
    "url": r"\S{1,200}",
    "urlott": r"\S{1,200}",
    "cbn": r"\+?[0-9]{3,15}",
    "email": r"[^\s@]{1,64}@[^\s@]{1,255}",
}
_NEIGHBOURS = re.compile(r"[\s\W_]*")


class Category(StrEnum):
    """What the operators call the kind of message. Codes of banks are transactional, those of others implicit."""

    TRANSACTIONAL = "transactional"
    SERVICE_IMPLICIT = "service_implicit"
    SERVICE_EXPLICIT = "service_explicit"


class Registered(Document, frozen=True, kw_only=True):
    """One registered text, as the portal shows it."""

    template_id: DltId
    text: Annotated[str, Meta(min_length=1, max_length=1_000)]


class Dlt(Document, frozen=True, kw_only=True):
    """What a template is registered as. `header` is the sender: six letters, without the prefix and suffix that the
    network adds. `registered` maps a locale of the template to its registered text. A third variable is allowed only
    where the portal has it recorded why; `third_variable` repeats that reason."""

    entity_id: DltId
    header: Annotated[str, Meta(pattern=r"^[A-Za-z]{6}\Z")]
    category: Category = Category.SERVICE_IMPLICIT
    registered: Annotated[dict[str, Registered], Meta(min_length=1)]
    third_variable: Annotated[str, Meta(max_length=200)] = ""


def matches(registered: str, message: str) -> bool:
    """Whether the message is the registered text with each variable filled as its type allows. A text with more
    variables than any portal allows matches nothing: comparing takes time to the power of their number."""
    pattern = _pattern(_lines(registered))
    return pattern is not None and pattern.fullmatch(_lines(message)) is not None


def complaints(dlt: Dlt, registered: Registered) -> list[str]:
    """What a portal would refuse in the registered text, and what nobody could match, in sentences."""
    text = _lines(registered.text)
    names = [found[1] or found[2] for found in _VARIABLE.finditer(text)]
    faults = [_unknown(name) for name in re.findall(r"\{#(.*?)#\}", text) if name.lower() not in _TYPES]
    allowed = VARIABLES_MAX + bool(dlt.third_variable)
    if len(names) > allowed:
        faults.append(
            f"has {len(names)} variables, {VARIABLES_MAX} are allowed: make the rest fixed text, such as the minutes"
            + ("" if dlt.third_variable else "; for a third say the recorded reason in third_variable")
        )
    if any(_NEIGHBOURS.fullmatch(between) for between in _between(text)):
        faults.append("has variables side by side: put words between them")
    if _fixed_share(text) < FIXED_MIN:
        faults.append(f"is less than {FIXED_MIN:.0%} fixed text: register more of the wording as it is")
    if set(text) & {"<", ">"}:
        faults.append('must hold no "<" or ">": portals refuse them')
    if "  " in text:
        faults.append("has two spaces in a row: operators compare letter by letter, register it with one")
    return faults


def chain_hash(entity_id: str, telemarketers: Sequence[str]) -> str:
    """The hash of the chain from the entity to the telemarketer that delivers: SHA-256 in lower-case hex over the ids
    joined by commas, the entity first. "" where no chain is known."""
    if not telemarketers:
        return ""
    return hashlib.sha256(",".join((entity_id, *telemarketers)).encode()).hexdigest()


@lru_cache(maxsize=1_024)
def _pattern(registered: str) -> re.Pattern[str] | None:
    variables = list(_VARIABLE.finditer(registered))
    if len(variables) > VARIABLES_MAX + 1:
        return None
    pieces, end = [], 0
    for found in variables:
        pieces.append(re.escape(registered[end : found.start()]))
        pieces.append(_TYPES.get((found[1] or found[2]).lower(), _TYPES["var"]))
        end = found.end()
    return re.compile("".join(pieces) + re.escape(registered[end:]))


def _between(text: str) -> list[str]:
    """The fixed text between one variable and the next."""
    found = list(_VARIABLE.finditer(text))
    return [text[one.end() : other.start()] for one, other in pairwise(found)]


def _fixed_share(text: str) -> float:
    fixed = len(_VARIABLE.sub("", text))
    return fixed / max(fixed + sum(len(found[0]) for found in _VARIABLE.finditer(text)), 1)


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name.lower(), list(_TYPES), n=1, cutoff=0.6)
    return f"has an unknown variable {{#{name}#}}" + (f", did you mean {{#{near[0]}#}}?" if near else "")


def _lines(text: str) -> str:
    return text.replace("\r\n", "\n")
