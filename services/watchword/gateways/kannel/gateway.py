"""Kannel's smsbox: `sendsms` of a gateway of one's own.

What it calls and what its words mean: README.md and gateway.toml beside this file.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from urllib.parse import unquote_to_bytes

from watchword.gateways import facts, forms, judging, links, reading, writing
from watchword.gateways.contract import Account, Callback, Message, Receipt, Request, Resend
from watchword.gateways.outcome import Outcome, OutcomeClass
from watchword.gateways.reasons import network_code
from watchword.kernel import gsm7

FACTS = facts.load(Path(__file__).parent)
LIMITS = FACTS.limits
EVERY_REPORT = "31"
REPORTED = "&type=%d&id=%F&meta=%D"  # what smsbox fills in; never %a or %A, which hold the text and so the code
_TAKEN = re.compile(r"(0: Accepted for delivery|3: Queued for later delivery)\s*")
SMPP = "?smpp?"
# Names of groups, and what they are where the account does not say.
GROUPS = {
    "dlt_entity_tlv": "dlt_entity_id",
    "dlt_template_tlv": "dlt_template_id",
    "dlt_chain_tlv": "dlt_chain_hash",
    "dlt_telemarketers_tlv": "",
}
_ERROR = re.compile(r"[?&]dlr_err=([^&?]{1,9})(?![^&?])")
_GROUP = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_METADATA = re.compile(r"(\?[A-Za-z0-9_.-]{1,64}\?[\x21-\x3e\x40-\x7e]{0,500}){1,4}")


class Kannel:
    """`GET {url}/cgi-bin/sendsms` and back. smsbox reads forms only from the query string."""

    name: str = FACTS.name
    resend: Resend = FACTS.resend

    def encode(self, message: Message, account: Account) -> Request:
        """The request that sends `message`. Raises ValueError, naming it, for a wrong url, option or secret."""
        writing.fitting(account, FACTS.account)
        address = links.proving(account, message.client_ref)
        fields = {
            "username": account.options["username"],
            "password": account.secrets["token"],
            "smsc": account.options.get("smsc", ""),
            "from": message.sender or account.sender,
            "to": message.to,
            "charset": "UTF-8",
            "coding": "0" if gsm7.size(message.text).encoding == "gsm7" else "2",
            "validity": str(writing.life_min(message)),
            "dlr-mask": EVERY_REPORT if address else "",
            "dlr-url": address and address + REPORTED,
            "meta-data": _metadata(message, account),
            "text": message.text,
        }
        asked = forms.written(fields).decode("ascii")
        return Request("GET", f"{writing.callable_url(account.url)}/cgi-bin/sendsms?{asked}", {}, b"")

    def decode(self, status: int, headers: Mapping[str, str], body: bytes, account: Account) -> Outcome:
        """What the answer to a send means: a line it says when it has taken a message, else a sentence or a status.
        It gives no id: receipts find the message by the address they come to."""
        text = reading.text_of(body, LIMITS.answer_bytes_max)
        if 200 <= status < 300 and _TAKEN.fullmatch(text):
            return Outcome(OutcomeClass.ACCEPTED, raw_code=str(status))
        word = reading.word(text.strip().rstrip("."))
        known = word.lower() in FACTS.errors
        return judging.judge(FACTS, status, headers, word=word if known else "")

    def receipts(self, callback: Callback, account: Account) -> list[Receipt]:
        """The one report in the address. Raises ValueError where it holds none."""
        told = forms.told(callback, LIMITS.callback_bytes_max)
        report = judging.report(
            FACTS,
            account,
            word=reading.word(told.get("type")),
            code=_code(told.get("meta", "")),
            client_ref=links.reference_of(callback),
            provider_id=reading.reference(told.get("id")),
        )
        return [report]

    def verify(self, callback: Callback, account: Account, now: datetime) -> bool:
        """Whether the callback came to an address that we made."""
        return links.believed(callback, account)


def _metadata(message: Message, account: Account) -> str:
    """The account's own meta-data with the ids India asks for as SMPP parameters, by the names of Kannel's `smpp-tlv`
    groups. Raises ValueError, naming the option, where it is of another form than Kannel reads."""
    own = account.options.get("meta_data", "")
    if own and not _METADATA.fullmatch(own):
        raise ValueError("meta_data: must be ?smpp?name=value&name=value, percent-encoded")
    told = "&".join(f"{name}={value}" for name, value in _registered(message, account) if value)
    if not told:
        return own
    before, _, parameters = own.partition(SMPP)
    between = "&" if parameters and not parameters.startswith("?") else ""
    return f"{before}{SMPP}{told}{between}{parameters}"


def _code(metadata: str) -> str:
    """The network's code in the meta-data of a report, "" where it holds none: octets, percent-encoded."""
    told = _ERROR.search(metadata)
    return network_code(unquote_to_bytes(told[1].replace("+", " "))) if told else ""


def _registered(message: Message, account: Account) -> list[tuple[str, str]]:
    """The name of each group and what is registered of the message. The chain goes as its hash, and as its ids where
    the account names a group for them: Kannel complains of every name that it has no group for."""
    names = {option: account.options.get(option, default) for option, default in GROUPS.items()}
    for option, name in names.items():
        if name and not _GROUP.fullmatch(name):
            raise ValueError(f"{option}: must be the name of an smpp-tlv group: letters, digits, _ . -")
    told = {
        "dlt_entity_tlv": message.dlt_entity_id,
        "dlt_template_tlv": message.dlt_template_id,
        "dlt_chain_tlv": message.dlt_chain_hash,
        "dlt_telemarketers_tlv": message.dlt_telemarketers,
    }
    return [(name, told[option]) for option, name in names.items() if name]
