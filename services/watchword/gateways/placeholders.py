"""Text with placeholders, and how each value is escaped for the place it stands in.

A placeholder is a lower-case name in braces. Braces around anything else are text, which is what JSON needs; braces
around a name that does not exist are an error, which is what a typing mistake needs.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import quote, quote_plus

import orjson

CHAIN = "dlt_telemarketers"
NAMES = frozenset({
    "to", "to_digits", "text", "code", "template_id", "client_ref", "sender", "validity_s",
    "dlt_entity_id", "dlt_template_id", CHAIN, "dlt_chain_hash",
})  # fmt: skip
SECRET = "secret."
_PLACEHOLDER = re.compile(r"\{([a-z][a-z0-9_.]{0,63})\}")
_HEADER_SAFE = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) != "%")
_SAMPLE = '"\\/\n'


class Place(StrEnum):
    """Where a text will stand, and so what could break out of it."""

    URL = "url"
    FORM = "form"
    JSON = "json"
    HEADER = "header"


_ESCAPE: Mapping[Place, Callable[[str], str]] = {
    Place.URL: lambda value: quote(value, safe=""),
    Place.FORM: quote_plus,
    Place.JSON: lambda value: orjson.dumps(value).decode()[1:-1],
    Place.HEADER: lambda value: quote(value, safe=_HEADER_SAFE),
}


@dataclass(frozen=True, slots=True)
class Text:
    """A text cut at its placeholders: literals and names by turns, beginning and ending with a literal."""

    place: Place
    parts: tuple[str, ...]

    @property
    def names(self) -> frozenset[str]:
        """The placeholders that occur."""
        return frozenset(self.parts[1::2])

    def render(self, values: Mapping[str, str]) -> str:
        """The text with each value escaped for its place. Raises KeyError for a name without a value."""
        return "".join(self._escaped(part, values[part]) if odd % 2 else part for odd, part in enumerate(self.parts))

    def _escaped(self, name: str, value: str) -> str:
        """Escaped for the place, but for the commas of the chain: operators compare them unread (delivery.md, 4.1)."""
        escape = _ESCAPE[self.place]
        return ",".join(map(escape, value.split(","))) if name == CHAIN else escape(value)


def read(option: str, text: str, place: Place) -> Text:
    """The text of `option`. Raises ValueError, naming the option, for an unknown placeholder, a secret in a url, a
    stray brace outside JSON, and a JSON text whose placeholders do not all stand inside a string or as a number."""
    parts = tuple(_PLACEHOLDER.split(text))
    found = Text(place, parts)
    for name in sorted(found.names):
        _check_name(option, name, place)
    if place is not Place.JSON and any(brace in literal for literal in parts[::2] for brace in "{}"):
        raise ValueError(f"{option}: a brace that belongs to no placeholder")
    if place is Place.JSON:
        _check_json(option, found)
    return found


def _check_name(option: str, name: str, place: Place) -> None:
    if name.startswith(SECRET) and len(name) > len(SECRET):
        if place is Place.URL:
            raise ValueError(f"{option}: addresses are printed, so no secret may stand in one")
    elif name not in NAMES:
        raise ValueError(f"{option}: there is no placeholder {{{name}}}; there are {', '.join(sorted(NAMES))}")


def _check_json(option: str, text: Text) -> None:
    """Rendered with quotes and backslashes for every value, only a text that keeps them inside strings is JSON."""
    sample = {name: "1" if name == "validity_s" else _SAMPLE for name in text.names}
    try:
        orjson.loads(text.render(sample))
    except orjson.JSONDecodeError as error:
        raise ValueError(f"{option}: not JSON once filled in, or a placeholder outside of quotes") from error
