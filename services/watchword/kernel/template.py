"""The text a phone receives: the code first, no link, one wording per locale."""

import re
from collections.abc import Mapping

from watchword.kernel.document import Document, Name
from watchword.kernel.gsm7 import size
from watchword.kernel.secret import Code

PLACEHOLDERS = frozenset({"code", "brand", "minutes", "amount", "payee", "host"})
_FALLBACKS = ("en-GB", "en")
_VALUE_MAX = 32
_LONGEST_CODE = "0" * 10

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_MAY_BE_DIGITS = re.compile(r"[0-9]|\{(?:minutes|amount|payee|host)\}")
_LINK = re.compile(r"://|www\.|\b[a-z0-9-]+\.(?:com|net|org|io|me|ly|co|app|link|info|in|uk)/", re.IGNORECASE)
# A caller's own words go into a message that people trust: no line breaks, nothing that phones turn into links.
_NOT_IN_PAYEE = re.compile(r"[^\w &'()+,-]|_")
_NOT_IN_AMOUNT = re.compile(r"[^0-9., A-Z-]")


class Template(Document, frozen=True, kw_only=True):
    """The wording of one message. `texts` maps a locale (BCP 47) to a text with placeholders in braces."""

    id: Name
    tenant: Name
    texts: dict[str, str]
    brand: str = ""
    host: str = ""


def complaints(template: Template) -> list[str]:
    """What makes the template unfit to send, in sentences; [] if nothing does."""
    found = [] if template.texts else ["has no texts"]
    for locale, text in template.texts.items():
        found += [f"text {locale!r} {fault}" for fault in _faults(text, template)]
    return found


def warnings(template: Template) -> list[str]:
    """What makes the template dearer than need be: texts that take more than one GSM 7-bit message."""
    found = []
    for locale, text in template.texts.items():
        told = size(_fill(text, template, _LONGEST_CODE, {"amount": "9" * 12, "payee": "x" * _VALUE_MAX}, ttl_s=600))
        if told.encoding != "gsm7" or told.segments > 1:
            found.append(f"text {locale!r} is sent as {told.segments} part(s) of {told.encoding}, one of gsm7 is best")
    return found


def _faults(text: str, template: Template) -> list[str]:
    faults = []
    names = _PLACEHOLDER.findall(text)
    if unknown := sorted({name for name in names if name not in PLACEHOLDERS}):
        faults.append(f"has unknown placeholders: {', '.join(unknown)}")
    if set(_PLACEHOLDER.sub("", text)) & {"{", "}"}:
        faults.append("has an unpaired brace")
    if names.count("code") != 1:
        faults.append("must hold {code} exactly once")
    before = text.partition("{code}")[0].replace("{brand}", template.brand)
    if _MAY_BE_DIGITS.search(before):
        faults.append("must show no digits before {code}, phones offer the first they see")
    if _LINK.search(text):
        faults.append("must hold no link, people learn to distrust messages that do")
    return faults


def text_for(template: Template, locale: str) -> str:
    """The wording for `locale`: itself, its language alone, en-GB, en, then the first there is."""
    for wanted in (locale, locale.partition("-")[0], *_FALLBACKS):
        if wanted in template.texts:
            return template.texts[wanted]
    return next(iter(template.texts.values()))


def render(template: Template, locale: str, code: Code, binding: Mapping[str, str], ttl_s: int) -> str:
    """The message for one code. `binding` may hold "amount", "currency" and "payee"; the answer holds the code
    in clear, so it is sealed at once and never logged."""
    return _fill(text_for(template, locale), template, code.reveal(), binding, ttl_s)


def _fill(text: str, template: Template, code: str, binding: Mapping[str, str], ttl_s: int) -> str:
    values = {
        "code": code,
        "brand": template.brand,
        "minutes": str(max(1, ttl_s // 60)),  # rounded down: the text never promises more life than there is
        "amount": _NOT_IN_AMOUNT.sub("", f"{binding.get('amount', '')} {binding.get('currency', '')}").strip()[
            :_VALUE_MAX
        ],
        "payee": _NOT_IN_PAYEE.sub("", binding.get("payee", ""))[:_VALUE_MAX],
        "host": template.host,
    }
    return _PLACEHOLDER.sub(lambda found: values.get(found[1], ""), text)
