"""Forms and query strings, as providers send them and want them."""

from collections.abc import Mapping
from urllib.parse import parse_qsl, urlencode

from watchword.gateways import reading
from watchword.gateways.contract import Callback

CONTENT_TYPE = "application/x-www-form-urlencoded"
FIELDS_MAX = 100
Fields = list[tuple[str, str]]


def written(fields: Mapping[str, str]) -> bytes:
    """The form of those fields that are not "", in the order given."""
    return urlencode({name: value for name, value in fields.items() if value != ""}).encode("ascii")


def parsed(text: str) -> Fields:
    """The fields of a form or a query string, empty ones too. Raises ValueError where there are over `FIELDS_MAX`."""
    return parse_qsl(text, keep_blank_values=True, max_num_fields=FIELDS_MAX)


def query_of(url: str) -> str:
    """What stands in `url` between "?" and "#"."""
    return url.partition("?")[2].partition("#")[0]


def asked(callback: Callback) -> Fields:
    """The fields of the query string. Raises ValueError as `parsed` does."""
    return parsed(query_of(callback.url))


def posted(callback: Callback, bytes_max: int) -> Fields:
    """The fields of the body. Raises ValueError where it is no text, longer than `bytes_max`, or has too many."""
    text = reading.text_of(callback.body, bytes_max)
    if callback.body and not text:
        raise ValueError("body: not a form")
    return parsed(text)


def told(callback: Callback, bytes_max: int) -> dict[str, str]:
    """Query string and body as one, the body's fields winning. Raises ValueError as `posted` does."""
    return dict(asked(callback) + posted(callback, bytes_max))


def one(fields: Fields, name: str) -> str:
    """The value of a field that is told once, else ""."""
    values = [value for each, value in fields if each == name]
    return values[0] if len(values) == 1 else ""
