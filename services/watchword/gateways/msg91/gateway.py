"""MSG91 flows: its own templates, registered with the operators, filled with our code.

What it calls and what its words mean: README.md and gateway.toml beside this file.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from watchword.gateways import facts, forms, judging, links, reading, writing
from watchword.gateways.contract import Account, Callback, Message, Receipt, Request, Resend
from watchword.gateways.outcome import Outcome

FACTS = facts.load(Path(__file__).parent)
LIMITS = FACTS.limits
CODE_VARIABLE = "OTP"
_VARIABLE = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,31}")


class Msg91:
    """`POST {url}/api/v5/flow` and back."""

    name: str = FACTS.name
    resend: Resend = FACTS.resend

    def encode(self, message: Message, account: Account) -> Request:
        """The request that fills MSG91's own template, which stands for the message's, with its code. Raises
        ValueError, naming it, for a wrong url, option or secret, and for a message whose template has none."""
        writing.fitting(account, FACTS.account)
        template_id = account.text_for(message.template)
        if not template_id:
            raise ValueError("templates: must say by which id the provider has the template")
        variable = account.options.get("code_variable", CODE_VARIABLE)
        if not _VARIABLE.fullmatch(variable):
            raise ValueError("code_variable: must be a letter, then letters, digits and _")
        recipient = {
            "mobiles": message.to.removeprefix("+"),
            variable: message.variables.get("code", ""),
            "CRQID": message.client_ref,
        }
        told = {"template_id": template_id, "short_url": "0", "recipients": [recipient]}
        headers = {"authkey": account.secrets["token"], "Content-Type": "application/json"}
        return Request("POST", f"{writing.callable_url(account.url)}/api/v5/flow", headers, orjson.dumps(told))

    def decode(self, status: int, headers: Mapping[str, str], body: bytes, account: Account) -> Outcome:
        """What the answer to a send means. It is 200 for most errors too: `type` tells them apart."""
        answer = reading.object_of(body, LIMITS.answer_bytes_max)
        if reading.word(answer.get("type")) == "success":
            told = answer.get("request_id") or answer.get("message")
            return judging.judge(FACTS, status, headers, provider_id=reading.reference(told))
        word = reading.word(answer.get("code")) or reading.word(answer.get("message"))
        return judging.judge(FACTS, status, headers, word=word)

    def receipts(self, callback: Callback, account: Account) -> list[Receipt]:
        """The reports in the form's `data`, or in JSON, each by itself or grouped by request. Raises ValueError where
        one is none."""
        told = _told(callback)
        rows = reading.all_rows(told if isinstance(told, list) else [told], LIMITS.receipts_max)
        flat = [(row, report) for row in rows for report in _reports(row)]
        reading.all_rows([report for _, report in flat], LIMITS.receipts_max)
        return [_receipt({**row, **report}, account) for row, report in flat]

    def verify(self, callback: Callback, account: Account, now: datetime) -> bool:
        """Whether the callback carries the account's secret, in a header or in the address told to MSG91's panel."""
        return links.believed(callback, account)


def _told(callback: Callback) -> Any:
    value = reading.json_of(callback.body, LIMITS.callback_bytes_max)
    if value is not None:
        return value
    data = forms.one(forms.posted(callback, LIMITS.callback_bytes_max), "data")
    return reading.json_of(data.encode("utf-8", "surrogatepass"), LIMITS.callback_bytes_max)


def _reports(row: Mapping[str, Any]) -> list[Any]:
    """The reports in a group, or the row itself."""
    grouped = row.get("report", [row])
    return grouped if isinstance(grouped, list) else [grouped]


def _receipt(told: Mapping[str, Any], account: Account) -> Receipt:
    ours = reading.reference(told.get("CRQID"))
    return judging.report(
        FACTS,
        account,
        word=reading.word(told.get("status")),
        code=reading.word(told.get("failedReason") or told.get("failureReason")),
        client_ref="" if ours == "0" else ours,
        provider_id=reading.reference(told.get("requestId")),
        network=reading.word(told.get("telecomCircle")),
    )
