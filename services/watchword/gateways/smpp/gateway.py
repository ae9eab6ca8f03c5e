"""The SMPP gateway: SMPP 3.4 as an ESME. What an account says and what statuses mean: README.md, gateway.toml."""

from pathlib import Path

from watchword.gateways import facts, judging, reading, reasons
from watchword.gateways.contract import Account, Callback, Message, Receipt, Resend
from watchword.gateways.outcome import OutcomeClass
from watchword.gateways.sessions import Endpoint, Session, Submission
from watchword.gateways.smpp import ids, receipt, submit, terms
from watchword.gateways.smpp.pdu import FRAME_BYTES_MAX, HEADER_BYTES, decode
from watchword.gateways.smpp.session import SmppSession
from watchword.gateways.smpp.terms import Terms
from watchword.kernel.verification import ReceiptState

FACTS = facts.load(Path(__file__).parent)
STATUSES = {int(code, 16): kind for code, kind in FACTS.statuses.items()}


class Smpp:
    """Binds and submits. Account secrets: `password`."""

    name: str = FACTS.name
    resend: Resend = FACTS.resend

    def __init__(self) -> None:
        self._terms: dict[str, tuple[Account, Terms]] = {}

    def endpoint(self, account: Account) -> Endpoint:
        """Where to bind, once a role. Raises ValueError naming what is wrong with the account."""
        return self._of(account).endpoint

    def encode(self, message: Message, account: Account) -> Submission:
        """The units that carry `message`. Raises ValueError as `endpoint`, and for what cannot be carried."""
        return submit.submission(message, message.sender or account.sender, self._of(account))

    def session(self, account: Account, role: str) -> Session:
        """A conversation. Raises ValueError as `endpoint` does."""
        agreed = self._of(account)
        return SmppSession(agreed, role, lambda status: judge(status, agreed))

    def receipts(self, callback: Callback, account: Account) -> list[Receipt]:
        """The report in a deliver_sm or data_sm, [] for a message from a phone. Raises ValueError for a frame of
        impossible length and a report without an id."""
        if not HEADER_BYTES <= len(callback.body) <= FRAME_BYTES_MAX:
            raise ValueError("body: not a protocol data unit")
        pdu = decode(callback.body)
        if not receipt.is_report(pdu):
            return []
        told = receipt.told_by(pdu)
        provider_id = ids.of_receipt(told.id, self._of(account).id_format)
        if not provider_id:
            raise ValueError("body: a report without the id of its message")
        state, word = _state(told), reading.word(told.state) or ("" if told.number is None else str(told.number))
        code = reading.word(told.code)
        report = Receipt(
            state=state or ReceiptState.UNKNOWN,
            provider_id=provider_id,
            raw_code=code or word,
            unmapped="" if state else word,
        )
        return [judging.explained(report, FACTS, word=word, code=code, own=reasons.own(account.options, code))]

    def _of(self, account: Account) -> Terms:
        """The terms of an account, which are read once for as long as it stays the same object. Raises ValueError."""
        known = self._terms.get(account.id)
        if known is None or known[0] is not account:
            known = self._terms[account.id] = (account, terms.read(account))
        return known[1]


def judge(status: int, agreed: Terms) -> OutcomeClass:
    """What a command status other than OK means: the account's word, then the table's. One that nobody knows says
    that the message was not taken, which is all that can be relied on."""
    return agreed.statuses.get(status) or STATUSES.get(status, OutcomeClass.TEMPORARY)


def _state(told: receipt.Told) -> ReceiptState | None:
    """By the optional parameter where it is known, else by the word of the text; None where neither is."""
    by_number = FACTS.states.get(str(told.number)) if told.number is not None else None
    return by_number or FACTS.states.get(told.state)
