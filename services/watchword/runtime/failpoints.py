"""Named places where a test may stop the process dead. No-ops unless WATCHWORD_FAILPOINTS names one.

`codes.committed:3:kill` ends the process, as kill -9 would, the third time it reaches `codes.committed`;
`freeze` stops it as SIGSTOP would. A name begins with its stage, so that a test can aim at one loop or duty of several;
tests/architecture holds that some test kills a process at each.
"""

import os
import signal
from dataclasses import dataclass

_KILLED = 137


@dataclass(slots=True)
class _Trap:
    hits_left: int
    action: str


_traps: dict[str, _Trap] = {}


def arm(text: str) -> None:
    """Set the traps in `text`, separated by commas. Raises ValueError on one that cannot be read."""
    _traps.clear()
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        name, _, rest = part.partition(":")
        hits, _, action = rest.partition(":")
        if not hits.isdigit() or action not in ("kill", "freeze"):
            raise ValueError(f"failpoint {part!r} is not of the form name:hits:kill or name:hits:freeze")
        _traps[name] = _Trap(int(hits), action)


def reach(name: str) -> None:
    """Tell that execution came to `name`."""
    if _traps:
        _spring(name)


def _spring(name: str) -> None:
    trap = _traps.get(name)
    if trap is None:
        return
    trap.hits_left -= 1
    if trap.hits_left > 0:
        return
    del _traps[name]
    if trap.action == "freeze":
        os.kill(os.getpid(), signal.SIGSTOP)
        return
    os._exit(_KILLED)
