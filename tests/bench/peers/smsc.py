"""The carrier of the peers: the simulator as a process of its own, as the stack runs it for us."""

import socket
from pathlib import Path

from tests.bench.peers.system import CARRIER, READY_WITHIN_S
from watchword.local.ports import LOOPBACK, free_ports
from watchword.local.process import Process, Program
from watchword.local.stack import answers
from watchword.local.warm import COMMAND


class Smsc:
    """A running simulator: `url` to ask it, `port` for SMPP."""

    def __init__(self, directory: Path) -> None:
        """Starts it and waits until it answers. Raises LocalServerError."""
        http, self.port = free_ports(2)
        self.url = f"http://{LOOPBACK}:{http}"
        words = ("simulator", "--port", str(http), "--smpp-port", str(self.port), "--carrier", CARRIER)
        self._process = Process(Program("simulator", (*COMMAND, *words), directory / "simulator.log", directory))
        self._process.await_ready(lambda: answers(f"{self.url}/ledger"), READY_WITHIN_S)

    def stop(self) -> None:
        """End it."""
        self._process.stop()


def listens_at(port: int) -> bool:
    """Whether somebody takes connections there now."""
    try:
        socket.create_connection((LOOPBACK, port), timeout=1).close()
    except OSError:
        return False
    return True
