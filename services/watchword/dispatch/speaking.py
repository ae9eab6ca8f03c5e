"""How an account is spoken to, whichever kind its gateway is: a message or a question becomes a call that can be made
once, through a gate, and ends in an outcome or in silence."""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Protocol, TypeVar

from watchword.dispatch.calling import Caller, Gate, Silence
from watchword.gateways.contract import Account, Gateway, Message, QueryableGateway, Request, TraceableGateway
from watchword.gateways.outcome import Outcome

T = TypeVar("T")
Call = Callable[[Gate, float], Awaitable[T | Silence]]
"""Made with the gate it must pass before its first byte and the seconds it may take. Never raises for what a network
or a carrier does."""

Decode = Callable[[int, Mapping[str, str], bytes], Outcome | None]
"""What an answer to a question means, by its status, headers and body."""


class Speaker(Protocol):
    """One account's language and its connections."""

    @property
    def ready(self) -> bool:
        """Whether a call would be made, or refused, at once: no connection is being made that it would have to wait
        for, claimed and perhaps killed before a byte of it was written."""

    def message(self, message: Message) -> Call[Outcome]:
        """What sends `message`. Raises ValueError where it cannot be written."""

    def question(self, client_ref: str) -> Call[Outcome | None] | None:
        """What asks for our reference, answered with None for one that was never seen; None where this gateway cannot
        be asked. Raises ValueError where the question cannot be written."""

    def inquiry(self, client_ref: str, provider_id: str) -> Call[Outcome | None] | None:
        """What asks how far a message came that was taken: by our reference where that can be, else by the provider's
        id, "" where it told none; None where neither can. Raises ValueError as `question` does."""

    async def close(self) -> None:
        """Close every connection."""


class HttpSpeaker:
    """A request for each message, an answer for each request. Made while the event loop runs."""

    def __init__(self, account: Account, gateway: Gateway) -> None:
        self._account = account
        self._gateway = gateway
        self._caller = Caller(account.inflight_max)

    @property
    def ready(self) -> bool:
        """Always: who cannot be reached is told within the call."""
        return True

    def message(self, message: Message) -> Call[Outcome]:
        """The call that sends `message`. Raises ValueError."""
        return partial(self._send, self._gateway.encode(message, self._account))

    def question(self, client_ref: str) -> Call[Outcome | None] | None:
        """The call that asks for our reference. Raises ValueError."""
        if not isinstance(self._gateway, QueryableGateway):
            return None
        return partial(self._ask, self._gateway.encode_lookup(client_ref, self._account), self._gateway.decode_lookup)

    def inquiry(self, client_ref: str, provider_id: str) -> Call[Outcome | None] | None:
        """The call that asks how far a message came. Raises ValueError."""
        question = self.question(client_ref)
        if question is not None or not provider_id or not isinstance(self._gateway, TraceableGateway):
            return question
        decode = partial(self._gateway.decode_trace, account=self._account)
        return partial(self._ask, self._gateway.encode_trace(provider_id, self._account), decode)

    async def close(self) -> None:
        """Close every connection."""
        await self._caller.close()

    async def _send(self, request: Request, gate: Gate, timeout_s: float) -> Outcome | Silence:
        answer = await self._caller.call(request, gate, timeout_s=timeout_s)
        if isinstance(answer, Silence):
            return answer
        return self._gateway.decode(answer.status, answer.headers, answer.body, self._account)

    async def _ask(self, request: Request, decode: Decode, gate: Gate, timeout_s: float) -> Outcome | Silence | None:
        answer = await self._caller.call(request, gate, timeout_s=timeout_s)
        if isinstance(answer, Silence):
            return answer
        return decode(answer.status, answer.headers, answer.body)
