"""What processes used, by /proc: CPU milliseconds and resident memory. Linux only."""

import os
import platform
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from watchword.local.ports import LOOPBACK
from watchword.local.process import children
from watchword.local.stack import Stack

TICK_MS = 1000 / os.sysconf("SC_CLK_TCK")
_QUESTIONS, _ASLEEP_S, _ANSWERED_WITHIN_S = 200, 0.002, 10.0
# It tells what CPU it has used, before and after.
_ANSWERER = """
import socket, sys, time
with socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=10) as asked:
    asked.sendall(str(time.process_time()).encode())
    for _ in range(int(sys.argv[2])):
        asked.recv(1)
        asked.sendall(b"!")
    asked.sendall(str(time.process_time()).encode())
"""
PAGE_MIB = os.sysconf("SC_PAGE_SIZE") / 2**20


def groups(stack: Stack) -> dict[str, int]:
    """The process of each part: workers by name, `simulator`, `postgres`, `kafka`."""
    workers = {name: child.process.pid for name, child in stack.children.items()}
    return {**workers, "simulator": stack.simulator_pid, "postgres": stack.database.pid, "kafka": stack.broker.pid}


def cpu_ms(pids: Mapping[str, int]) -> dict[str, float]:
    """CPU used so far by each process with everything below it, what ended included."""
    return {name: sum(_used_ms(each) for each in _family(pid)) for name, pid in pids.items()}


def resident_mib(pids: Mapping[str, int]) -> dict[str, float]:
    """Memory each process holds now, without its children."""
    return {name: int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_MIB for name, pid in pids.items()}


def give_way(pids: Iterable[int], niceness: int) -> None:
    """Have these processes yield the CPU to all others, as less weight of a control group would. Each leads a session
    of its own, and Linux shares the CPU between sessions first: `renice` counts within a session alone (sched(7),
    "autogroup"). Raises OSError where the kernel knows no such groups."""
    for pid in pids:
        Path(f"/proc/{pid}/autogroup").write_text(str(niceness), "ascii")


def descriptors(pid: int) -> int:
    """How many file descriptors a process holds now, sockets included."""
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


def _family(pid: int) -> Iterable[int]:
    yield pid
    for child in children(pid):
        yield from _family(child)


def _used_ms(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return sum(int(fields[index]) for index in (11, 12, 13, 14)) * TICK_MS


def topic_bytes(stack: Stack) -> int:
    """What the broker's topics hold, as they lie on disk; its own bookkeeping left out. Apache Kafka only."""
    logs = (stack.plan.directory / "kafka" / "data").glob("*/*.log")
    return sum(log.stat().st_size for log in logs if not log.parent.name.startswith("__"))


def host() -> dict[str, Any]:
    """What this machine is: figures of two machines are not compared."""
    model = next((line for line in _lines("/proc/cpuinfo") if line.startswith("model name")), "")
    memory_kib = next((line.split()[1] for line in _lines("/proc/meminfo") if line.startswith("MemTotal")), "0")
    return {
        "cpus": os.cpu_count(),
        "cpu": model.partition(":")[2].strip(),
        "memory_mib": int(memory_kib) // 1024,
        "machine": platform.machine(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load_before": round(os.getloadavg()[0], 2),
        "loop_ms": round(_loop_ms(), 1),
        "waking_us": round(_waking_us()),
    }


def _loop_ms() -> float:
    """How long a million turns of an empty loop take: how fast this machine is at this hour, for Python."""
    began = time.perf_counter()
    for _ in range(1_000_000):
        pass
    return (time.perf_counter() - began) * 1000


def _waking_us() -> float:
    """CPU microseconds of both ends that a question over loopback and its answer cost where each slept before: a turn
    of a worker pays that for every round trip, whatever it carries."""
    with socket.create_server((LOOPBACK, 0)) as server:
        asked = subprocess.Popen([sys.executable, "-c", _ANSWERER, str(server.getsockname()[1]), str(_QUESTIONS)])
        server.settimeout(_ANSWERED_WITHIN_S)
        asking, _ = server.accept()
        with asking:
            asking.settimeout(_ANSWERED_WITHIN_S)
            used_s = float(asking.recv(64)) * -1 - time.process_time()
            for _ in range(_QUESTIONS):
                select.select([asking], [], [], _ASLEEP_S)  # nothing comes unasked
                asking.sendall(b"?")
                asking.recv(1)
            used_s += time.process_time() + float(asking.recv(64))
        asked.wait(_ANSWERED_WITHIN_S)
    return used_s / _QUESTIONS * 1_000_000


def _lines(path: str) -> list[str]:
    return Path(path).read_text("utf-8", "replace").splitlines()
