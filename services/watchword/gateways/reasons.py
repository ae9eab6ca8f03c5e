"""Why a message did not arrive: the codes beside a carrier's word, as one of the nine classes.

Codes are data. A gateway's own stand in its gateway.toml; those that many hand on as they hear them stand once, in the
tables beside this file: `gsm`, what networks say of a phone, and `dlt`, what India's operators refuse. An account adds
its carrier's own, or overrules one, by an option.
"""

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

from watchword.gateways.outcome import OutcomeClass

REASON_PREFIX: Final = "reason_"
# What a report may mean: it tells of a message that was taken and did not arrive.
CLASSES: Final[Mapping[str, OutcomeClass]] = {
    kind.value: kind for kind in OutcomeClass if kind not in (OutcomeClass.ACCEPTED, OutcomeClass.AMBIGUOUS)
}
_NETWORK_CODE_OCTETS = 3
_RANGE = re.compile(r"([0-9]{1,6})-([0-9]{1,6})")


def key_of(code: str) -> str:
    """A code as tables have it: in lower case, without the zeros some carriers put before it; "" for no reason."""
    return code.lower().lstrip("0")


def network_code(octets: bytes) -> str:
    """The code in SMPP's network_error_code: a type and two octets, or three digits as some SMSCs send them; "" for
    octets of another number. Total."""
    if len(octets) != _NETWORK_CODE_OCTETS:
        return ""
    return octets.decode("ascii") if octets.isdigit() else f"{int.from_bytes(octets[1:], 'big'):03d}"


def own(options: Mapping[str, str], code: str) -> OutcomeClass | None:
    """What the account says that `code` means, None where it says nothing. Total."""
    return CLASSES.get(options.get(REASON_PREFIX + key_of(code), ""))


def check(option: str, code: str, value: str) -> None:
    """Raise ValueError, naming the option, where what it says of `code` could never be found, or is no class."""
    if not code or key_of(code) != code:
        raise ValueError(f"{option}: the code is written in lower case and without zeros before it, such as 27")
    if value not in CLASSES:
        raise ValueError(f"{option}: must be one of {', '.join(CLASSES)}")


def expanded(table: Mapping[str, Any]) -> dict[str, Any]:
    """`table` with a line for each code of a range such as "600-605"; a code that stands by itself wins."""
    found: dict[str, Any] = {}
    for line, value in table.items():
        if ends := _RANGE.fullmatch(line):
            found |= {str(code): value for code in range(int(ends[1]), int(ends[2]) + 1)}
    return found | {key_of(line): value for line, value in table.items() if not _RANGE.fullmatch(line)}


@cache
def shared(name: str) -> Mapping[str, Any]:
    """The table `name` beside this file, expanded; its values are not checked yet. Raises OSError for no such one."""
    return expanded(tomllib.loads(Path(__file__).with_name(f"reasons_{name}.toml").read_text("utf-8")))
