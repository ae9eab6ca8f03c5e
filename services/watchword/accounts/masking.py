"""A request as it may be shown: every secret and the number made unreadable, however they are written. Pure."""

import base64
import json
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

from watchword.gateways.contract import Account, Message, Request

HIDDEN = "•••"
SHOWN_HEADERS = frozenset({"content-type", "x-amz-date", "x-amz-target"})
TEXT_CHARS_MAX = 4_000


def masked(request: Request, account: Account, message: Message) -> str:
    """The request line, the headers and the body, as text. A header's value is shown only where it is known to be
    harmless."""
    hidden = _spellings([*account.secrets.values(), message.to, message.to.removeprefix("+")])
    headers = [
        f"{name}: {value if name.lower() in SHOWN_HEADERS else HIDDEN}" for name, value in request.headers.items()
    ]
    lines = [f"{request.method} {request.url}", *headers, "", request.body.decode("utf-8", "replace")]
    text = "\n".join(lines)
    for spelling in hidden:
        text = text.replace(spelling, HIDDEN)
    return text[:TEXT_CHARS_MAX].rstrip()


def _spellings(values: Iterable[str]) -> list[str]:
    """Each value plainly, in an address, a form, JSON and base64; the longest first, for one may hold another."""
    found = set()
    for value in values:
        encoded = base64.b64encode(value.encode()).decode("ascii")
        found |= {value, quote(value, safe=""), quote_plus(value), json.dumps(value)[1:-1], encoded}
    return sorted(found - {""}, key=len, reverse=True)
