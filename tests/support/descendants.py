"""Which processes a process has started, however deep, and whether they are gone."""

from pathlib import Path

from watchword.local.process import is_running


def descendants(pid: int) -> set[int]:
    """The ids of everything below `pid` that runs now. Linux only."""
    parents: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(") ")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        parents.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found: set[int] = set()
    left = [pid]
    while left:
        below = parents.get(left.pop(), [])
        found.update(below)
        left += below
    return found


def still_running(pids: set[int]) -> dict[int, str]:
    """Those of `pids` that have not ended, with their command lines."""
    return {pid: _command(pid) for pid in sorted(pids) if is_running(pid)}


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""
