"""Tells a broken step from broken events: a worker that buries whatever comes would bury it all."""

from typing import Final

BUGS_IN_A_ROW_MAX: Final = 50


class InARow:
    """Counts what goes wrong without anything going well in between."""

    def __init__(self) -> None:
        self._count = 0

    def failed(self, error: Exception) -> None:
        """Once more. Raises `error` again past `BUGS_IN_A_ROW_MAX`."""
        self._count += 1
        if self._count > BUGS_IN_A_ROW_MAX:
            raise error

    def well(self) -> None:
        """Something went well."""
        self._count = 0
