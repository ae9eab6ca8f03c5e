"""Whether a template is fit to be sent, looked at once when it is applied: at its longest, in every locale."""

import re
from collections.abc import Iterator

from watchword.kernel import dlt
from watchword.kernel.dlt import Dlt
from watchword.kernel.gsm7 import GSM7, UCS2, size
from watchword.kernel.template import CALLERS, PLACEHOLDER, PLACEHOLDERS, Kind, Template, Variable, filled
from watchword.kernel.typography import outsiders, plain, replacements

# Whatever its policies say, a request may name any template of its tenant, and a caller may bring a code this long.
_LONGEST_CODE = "0" * 10
TTL_MAX_S = 600
RETRIEVER_BYTES_MAX = 140

_LONGEST: dict[Kind, str] = {Kind.NUMERIC: "0", Kind.ALPHANUMERIC: "x", Kind.MONEY: "9", Kind.TEXT: "\u0436"}
_MAY_BE_DIGITS = re.compile(r"[0-9]|\{(?:minutes|amount|payee|host)\}")
_LINK = re.compile(r"://|www\.|\b[a-z0-9-]+\.(?:com|net|org|io|me|ly|co|app|link|info|in|uk)/", re.IGNORECASE)


def complaints(template: Template) -> list[str]:
    """What makes the template unfit to send, in sentences that name the mend; [] if nothing does."""
    found = [] if template.texts else ["has no texts"]
    if template.default_locale and template.default_locale not in template.texts:
        found.append(f"default_locale {template.default_locale!r} is none of its texts: add it, or name one of them")
    found += [
        f"variables.{name} is nothing that callers fill: name one of {', '.join(sorted(CALLERS))}"
        for name in template.variables
        if name not in CALLERS
    ]
    for locale, text in template.texts.items():
        faults = _faults(text, template)
        faults += [] if faults else _too_long(text, template)
        found += [f"text {locale!r} {fault}" for fault in faults]
    if template.dlt is not None:
        found += _unregistered(template, template.dlt)
    return found


def warnings(template: Template) -> list[str]:
    """What makes the template dearer than need be, or other than it was written."""
    found = []
    for locale, text in template.texts.items():
        if template.smart_replacement and (replaced := replacements(text)):
            found.append(f"text {locale!r} is sent with plain marks, which fit into gsm7: {', '.join(replaced)}")
        told = size(_longest(text, template))
        if told.encoding != GSM7.name or told.segments > 1:
            why = outsiders(plain(text) if template.smart_replacement else text) or ["what callers may fill in"]
            by = f", because of {' '.join(why)}" if told.encoding != GSM7.name else ""
            found.append(
                f"text {locale!r} is sent as {told.segments} part(s) of {told.encoding}{by}; one of gsm7 is best"
            )
    return found


def _longest(text: str, template: Template) -> str:
    """The message with every value at its longest, in the alphabet that takes most."""
    told = {name: _value(template.variable(name)) for name in CALLERS}
    return filled(template, text, _LONGEST_CODE, told, TTL_MAX_S)


def _value(variable: Variable) -> str:
    return _LONGEST[variable.kind] * variable.length_max


def _too_long(text: str, template: Template) -> list[str]:
    longest = _longest(text, template)
    told = size(longest)
    faults = []
    if told.segments > template.segments_max:
        room = GSM7 if told.encoding == GSM7.name else UCS2
        over = told.units - (room.single if template.segments_max == 1 else room.part * template.segments_max)
        faults.append(
            f"takes {told.segments} parts of {told.encoding} at its longest ({told.units} units): shorten it by {over} "
            f"units, or allow it with segments_max = {told.segments}"
        )
    if template.autofill.android_hash and (length := len(longest.encode())) > RETRIEVER_BYTES_MAX:
        faults.append(
            f"is {length} bytes long, and Android reads the hash in {RETRIEVER_BYTES_MAX} at most: shorten it by "
            f"{length - RETRIEVER_BYTES_MAX}, or take out autofill.android_hash"
        )
    return faults


def _faults(text: str, template: Template) -> list[str]:
    faults = []
    names = PLACEHOLDER.findall(text)
    if unknown := sorted({name for name in names if name not in PLACEHOLDERS}):
        faults.append(f"has unknown placeholders: {', '.join(unknown)}; there are {', '.join(sorted(PLACEHOLDERS))}")
    if set(PLACEHOLDER.sub("", text)) & {"{", "}"}:
        faults.append("has an unpaired brace")
    if names.count("code") != 1:
        faults.append("must hold {code} exactly once")
    before = text.partition("{code}")[0].replace("{brand}", template.brand)
    if _MAY_BE_DIGITS.search(before):
        faults.append("must show no digits before {code}, phones offer the first they see")
    if _LINK.search(text):
        faults.append("must hold no link, people learn to distrust messages that do")
    return faults


def _unregistered(template: Template, registration: Dlt) -> Iterator[str]:
    """What would be dropped in India: texts that are not as they were registered."""
    for locale, registered in registration.registered.items():
        where = f"dlt.registered.{locale}"
        if locale not in template.texts:
            yield f"{where} belongs to no text: add the text, or take it out"
            continue
        if faults := dlt.complaints(registration, registered):
            yield from (f"{where} {fault}" for fault in faults)
            continue
        text = template.texts[locale]
        told = {name: _LONGEST[template.variable(name).kind].replace("\u0436", "x") for name in CALLERS}
        shortest = filled(template, text, "0" * 4, told, 120)
        longest = _longest(text, template).replace("\u0436", "x")
        if not all(dlt.matches(registered.text, message) for message in (shortest, longest)):
            yield (
                f"{where} does not match text {locale!r}, which would be sent as {longest!r}: make the two agree "
                "letter by letter, register a variable where it differs, or narrow what callers fill in by variables"
            )
