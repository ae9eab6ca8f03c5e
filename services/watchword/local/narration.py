"""How the demo tells its story: what is expected is said before it is looked at, and a miss ends the run."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import aiohttp
from rich.console import Console

T = TypeVar("T")

LOOK_EVERY_S = 0.05
ANSWER_WITHIN_S = 10.0


class NotAsTold(Exception):
    """Something did not happen as the story said."""


@dataclass
class Narrator:
    """Speaks, looks, and counts the seconds."""

    console: Console
    began: float = field(default_factory=time.monotonic)

    def chapter(self, title: str) -> None:
        """Begin a part of the story."""
        self.console.print(f"\n[bold cyan]{title}[/]")

    def say(self, text: str) -> None:
        """One line, with the seconds since the beginning."""
        self.console.print(f"  [dim]{time.monotonic() - self.began:6.2f} s[/]  {text}", highlight=False)

    def expect(self, claim: bool, told: str) -> None:
        """`told` happened, or the story ends here. Raises NotAsTold."""
        if not claim:
            raise NotAsTold(told)
        self.say(f"[green]✓[/] {told}")

    async def until(self, look: Callable[[], Awaitable[T | None]], *, told: str, within_s: float = 15.0) -> T:
        """What `look` finds, looking until it does. Raises NotAsTold after `within_s`."""
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            found = await look()
            if found is not None:
                return found
            await asyncio.sleep(LOOK_EVERY_S)
        raise NotAsTold(f"{told} (waited {within_s:g} s)")


@dataclass(frozen=True)
class Platform:
    """A platform that uses the public API, and the phones of its users, played by the simulator."""

    session: aiohttp.ClientSession
    api: str
    key: str = field(repr=False)
    simulator: str

    async def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        """One call of the public API; answers status and JSON body."""
        headers = {"Authorization": f"Bearer {self.key}"}
        async with asyncio.timeout(ANSWER_WITHIN_S):
            async with self.session.request(method, self.api + path, json=body, headers=headers) as answer:
                return answer.status, await answer.json(content_type=None)

    async def start(self, number: str, **fields: Any) -> tuple[int, dict[str, Any]]:
        """Start a verification."""
        return await self.call("POST", "/v1/verifications", {"to": number, **fields})

    async def check(self, verification: str, code: str) -> dict[str, Any]:
        """Submit what the user typed."""
        _, body = await self.call("POST", f"/v1/verifications/{verification}/check", {"code": code})
        return body

    async def inbox(self, number: str) -> list[dict[str, Any]]:
        """The messages a phone has received, newest last."""
        async with asyncio.timeout(ANSWER_WITHIN_S), self.session.get(f"{self.simulator}/phones/{number}") as answer:
            told = await answer.json()
        return list(told["messages"] if isinstance(told, dict) else told)

    async def behave(self, carrier: str, **changes: Any) -> None:
        """Change how a carrier behaves from now on. Raises NotAsTold if the simulator refuses."""
        url = f"{self.simulator}/carriers/{carrier}/behaviour"
        async with asyncio.timeout(ANSWER_WITHIN_S), self.session.put(url, json=changes) as answer:
            if answer.status != 200:
                raise NotAsTold(f"the simulator refused {changes}: {await answer.text()}")


def code_in(text: str) -> str:
    """The code in a message: it comes first, so it is the first run of digits."""
    digits = ""
    for character in text:
        if character.isdigit():
            digits += character
        elif digits:
            break
    return digits
