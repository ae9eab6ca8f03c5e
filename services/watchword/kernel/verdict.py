"""What a decision may answer. Every `decide` returns one of these; `runtime.loop` alone carries them out.

A verdict is a value: it names the rows to change and the events to tell, and changes nothing by being made.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from watchword.kernel.event import Emit


class Write(msgspec.Struct, frozen=True):
    """One row for one named statement of the worker's store, and what is told if that row changed something.

    `statement` names a statement in `store.sql`. It is conditional: it changes the row only where the natural key
    is in the state that this write assumes, and returns the keys that changed. `emits` go out if, and only if,
    `key` is among them, each with the next sequence number of its verification.
    """

    statement: str
    key: str
    row: tuple[Any, ...]
    emits: tuple[Emit, ...] = ()


class Done(msgspec.Struct, frozen=True):
    """The event is dealt with: these rows change, these events are told. Both may be empty."""

    writes: tuple[Write, ...] = ()
    emits: tuple[Emit, ...] = ()

    @classmethod
    def unchanged(cls) -> "Done":
        """Nothing to do: somebody was here before, or the verification has moved on."""
        return cls()


@dataclass(frozen=True, slots=True)
class Later:
    """Not yet: look again at `at` (UTC). The partition waits; nothing behind this event overtakes it."""

    at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Dead:
    """Nothing can ever come of this event. Its bytes go to the dead topic, untouched, with the reason."""

    reason: str
    detail: str = ""


Verdict = Done | Later | Dead
