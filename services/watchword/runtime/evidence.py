"""What a carrier reported, on its way to the matcher: sealed whole, named by what it is, opened again."""

import base64
import binascii
from hashlib import blake2b

import msgspec

from watchword.gateways.contract import Callback
from watchword.runtime import aad
from watchword.runtime.keyring import Keyring, Purpose
from watchword.runtime.sealing import SealBroken, derived, joined, open_sealed, seal

_ID_BYTES = 16


class _Kept(msgspec.Struct, frozen=True):
    """A report as it is kept: everything the carrier sent."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes


def naming_key(keyring: Keyring) -> bytes:
    """What reports are named under."""
    return derived(keyring.opening(Purpose.RECEIPT)[-1], "receipt-id").secret  # the oldest: a new one renames nothing


def receipt_id(account: str, callback: Callback, key: bytes) -> str:
    """What names a report: the same bytes to the same account are the same receipt. Headers do not count, for
    they hold the time of signing. Keyed, for a report may hold a number and little else that is not known."""
    path_and_query = callback.url.partition("/receipts/")[2]
    return blake2b(joined(account, path_and_query, callback.body), digest_size=_ID_BYTES, key=key).hexdigest()


def sealed(callback: Callback, account: str, keyring: Keyring) -> str:
    """The whole report, sealed for its account, in base64."""
    kept = msgspec.json.encode(_Kept(callback.method, callback.url, dict(callback.headers), callback.body))
    return base64.b64encode(seal(keyring.sealing(Purpose.RECEIPT), kept, aad.receipt(account))).decode("ascii")


def opened(closed: str, account: str, keyring: Keyring) -> Callback:
    """What `sealed` closed. Raises SealBroken where it was not, or for another account."""
    try:
        known = keyring.opening(Purpose.RECEIPT)
        told = open_sealed(known, base64.b64decode(closed, validate=True), aad.receipt(account))
        kept = msgspec.json.decode(told, type=_Kept)
    except (binascii.Error, msgspec.MsgspecError):
        raise SealBroken("not a report of ours") from None
    return Callback(kept.method, kept.url, kept.headers, kept.body)
