"""A token bucket whose rate gives way when the gateway throttles and comes back when it does not. Pure; times are
seconds of any clock that only goes forward."""

from typing import Final

GIVES_WAY: Final = 0.7
COMES_BACK: Final = 0.05
COMES_BACK_EVERY_S: Final = 5.0
PAUSE_MAX_S: Final = 30.0
PROBE_EVERY_S: Final = 10.0  # longer than a call may take
_LOWEST: Final = 0.02
_BURST_S: Final = 0.2
_NEVER_S: Final = float("inf")


class Pace:
    """Hands out moments to call at, `full` a second of them at most, which is this process's share of what the account
    takes, and none once that share is over. A throttled call cuts the rate to 0.7 of itself, once a second at most, and
    every 5 s without one give back 5 % of the full rate (delivery.md, section 6.5).

    Whoever asks for a longer pause than `PAUSE_MAX_S` (a firewall's hour for one address, say) gets that much; then one
    call goes to see, and no other until it was answered: an account is never stopped for long by a single word.
    """

    def __init__(self, full: float = 0.0) -> None:
        self.full = full
        self._part = 1.0
        self._until_s = _NEVER_S
        self._next_s = 0.0
        self._cut_s = -_NEVER_S
        self._raised_s = -_NEVER_S
        self._paused_until_s = -_NEVER_S
        self._probing = False

    @property
    def rate(self) -> float:
        """Moments a second as it is now."""
        return self.full * self._part

    def share(self, full: float, until_s: float) -> None:
        """From now on, and up to `until_s`, so many a second. How far it has given way stays."""
        self.full, self._until_s = full, until_s

    def shared(self, now_s: float) -> bool:
        """Whether there is a share of any size at all."""
        return self.full > 0 and now_s < self._until_s

    def delay_s(self, now_s: float) -> float:
        """How long a call would have to wait, `inf` without a share."""
        return max(self._next_s - now_s, 0.0) if self.shared(now_s) else _NEVER_S

    def take(self, now_s: float) -> float:
        """Take the next free moment; answers how long to wait for it, 0.0 for at once. Only with a share."""
        self._come_back(now_s)
        delay_s = self.delay_s(now_s)
        # Unused moments are kept for a fifth of a second (one at least), so that calls may come together.
        burst_s = max(_BURST_S - 1 / self.rate, 0.0)
        self._next_s = max(self._next_s, now_s - burst_s) + 1 / self.rate
        if self._probing:
            self._next_s = max(self._next_s, now_s + PROBE_EVERY_S)
        return delay_s

    def throttled(self, now_s: float, pause_s: float = 0.0) -> None:
        """The gateway says that this is too fast; `pause_s` is how long it asked the message that it refused to wait.
        Only so much of it as is bearable is asked of all others."""
        if now_s - self._cut_s >= 1.0:
            self._part = max(self._part * GIVES_WAY, _LOWEST)
            self._cut_s = self._raised_s = now_s
        self._probing = self._probing or pause_s > PAUSE_MAX_S
        self._paused_until_s = max(self._paused_until_s, now_s + min(pause_s, PAUSE_MAX_S))
        self._next_s = max(self._next_s, self._paused_until_s)

    def answered(self, now_s: float) -> None:
        """The gateway answered something else: whoever looked whether it takes calls again was not told to wait. What
        was called before the pause says nothing of it."""
        if self._probing and now_s >= self._paused_until_s:
            self._probing = False
            self._next_s = now_s

    def _come_back(self, now_s: float) -> None:
        steps = int((now_s - self._raised_s) // COMES_BACK_EVERY_S) if self._part < 1 else 0
        if steps > 0:
            self._part = min(self._part + steps * COMES_BACK, 1.0)
            self._raised_s += steps * COMES_BACK_EVERY_S
