"""Twilio Programmable Messaging, API 2010-04-01.

What it calls and what its words mean: README.md and gateway.toml beside this file.
"""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from watchword.gateways import facts, forms, judging, links, proofs, reading, writing
from watchword.gateways.contract import Account, Callback, Conversion, Message, Receipt, Request, Resend
from watchword.gateways.outcome import Outcome

FACTS = facts.load(Path(__file__).parent)
LIMITS = FACTS.limits
LIFE_S = (1, 36_000)
SERVICE = "MG"  # how the id of a messaging service begins, which is told in another field than a sender
SERVICE_CHARS = 34
NO_SUCH_MESSAGE = "20404"
DEFAULT_PORTS = {"https": 443, "http": 80}
ALGORITHMS = {"": "sha1", "HMAC_SHA1": "sha1", "HMAC_SHA256": "sha256"}


class Twilio:
    """`POST {url}/2010-04-01/Accounts/{account_sid}/Messages.json` and back."""

    name: str = FACTS.name
    resend: Resend = FACTS.resend

    def encode(self, message: Message, account: Account) -> Request:
        """The request that sends `message`. Raises ValueError, naming it, for a wrong url, option or secret."""
        writing.fitting(account, FACTS.account)
        sender = message.sender or account.sender
        service = sender.startswith(SERVICE) and len(sender) == SERVICE_CHARS
        fields = {
            "To": message.to,
            "MessagingServiceSid" if service else "From": sender,
            "Body": message.text,
            "ValidityPeriod": str(writing.life_s(message, *LIFE_S)),
            "StatusCallback": links.naming(account, message.client_ref),
            "ProvideFeedback": "true" if account.feedback else "",
        }
        headers = {"Authorization": _authorization(account), "Content-Type": forms.CONTENT_TYPE}
        return Request("POST", f"{_messages(account)}.json", headers, forms.written(fields))

    def decode(self, status: int, headers: Mapping[str, str], body: bytes, account: Account) -> Outcome:
        """What the answer to a send means: an error's `code` decides, then the status."""
        answer = reading.object_of(body, LIMITS.answer_bytes_max)
        word = reading.word(answer.get("code") or answer.get("error_code"))
        return judging.judge(FACTS, status, headers, provider_id=reading.reference(answer.get("sid")), word=word)

    def encode_trace(self, provider_id: str, account: Account) -> Request:
        """The request that asks for the message with that `sid`. Raises ValueError as `encode` does."""
        writing.fitting(account, FACTS.account)
        url = f"{_messages(account)}/{writing.step(provider_id)}.json"
        return Request("GET", url, {"Authorization": _authorization(account)}, b"")

    def decode_trace(self, status: int, headers: Mapping[str, str], body: bytes, account: Account) -> Outcome | None:
        """ACCEPTED with how far it came, None for a 404 in Twilio's own words, else AMBIGUOUS."""
        answer = reading.object_of(body, LIMITS.answer_bytes_max)
        return judging.traced(
            FACTS,
            account,
            status,
            provider_id=reading.reference(answer.get("sid")) if status == 200 else "",
            word=reading.word(answer.get("status")),
            code=reading.word(answer.get("error_code")),
            absent=status == 404 and reading.word(answer.get("code")) == NO_SUCH_MESSAGE,
        )

    def encode_feedback(self, conversion: Conversion, account: Account) -> Request:
        """The request that says that the code of the message with that `sid` was typed; what is not told is unconfirmed
        there. Raises ValueError as `encode` does."""
        writing.fitting(account, FACTS.account)
        url = f"{_messages(account)}/{writing.step(conversion.provider_id)}/Feedback.json"
        headers = {"Authorization": _authorization(account), "Content-Type": forms.CONTENT_TYPE}
        return Request("POST", url, headers, forms.written({"Outcome": "confirmed"}))

    def decode_feedback(self, status: int, headers: Mapping[str, str], body: bytes, account: Account) -> Outcome:
        """Whether Twilio took it."""
        answer = reading.object_of(body, LIMITS.answer_bytes_max)
        return judging.heard(FACTS, status, headers, word=reading.word(answer.get("code")))

    def receipts(self, callback: Callback, account: Account) -> list[Receipt]:
        """The one report in a form. Raises ValueError where it holds none."""
        told = forms.told(callback, LIMITS.callback_bytes_max)
        report = judging.report(
            FACTS,
            account,
            word=reading.word(told.get("MessageStatus")),
            code=reading.word(told.get("ErrorCode")),
            client_ref=links.reference_of(callback),
            provider_id=reading.reference(told.get("MessageSid")),
        )
        return [report]

    def verify(self, callback: Callback, account: Account, now: datetime) -> bool:
        """`X-Twilio-Signature`: base64 HMAC over the address and each posted field, sorted, written without anything
        between. Twilio signs the address with or without its port, as it pleases; SHA-1 unless it says otherwise."""
        secret = proofs.secret_of(account)
        algorithm = ALGORITHMS.get(_algorithm(callback.headers))
        try:
            posted = forms.posted(callback, LIMITS.callback_bytes_max)
            addresses = _addresses(urlsplit(callback.url))
        except ValueError:
            return False
        if not secret or algorithm is None:
            return False
        fields = "".join(f"{name}{value}" for name, value in sorted(set(posted)))
        told = reading.header(callback.headers, "X-Twilio-Signature")
        rights = [
            proofs.mac_base64(secret, (address + fields).encode("utf-8", "surrogatepass"), algorithm)
            for address in addresses
        ]
        return any(proofs.same(told, right) for right in rights)


def _authorization(account: Account) -> str:
    user = account.options.get("key_sid", account.options["account_sid"])
    return writing.basic(user, account.secrets["token"])


def _messages(account: Account) -> str:
    sid = writing.step(account.options["account_sid"])
    return f"{writing.callable_url(account.url)}/2010-04-01/Accounts/{sid}/Messages"


def _algorithm(headers: Mapping[str, str]) -> str:
    settings = reading.header(headers, "X-Twilio-Webhooks-Signature-Settings")
    named = [part.partition("=")[2].strip() for part in settings.split(",") if part.strip().startswith("algorithm=")]
    return named[0].upper() if named else ""


def _addresses(url: SplitResult) -> tuple[str, str]:
    """The address without its port, and with it. Raises ValueError where it is none."""
    host = url.netloc.rpartition("@")[2]
    bare = host.rpartition(":")[0] if url.port else host
    port = url.port or DEFAULT_PORTS.get(url.scheme, 0)
    return url._replace(netloc=bare).geturl(), url._replace(netloc=f"{bare}:{port}").geturl()
