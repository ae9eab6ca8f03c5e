"""Whether anything is still heard of an account that is being called. Pure; times are seconds of any clock that only
goes forward."""

from itertools import count, islice
from typing import Final

WAITING_MIN: Final = 10
MUTE_AFTER_S: Final = 1.5


class Hearing:
    """An account is mute while at least `WAITING_MIN` calls have waited for `MUTE_AFTER_S` and none was answered in
    that time. A timeout tells the same of one call, seconds later, and until then everybody new would be made to wait
    too (decision 0060). One that answers late but steadily is never mute, nor is one that is called seldom."""

    def __init__(self) -> None:
        self._numbers = count()
        self._under_way: dict[int, float] = {}  # in the order in which they began
        self._heard_s = float("-inf")

    def began(self, now_s: float) -> int:
        """A call was made. Answers what to tell `ended` about it."""
        number = next(self._numbers)
        self._under_way[number] = now_s
        return number

    def ended(self, number: int, now_s: float, *, heard: bool) -> None:
        """That call is over; `heard` if it was answered, whatever the answer says."""
        del self._under_way[number]
        if heard:
            self._heard_s = now_s

    def mute(self, now_s: float, awake_s: float) -> bool:
        """Whether nothing is heard of it. Whoever listens only since `awake_s` has missed what was said before."""
        since_s = now_s - MUTE_AFTER_S
        if max(self._heard_s, awake_s) > since_s:
            return False
        last_of_those = next(islice(self._under_way.values(), WAITING_MIN - 1, None), None)
        return last_of_those is not None and last_of_those <= since_s
