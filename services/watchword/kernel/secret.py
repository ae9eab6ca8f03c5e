"""Values that must not be seen: they print masked, refuse every encoder, and give themselves up in one place.

`str`, `repr`, an f-string and a log line show the mask; msgspec, orjson, json, pickle and copy raise TypeError.
The clear text comes out of `.reveal()` alone, so that a search for that word finds every place that handles it.
"""

from hmac import compare_digest
from typing import Any, NoReturn, Self

_DOT = "•"


class Secret:
    """A short text that is hidden. Subclasses say what of it may be shown in `masked`."""

    __slots__ = ("_clear",)
    _clear: str

    def __init__(self, clear: str) -> None:
        object.__setattr__(self, "_clear", clear)

    def reveal(self) -> str:
        """The clear text. Nothing that is printed, logged, published or answered may hold it."""
        return self._clear

    def masked(self) -> str:
        """What may be shown."""
        return _DOT * 6

    def __str__(self) -> str:
        return self.masked()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.masked()}>"

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return compare_digest(self._clear.encode(), other._clear.encode())

    def __hash__(self) -> int:
        return hash((type(self), self._clear))

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} cannot be changed")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} cannot be changed")

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError(f"{type(self).__name__} cannot be pickled")

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self


class Code(Secret):
    """A one-time code, digits as the user types them. Nothing of it is shown, not even its length."""

    __slots__ = ()


class Phone(Secret):
    """A phone number in E.164 with "+". Its country code and last four digits are shown, dots between."""

    __slots__ = ("_country_digits",)
    _country_digits: int

    def __init__(self, clear: str, *, country_digits: int = 2) -> None:
        """`country_digits` (1 to 3) is how many digits after "+" are the country's; these may be shown."""
        super().__init__(clear)
        object.__setattr__(self, "_country_digits", country_digits)

    def masked(self) -> str:
        """As `+91••••••3210`: as many dots as digits are hidden; a number of 7 digits or fewer shows none."""
        head = 1 + self._country_digits
        hidden = len(self._clear) - head - 4
        if hidden < 3:
            return "+" + _DOT * 6
        return f"{self._clear[:head]}{_DOT * hidden}{self._clear[-4:]}"
