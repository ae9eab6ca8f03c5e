"""Receipts over connections that ESMEs keep: sent when they are due to whoever is bound, again if they are not taken,
and kept while nobody is there, within limits."""

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Protocol

from watchword.gateways.smpp.pdu import Pdu
from watchword.simulator.carrier import Carrier
from watchword.simulator.receipts import BACKOFF_S_MAX, PENDING_MAX, POST_TIMEOUT_S, Counts


@dataclass(slots=True)
class Delivery:
    """One receipt on its way."""

    pdu: Pdu
    attempts: int = 0


class Receiver(Protocol):
    """A bound connection that takes receipts."""

    def deliver(self, pdu: Pdu) -> int:
        """Write it, answering the sequence number it went under."""


class Deliveries:
    """The receipts of one carrier."""

    def __init__(self, carrier: Carrier, counts: Counts) -> None:
        self._carrier = carrier
        self._counts = counts
        self._loop = asyncio.get_running_loop()
        self._receivers: list[Receiver] = []
        self._turn = 0
        self._waiting: deque[Delivery] = deque()
        self._later: set[asyncio.TimerHandle] = set()
        self._open: dict[tuple[Receiver, int], tuple[Delivery, asyncio.TimerHandle]] = {}

    @property
    def pending(self) -> int:
        """Receipts that are not taken yet."""
        return len(self._waiting) + len(self._later) + len(self._open)

    def add(self, pdu: Pdu, delay_ms: float) -> None:
        """Have a receipt delivered after so many milliseconds; with 0 it is written before this returns."""
        if self.pending >= PENDING_MAX:
            self._counts.dropped += 1
            return
        self._after(delay_ms / 1_000, Delivery(pdu))

    def joined(self, receiver: Receiver) -> None:
        """Somebody is there who takes receipts: first of all those that waited."""
        self._receivers.append(receiver)
        waiting, self._waiting = self._waiting, deque()
        for delivery in waiting:
            self._send(delivery)

    def left(self, receiver: Receiver) -> None:
        """It is gone; what it had not answered is sent again."""
        if receiver in self._receivers:
            self._receivers.remove(receiver)
        for key in [key for key in self._open if key[0] is receiver]:
            self._settle(*key, taken=False)

    def answered(self, receiver: Receiver, sequence: int, status: int) -> None:
        """A receipt was taken, or not."""
        if (receiver, sequence) in self._open:
            self._settle(receiver, sequence, taken=status == 0)

    def stop(self) -> None:
        """Forget what waits."""
        for timer in (*self._later, *(timer for _, timer in self._open.values())):
            timer.cancel()
        self._later.clear()
        self._open.clear()
        self._waiting.clear()

    def _after(self, delay_s: float, delivery: Delivery) -> None:
        if delay_s <= 0:
            self._send(delivery)
            return

        def due() -> None:
            self._later.discard(timer)
            self._send(delivery)

        timer = self._loop.call_later(delay_s, due)
        self._later.add(timer)

    def _send(self, delivery: Delivery) -> None:
        if not self._receivers:
            self._waiting.append(delivery)
            return
        self._turn = (self._turn + 1) % len(self._receivers)
        receiver = self._receivers[self._turn]
        sequence = receiver.deliver(delivery.pdu)
        timer = self._loop.call_later(POST_TIMEOUT_S, self._unanswered, receiver, sequence)
        self._open[receiver, sequence] = (delivery, timer)

    def _unanswered(self, receiver: Receiver, sequence: int) -> None:
        if (receiver, sequence) in self._open:
            self._settle(receiver, sequence, taken=False)

    def _settle(self, receiver: Receiver, sequence: int, *, taken: bool) -> None:
        delivery, timer = self._open.pop((receiver, sequence))
        timer.cancel()
        delivery.attempts += 1
        behaviour = self._carrier.behaviour
        if taken:
            self._counts.posted += 1
        elif delivery.attempts >= behaviour.receipt_attempts_max:
            self._counts.given_up += 1
        else:
            self._counts.retried += 1
            wait_ms = behaviour.receipt_backoff_ms * 2 ** min(delivery.attempts - 1, 20)
            self._after(min(wait_ms / 1_000, BACKOFF_S_MAX), delivery)
