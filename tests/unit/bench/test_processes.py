"""What the bench does to processes, seen at a process that is none of ours."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench.processes import give_way

AUTOGROUP = Path("/proc/self/autogroup")


@pytest.mark.skipif(not AUTOGROUP.exists(), reason="this kernel shares the CPU between processes, not sessions")
def test_a_process_that_leads_a_session_gives_way_to_other_sessions() -> None:
    ours = AUTOGROUP.read_text("ascii")
    with subprocess.Popen((sys.executable, "-c", "input()"), stdin=subprocess.PIPE, start_new_session=True) as child:
        give_way([child.pid], 10)
        assert Path(f"/proc/{child.pid}/autogroup").read_text("ascii").split()[1:] == ["nice", "10"]
        child.communicate(b"\n", timeout=10)
    assert AUTOGROUP.read_text("ascii") == ours
