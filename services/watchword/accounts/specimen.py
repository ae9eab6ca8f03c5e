"""The message of a test: words that say so, or a template's as a phone would receive it. Pure."""

import re
from collections.abc import Collection
from datetime import datetime
from typing import Final

from msgspec.structs import replace

from watchword.gateways.contract import Account, Message
from watchword.kernel import dlt
from watchword.kernel.template import Template, Wording, filled, wording_for

LIFE_S: Final = 300
NO_CODE: Final = "000000"
INDIA: Final = "+91"
# What a caller might have written.
_CALLERS = {"amount": "1.00 INR", "payee": "Test"}
_NUMBER = re.compile(r"\+[1-9][0-9]{6,14}")


class CannotTest(ValueError):
    """Why no message can be made; the words are for the operator, and end in what to do."""


def number_of(text: str) -> str:
    """`text` if it is a number to send to. Raises CannotTest."""
    if not _NUMBER.fullmatch(text):
        raise CannotTest("a number is + and 7 to 15 digits, such as +447400123456")
    return text


def template_of(name: str, templates: Collection[Template]) -> Template:
    """The template called `name`, by id or tenant/id. Raises CannotTest for none and for several."""
    found = [each for each in templates if name in (each.id, _full(each))]
    if len(found) == 1:
        return found[0]
    there = ", ".join(sorted(_full(each) for each in found or templates)) or "none"
    if found:
        raise CannotTest(f"several tenants have a template {name}: say which of {there}")
    raise CannotTest(f"there is no template {name}; there are {there}")


def message_to(
    to: str, account: Account, template: Template | None, *, client_ref: str, at: datetime, unregistered: bool = False
) -> Message:
    """The message to `to` by `account`: the text of `template` with a code that is none, its registration with it where
    `to` is in India. `unregistered` lets one go there without, for a provider that adds it. Raises CannotTest."""
    message = Message(
        client_ref=client_ref,
        to=to,
        text=f"{NO_CODE} is not a code: this is a test.",
        sender="",
        life_s=LIFE_S,
        at=at,
        variables={"code": NO_CODE, "template": template.id if template else ""},
        template=_full(template) if template else "",
    )
    in_india = to.startswith(INDIA)
    if template is not None:
        wording = wording_for(template, template.default_locale, dlt.COUNTRY if in_india else "")
        message = _worded(message, template, wording, account)
    if in_india and not message.dlt_template_id and not unregistered:
        raise CannotTest(_nothing_registered(template))
    return message


def _worded(message: Message, template: Template, wording: Wording, account: Account) -> Message:
    text = filled(template, wording.text, NO_CODE, _CALLERS, LIFE_S)
    if not wording.dlt_template_id:
        return replace(message, text=text)
    if not dlt.matches(wording.dlt_text, text):
        raise CannotTest(
            f"{_full(template)} in {wording.locale}, filled for a test, is not the text that is registered: "
            "correct its texts or its [templates.dlt]"
        )
    chain = account.dlt_telemarketers
    return replace(
        message,
        text=text,
        sender=wording.dlt_header,
        dlt_entity_id=wording.dlt_entity_id,
        dlt_template_id=wording.dlt_template_id,
        dlt_telemarketers=",".join(chain),
        dlt_chain_hash=dlt.chain_hash(wording.dlt_entity_id, chain),
    )


def _nothing_registered(template: Template | None) -> str:
    why = "operators in India drop a text that is not registered: "
    mend = "name one that is with --template, or say --unregistered where the provider adds the registration"
    if template is None:
        return why + mend
    return f"{why}{_full(template)} has no [templates.dlt] for the locale it is written in; {mend}"


def _full(template: Template) -> str:
    return f"{template.tenant}/{template.id}"
