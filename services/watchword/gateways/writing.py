"""What every gateway checks before it writes a request: an address that can be called, a value that fits a header,
an account with the options and secrets its gateway.toml asks for."""

import base64
import re
from datetime import UTC, datetime
from functools import lru_cache
from urllib.parse import quote, urlsplit

from watchword.gateways import reasons
from watchword.gateways.contract import Account, Message
from watchword.gateways.facts import AccountForm

_HEADER_VALUE = re.compile(r"[\x20-\x7e]{1,4096}")
URL_CHARS_MAX = 2_048
_PLAIN_URL = re.compile(rf"[!-~]{{0,{URL_CHARS_MAX}}}")


@lru_cache(maxsize=256)  # an account's url is asked for again with each of its messages
def callable_url(url: str, name: str = "url") -> str:
    """`url` without a slash at its end, for a path to be put behind it. Raises ValueError with `name` where it is not
    an http(s) address with a host, or holds a user, a password, a query or a fragment: an account's url is printed,
    so no secret may live in it."""
    try:
        parts = urlsplit(url)
        port_ok = parts.port != 0
    except ValueError as error:
        raise ValueError(f"{name}: not an address") from error
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_ok:
        raise ValueError(f"{name}: must be http(s)://host[:port][/path]")
    if "@" in parts.netloc or "?" in url or "#" in url or not _PLAIN_URL.fullmatch(url):
        raise ValueError(f"{name}: must hold no user, password, query, fragment, space or control character")
    return url.rstrip("/")


def header_value(name: str, value: str) -> str:
    """`value`, if it can stand in a header as it is. Raises ValueError with the name, never with the value."""
    if not _HEADER_VALUE.fullmatch(value):
        raise ValueError(f"{name}: must be 1-4096 printable ASCII characters")
    return value


def fitting(account: Account, form: AccountForm | None) -> None:
    """Raise ValueError, naming it, where the account lacks an option or secret, or has an option nobody reads. Without
    a form the account's options are its own."""
    if form is None:
        return
    for name in form.needs:
        if not account.options.get(name):
            raise ValueError(f"{name}: this option is needed")
    known = {*form.needs, *form.takes}
    for name, value in sorted(account.options.items()):
        if name.startswith(reasons.REASON_PREFIX):
            reasons.check(name, name.removeprefix(reasons.REASON_PREFIX), value)
        elif name not in known and not name.startswith(form.prefixes):
            named = [*sorted(known), *(f"{prefix}…" for prefix in (*form.prefixes, reasons.REASON_PREFIX))]
            raise ValueError(f"{name}: there is no such option; there are {', '.join(named)}")
        header_value(name, value)
    for name in form.secrets:
        header_value(f"secrets.{name}", account.secrets.get(name, ""))


def basic(user: str, password: str) -> str:
    """The Authorization of RFC 7617."""
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode('ascii')}"


def life_s(message: Message, least: int, most: int) -> int:
    """What is left of the message's life, within what the provider takes."""
    return min(max(message.life_s, least), most)


def life_min(message: Message) -> int:
    """The same in minutes, rounded down for a provider that counts them: a code is better lost than late."""
    return max(message.life_s // 60, 1)


def utc(at: datetime) -> str:
    """A moment as RFC 3339 has it, in UTC, to the second."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def step(value: str) -> str:
    """`value` as one step of a path."""
    return quote(value, safe="")


def one_of(account: Account, option: str, allowed: tuple[str, ...]) -> str:
    """The option, or the first of `allowed` where it is absent. Raises ValueError where it is another."""
    value = account.options.get(option, allowed[0])
    if value not in allowed:
        raise ValueError(f"{option}: must be one of {', '.join(allowed)}")
    return value
