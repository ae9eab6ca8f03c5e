"""When to try again after a connection ended. Pure."""

from typing import Final

FIRST_S: Final = 1.0
LONGEST_S: Final = 30.0
REFUSED_S: Final = 60.0
STABLE_AFTER_S: Final = 10.0


def pause_s(failures: int, *, refused: bool, draw: float) -> float:
    """Seconds to wait after so many failures in a row (1 for the first): twice as long each time, half of it drawn
    by `draw` (0 to 1) so that processes do not come back together. Who is refused for its credentials waits at least
    a minute: they will not become right by asking."""
    base_s = min(FIRST_S * 2.0 ** min(max(failures - 1, 0), 10), LONGEST_S)
    if refused:
        base_s = max(base_s, REFUSED_S) * 2
    return base_s * (0.5 + 0.5 * draw)
