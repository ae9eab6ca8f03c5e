"""A carrier's callback on its way from the door to the matcher: sealed whole, named by what it is, opened again."""

import base64
import binascii
from collections.abc import Mapping, Sequence
from hashlib import blake2b

import msgspec

from watchword.events.receipt_received import ReceiptReceived
from watchword.gateways.catalog import GATEWAYS
from watchword.gateways.contract import Account, Callback, Receipt
from watchword.receipts.decide import Report
from watchword.runtime import aad
from watchword.runtime.keyring import Keyring, Purpose
from watchword.runtime.sealing import SealBroken, derived, joined, open_sealed, seal

_ID_BYTES = 16


class Unreadable(ValueError):
    """Nothing can be made of a callback; the message is a few words without values."""


class _Kept(msgspec.Struct, frozen=True):
    """A callback as it is kept: everything the carrier sent."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes


def callback_of(method: str, url: str, headers: Mapping[str, str], body: bytes) -> Callback:
    """A request as gateways see it. Bytes that are not text (a header may hold any) become "?"."""
    return Callback(method, _text(url), {_text(name): _text(value) for name, value in headers.items()}, body)


def receipt_id(account: str, callback: Callback, keyring: Keyring) -> str:
    """What names a callback: the same bytes to the same account are the same receipt. Headers do not count, for
    they hold the time of signing. Keyed, for a callback may hold a number and little else that is not known."""
    path_and_query = callback.url.partition("/receipts/")[2]
    key = derived(keyring.opening(Purpose.RECEIPT)[-1], "receipt-id").secret  # the oldest: a new one renames nothing
    return blake2b(joined(account, path_and_query, callback.body), digest_size=_ID_BYTES, key=key).hexdigest()


def sealed(callback: Callback, account: str, keyring: Keyring) -> str:
    """The whole callback, sealed for its account, in base64."""
    kept = msgspec.json.encode(_Kept(callback.method, callback.url, dict(callback.headers), callback.body))
    return base64.b64encode(seal(keyring.sealing(Purpose.RECEIPT), kept, aad.receipt(account))).decode("ascii")


def opened(event: ReceiptReceived, keyring: Keyring) -> Callback:
    """The callback in an event. Raises Unreadable."""
    try:
        closed = base64.b64decode(event.sealed, validate=True)
        kept = msgspec.json.decode(
            open_sealed(keyring.opening(Purpose.RECEIPT), closed, aad.receipt(event.account)), type=_Kept
        )
    except (SealBroken, binascii.Error, msgspec.MsgspecError):
        raise Unreadable("the sealed callback does not open") from None
    return Callback(kept.method, kept.url, kept.headers, kept.body)


def reports(event: ReceiptReceived, keyring: Keyring, account: Account | None) -> list[Receipt]:
    """The delivery reports in an event. Raises Unreadable."""
    gateway = GATEWAYS.get(event.gateway)
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
    return value.encode("utf-8", "replace").decode("utf-8")
