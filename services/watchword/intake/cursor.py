"""Cursors of lists: where the next page begins, signed, so that a cursor is good for the list it was made for alone."""

import base64
import binascii
import hmac
from collections.abc import Sequence
from uuid import UUID

from watchword.runtime.sealing import Key, joined

_ID_BYTES = 16
_MAC_BYTES = 16


class CursorInvalid(Exception):
    """Not a cursor of ours, or one of another list."""


def signed(key: Key, after: UUID, scope: Sequence[str]) -> str:
    """The cursor that continues below `after` in the list that `scope` names: the tenant and every filter."""
    return base64.urlsafe_b64encode(after.bytes + _mac(key, after, scope)).rstrip(b"=").decode("ascii")


def opened(keys: Sequence[Key], cursor: str, scope: Sequence[str]) -> UUID:
    """Where the list goes on. Raises CursorInvalid."""
    try:
        raw = base64.b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except (UnicodeEncodeError, binascii.Error):
        raise CursorInvalid from None
    if len(raw) != _ID_BYTES + _MAC_BYTES:
        raise CursorInvalid
    after = UUID(bytes=raw[:_ID_BYTES])
    if not any(hmac.compare_digest(raw[_ID_BYTES:], _mac(key, after, scope)) for key in keys):
        raise CursorInvalid
    return after


def _mac(key: Key, after: UUID, scope: Sequence[str]) -> bytes:
    return hmac.digest(key.secret, joined("cursor", after.bytes, *scope), "sha256")[:_MAC_BYTES]
