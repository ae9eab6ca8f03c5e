"""How the processes of one run of the tests share the files.

A file stays whole, so that what it starts once is started once; the stories share one stack and so one process. What
takes long goes first: the last file to begin should not be the longest.
"""

from xdist.scheduler import LoadScopeScheduling

STORIES = ("tests/journeys", "tests/guide")
_LONGEST_FIRST = (
    "tests/faults/test_failpoints.py",
    "tests/journeys",
    "tests/guide",
    "tests/faults",
    "tests/pipeline",
    "tests/contract/stores",
    "tests/architecture",
    "tests/laws",
    "tests",
)


class ByFile(LoadScopeScheduling):  # type: ignore[misc]  # xdist is seen as untyped here
    """One file after another to whoever is free; the stories as if they were one."""

    def _split_scope(self, nodeid: str) -> str:
        return share_of(nodeid)


def share_of(nodeid: str) -> str:
    """The tests that must run in the same process have this in common."""
    path = nodeid.partition("::")[0]
    return "stories" if path.startswith(STORIES) else path


def order_of(nodeid: str) -> int:
    """Where a test stands in the order of a run."""
    return next(place for place, start in enumerate(_LONGEST_FIRST) if nodeid.startswith(start))
