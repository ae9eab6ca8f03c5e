"""A carrier's callback as the matcher reads it: opened, and taken apart into its reports."""

from collections.abc import Mapping, Sequence

from watchword.events.receipt_received import ReceiptReceived
from watchword.gateways.catalog import ALL
from watchword.gateways.contract import Account, Callback, Receipt
from watchword.receipts.decide import Report
from watchword.runtime import evidence
from watchword.runtime.keyring import Keyring
from watchword.runtime.sealing import SealBroken


class Unreadable(ValueError):
    """Nothing can be made of a callback; the message is a few words without values."""


def callback_of(method: str, url: str, headers: Mapping[str, str], body: bytes) -> Callback:
    """A request as gateways see it. Bytes that are not text (a header may hold any) become "?"."""
    return Callback(method, _text(url), {_text(name): _text(value) for name, value in headers.items()}, body)


def opened(event: ReceiptReceived, keyring: Keyring) -> Callback:
    """The callback in an event. Raises Unreadable."""
    try:
        return evidence.opened(event.sealed, event.account, keyring)
    except SealBroken:
        raise Unreadable("the sealed callback does not open") from None


def reports(event: ReceiptReceived, keyring: Keyring, account: Account | None) -> list[Receipt]:
    """The delivery reports in an event. Raises Unreadable."""
    gateway = ALL.get(event.gateway)
    if account is None or gateway is None or account.gateway != event.gateway:
        raise Unreadable("the account is no longer there, or is another gateway's now")
    try:
        return gateway.receipts(opened(event, keyring), account)
    except Unreadable:
        raise
    except ValueError:
        raise Unreadable("the callback holds no delivery report") from None


def report_of(found: Sequence[Receipt], number: int, account: Account | None) -> Report:
    """The report of that number, as its account counts it; the attempt it means is looked for by whoever asks."""
    return Report(number, found[number], counts=account.receipt_parts if account else "all")


def _text(value: str) -> str:
    return value if value.isascii() else value.encode("utf-8", "replace").decode("utf-8")
