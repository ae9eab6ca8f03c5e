"""What every gateway checks before it writes a request: an address that can be called, a value that fits a header."""

import re
from urllib.parse import urlsplit

_HEADER_VALUE = re.compile(r"[\x20-\x7e]{1,4096}")
URL_CHARS_MAX = 2_048


def callable_url(url: str) -> str:
    """`url` without a slash at its end, for a path to be put behind it. Raises ValueError where it is not an http(s)
    address with a host, or holds a user, a password, a query or a fragment: an account's url is printed, so no secret
    may live in it."""
    try:
        parts = urlsplit(url)
        port_ok = parts.port != 0
    except ValueError as error:
        raise ValueError("url: not an address") from error
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_ok:
        raise ValueError("url: must be http(s)://host[:port][/path]")
    if "@" in parts.netloc or "?" in url or "#" in url or not _plain(url):
        raise ValueError("url: must hold no user, password, query, fragment, space or control character")
    return url.rstrip("/")


def _plain(url: str) -> bool:
    return len(url) <= URL_CHARS_MAX and all("!" <= letter <= "~" for letter in url)


def header_value(name: str, value: str) -> str:
    """`value`, if it can stand in a header as it is. Raises ValueError with the name, never with the value."""
    if not _HEADER_VALUE.fullmatch(value):
        raise ValueError(f"{name}: must be 1-4096 printable ASCII characters")
    return value
