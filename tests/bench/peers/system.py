"""What the bench asks of a system that takes messages by HTTP and hands them to a carrier."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import aiohttp

from tests.support.receiver import Called

CARRIER = "north"
PASSWORD = "northpwd"
SENDER = "DEMO"
TEXT = "493021 is your Demo code. It works for 5 minutes. Do not share it."
READY_WITHIN_S = 120.0


class NotAccepted(Exception):
    """A message was answered, and not taken. The text is the answer's."""


class System(ABC):
    """One system on this machine: its processes, its servers, and a carrier simulator of its own."""

    name: ClassVar[str]
    servers: ClassVar[tuple[str, ...]] = ()  # those of `parts` that others made
    simulator_url: str = ""

    def __init__(self, directory: Path, told_url: str) -> None:
        """Starts nothing yet. `directory` is empty and its own; receipts are told to `told_url`."""
        self.directory = directory
        self.told_url = told_url

    @classmethod
    @abstractmethod
    def missing(cls) -> str:
        """What is not installed and how it is had, "" where nothing is."""

    @property
    @abstractmethod
    def durability(self) -> str:
        """What is on disk, and when, before a message counts as taken."""

    @property
    @abstractmethod
    def parts(self) -> Mapping[str, int]:
        """The process of every part that runs, the simulator not among them."""

    @abstractmethod
    async def start(self) -> None:
        """Everything runs once this returns. Raises LocalServerError or AssertionError where it does not."""

    @abstractmethod
    async def submit(self, session: aiohttp.ClientSession, number: str) -> str:
        """Hand over one message to +`number`; answers the id by which its receipt will be told.

        Raises NotAccepted, or what the connection raises."""

    @abstractmethod
    def receipt_of(self, called: Called) -> str:
        """The id of the message that a callback is about, "" where it tells nothing of a delivery."""

    @abstractmethod
    async def kill(self, names: Sequence[str]) -> None:
        """SIGKILL to these parts at once."""

    @abstractmethod
    async def restart(self) -> None:
        """Start what was killed, on the same data and the same ports."""

    @abstractmethod
    async def stop(self) -> None:
        """End everything, also after a start that failed half way."""

    async def proof(self) -> str:
        """What the system's own audit says in the end, "" where it has none."""
        return ""
