"""How the processes of one run of the tests share the files.

A file stays whole, so that what it starts once is started once. Whatever runs every worker as a process of its own
comes one after the other: two such stacks at a time would only wait for each other. What takes long goes first: the
last file to begin should not be the longest.
"""

from xdist.scheduler import LoadScopeScheduling

STACKS = ("tests/faults", "tests/journeys", "tests/attacks", "tests/guide")
STACKS_SHARE = "stacks"
_LONGEST_FIRST = (
    "tests/faults",
    "tests/journeys",
    "tests/attacks",
    "tests/guide",
    "tests/pipeline",
    "tests/contract/stores",
    "tests/architecture",
    "tests/laws",
    "tests",
)


class ByFile(LoadScopeScheduling):  # type: ignore[misc]  # xdist is seen as untyped here
    """One file after another to whoever is free; those with a stack as if they were one."""

    def _split_scope(self, nodeid: str) -> str:
        return share_of(nodeid)


def share_of(nodeid: str) -> str:
    """The tests that must run in the same process have this in common."""
    path = nodeid.partition("::")[0]
    return STACKS_SHARE if path.startswith(STACKS) else path


def order_of(nodeid: str) -> int:
    """Where a test stands in the order of a run."""
    return next(place for place, start in enumerate(_LONGEST_FIRST) if nodeid.startswith(start))
