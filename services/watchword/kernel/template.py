"""The text a phone receives: the code first, no link, one wording per locale.

What makes a template fit to be applied is in `proofreading`; here it is only read and filled.
"""

import re
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta

from watchword.kernel.dlt import COUNTRY as INDIA
from watchword.kernel.dlt import Dlt
from watchword.kernel.document import Document, Name
from watchword.kernel.secret import Code
from watchword.kernel.typography import plain

VALUE_MAX = 32
PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_FALLBACKS = ("en-GB", "en")


class Kind(StrEnum):
    """What a caller's words in a message may be made of; anything else is left out of them."""

    NUMERIC = "numeric"  # ASCII digits
    ALPHANUMERIC = "alphanumeric"  # ASCII letters and digits, with single spaces
    MONEY = "money"  # digits, capitals, spaces and . , -
    TEXT = "text"  # letters of any script, digits, spaces and & ' ( ) + , -


# A caller's own words go into a message that people trust: no line breaks, nothing that phones turn into links.
_NOT_IN: Mapping[Kind, re.Pattern[str]] = {
    Kind.NUMERIC: re.compile(r"[^0-9]"),
    Kind.ALPHANUMERIC: re.compile(r"[^0-9A-Za-z ]"),
    Kind.MONEY: re.compile(r"[^0-9., A-Z-]"),
    Kind.TEXT: re.compile(r"[^\w &'()+,-]|_"),
}


class Variable(Document, frozen=True, kw_only=True):
    """What a caller may write at one placeholder, and how much of it is shown."""

    kind: Kind
    length_max: Annotated[int, Meta(ge=1, le=VALUE_MAX)] = VALUE_MAX

    def cleaned(self, value: str) -> str:
        """The value as far as it may be shown."""
        return _NOT_IN[self.kind].sub("", value).strip()[: self.length_max].rstrip()


# What callers may fill, unless the template narrows it; the other placeholders are filled by us.
CALLERS: Mapping[str, Variable] = {"amount": Variable(kind=Kind.MONEY), "payee": Variable(kind=Kind.TEXT)}
OURS = frozenset({"code", "brand", "minutes", "host"})
PLACEHOLDERS = OURS | CALLERS.keys()


class Autofill(Document, frozen=True, kw_only=True):
    """Lines by which a phone knows for whom a code is. `host` (a domain, without scheme and port) lets Safari and
    Chrome offer the code on that site alone; `android_hash` lets one Android app read the message (SMS Retriever)."""

    host: Annotated[str, Meta(pattern=r"^(([a-z0-9-]{1,63}\.)+[a-z]{2,63})?\Z", max_length=100)] = ""
    android_hash: Annotated[str, Meta(pattern=r"^([A-Za-z0-9+/]{11})?\Z")] = ""

    def lines(self, code: str) -> str:
        """What follows the text, each line with its break before it. The one for browsers must be the last."""
        return "".join(f"\n{line}" for line in (self.android_hash, self.host and f"@{self.host} #{code}") if line)


class Template(Document, frozen=True, kw_only=True):
    """The wording of one message. `texts` maps a locale (BCP 47) to a text with placeholders in braces; who asks for
    another locale gets `default_locale`. `variables` narrows what callers may write. A text that takes more than
    `segments_max` parts at its longest is refused. `smart_replacement` makes typographic marks plain where that
    brings a text into GSM 7-bit. `dlt` is the registration without which India's operators drop the message."""

    id: Name
    tenant: Name
    texts: dict[str, str]
    default_locale: str = ""
    brand: str = ""
    host: str = ""
    variables: dict[str, Variable] = msgspec.field(default_factory=dict)
    autofill: Autofill = Autofill()
    segments_max: Annotated[int, Meta(ge=1, le=10)] = 1
    smart_replacement: bool = True
    dlt: Dlt | None = None

    def variable(self, name: str) -> Variable:
        """What callers may write at placeholder `name`, one of `CALLERS`."""
        return self.variables.get(name, CALLERS[name])


class Wording(msgspec.Struct, frozen=True, kw_only=True):
    """One text of a template, chosen: in which locale it is written, and which registration it must match ("" ids and
    text where there is none to match)."""

    locale: str
    text: str
    dlt_entity_id: str = ""
    dlt_template_id: str = ""
    dlt_header: str = ""
    dlt_text: str = ""


def wording_for(template: Template, locale: str, country: str = "") -> Wording:
    """The wording for a person who asked for `locale`, on a number of `country`. For India only registered texts are
    to be had, if the template has any."""
    if template.dlt is None or country != INDIA:
        chosen = _nearest(template.texts, locale, template.default_locale)
        return Wording(locale=chosen, text=template.texts[chosen])
    registered = [each for each in template.texts if each in template.dlt.registered]
    chosen = _nearest(registered or template.texts, locale, template.default_locale)
    found = template.dlt.registered.get(chosen)
    return Wording(
        locale=chosen,
        text=template.texts[chosen],
        dlt_entity_id=template.dlt.entity_id,
        dlt_template_id=found.template_id if found else "",
        dlt_header=template.dlt.header,
        dlt_text=found.text if found else "",
    )


def render(template: Template, wording: Wording, code: Code, binding: Mapping[str, str], ttl_s: int) -> str:
    """The message for one code. `binding` may hold "amount", "currency" and "payee"; the answer holds the code
    in clear, so it is sealed at once and never logged."""
    told = {}
    if binding:
        money = f"{binding.get('amount', '')} {binding.get('currency', '')}"
        told = {"amount": money, "payee": binding.get("payee", "")}
    return filled(template, wording.text, code.reveal(), told, ttl_s)


def filled(template: Template, text: str, code: str, told: Mapping[str, str], ttl_s: int) -> str:
    """`text` with everything in its place and the lines for autofill behind it. `told` is what callers wrote."""
    values = {
        "code": code,
        "brand": template.brand,
        "minutes": str(max(1, ttl_s // 60)),  # rounded down: the text never promises more life than there is
        "host": template.host,
        **{name: template.variable(name).cleaned(told[name]) for name in CALLERS if told.get(name)},
    }
    body = PLACEHOLDER.sub(lambda found: values.get(found[1], ""), text) + template.autofill.lines(code)
    return plain(body) if template.smart_replacement else body


def _nearest(texts: Iterable[str], locale: str, default: str) -> str:
    """The locale to write in: the one asked for, without its last subtag, and so on (RFC 4647, section 3.4); then the
    template's default, British English, English, and the first there is."""
    there = {each.lower(): each for each in texts}
    subtags = locale.split("-")
    asked = ("-".join(subtags[:length]) for length in range(len(subtags), 0, -1))
    for wanted in (*asked, default, *_FALLBACKS):
        if wanted.lower() in there:
            return there[wanted.lower()]
    return next(iter(there.values()))
