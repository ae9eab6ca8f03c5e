"""How the processes of dispatch share what an account takes a second, so that all together never use more.

What stands written for a process is never less than what it uses, and together no more than the limit. So who must
use less does so first and has it written in the next turn; who may use more has it written first.
"""

from collections.abc import Sequence


def written(limit: float, using: float, others: Sequence[float]) -> float:
    """What to write for a process that is `using` so much, where `others` is what stands written for the others: its
    equal part, as far as the others leave it free, and not less than it uses."""
    free = limit - sum(others)
    return max(using, min(_part(limit, others), free))


def usable(limit: float, stands: float, others: Sequence[float]) -> float:
    """What it may use once `stands` is written for it."""
    return min(stands, _part(limit, others))


def _part(limit: float, others: Sequence[float]) -> float:
    return limit / (len(others) + 1)
