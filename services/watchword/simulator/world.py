"""What the simulator remembers, within limits: the oldest goes first, and what went is counted."""

from collections import OrderedDict, deque
from collections.abc import Sequence
from datetime import datetime

import msgspec

RECENT_MAX = 20_000  # what a reader of all phones may be behind
PHONES_MAX = 100_000
MESSAGES_PER_PHONE_MAX = 50
CALLS_MAX = 100_000
SENT_MAX = 200_000


class Sms(msgspec.Struct, frozen=True, gc=False):
    """One message on a phone."""

    time: datetime
    text: str
    sender: str
    carrier: str
    client_ref: str


class Call(msgspec.Struct, frozen=True, gc=False):
    """One call to a carrier. `result` is "accepted", an outcome class, "malformed", "unauthorized", "reset",
    "hang_before" or "hang_after"; `id` is "" where nothing was taken."""

    time: datetime
    door: str
    client_ref: str
    result: str
    duplicate: bool
    id: str


class Sent(msgspec.Struct, gc=False):
    """What a carrier made of one client_ref: how often it was called with it, how many SMS it sent, and how many
    of those a phone got. `id` is of the first; `reported` are the states of the receipts that were taken over HTTP."""

    client_ref: str
    id: str
    time: datetime
    calls: int = 1
    sms: int = 1
    delivered: int = 0
    reported: tuple[str, ...] = ()


class Phones:
    """Every phone that ever got a message."""

    def __init__(self, *, phones_max: int = PHONES_MAX, messages_max: int = MESSAGES_PER_PHONE_MAX) -> None:
        self._inboxes: OrderedDict[str, deque[Sms]] = OrderedDict()
        self._phones_max = phones_max
        self._messages_max = messages_max
        self._recent: deque[tuple[str, Sms]] = deque(maxlen=RECENT_MAX)
        self._delivered = 0
        self.dropped_phones = 0
        self.dropped_messages = 0

    def deliver(self, number: str, sms: Sms) -> None:
        """Put a message into the phone's inbox; a phone that got one lately is forgotten later."""
        inbox = self._inboxes.get(number)
        if inbox is None:
            inbox = self._inboxes[number] = deque(maxlen=self._messages_max)
            if len(self._inboxes) > self._phones_max:
                self._inboxes.popitem(last=False)
                self.dropped_phones += 1
        else:
            self._inboxes.move_to_end(number)
            self.dropped_messages += len(inbox) == self._messages_max
        inbox.append(sms)
        self._recent.append((number, sms))
        self._delivered += 1

    def since(self, count: int) -> tuple[int, list[tuple[str, Sms]]]:
        """How many messages were ever delivered, and those after the first `count`, as far as they are kept."""
        new = min(max(self._delivered - count, 0), len(self._recent))
        return self._delivered, [self._recent[index] for index in range(len(self._recent) - new, len(self._recent))]

    def inbox(self, number: str) -> Sequence[Sms]:
        """The messages of a phone, newest last; empty for one that never got any."""
        return tuple(self._inboxes.get(number, ()))

    def latest(self, count: int) -> list[str]:
        """The numbers that got a message last, newest first."""
        return [number for number, _ in zip(reversed(self._inboxes), range(count), strict=False)]

    def clear(self) -> None:
        """Forget every phone."""
        self._inboxes.clear()

    def __len__(self) -> int:
        return len(self._inboxes)


class Ledger:
    """What one carrier was asked and what it sent."""

    def __init__(self, *, calls_max: int = CALLS_MAX, sent_max: int = SENT_MAX) -> None:
        self.calls: deque[Call] = deque(maxlen=calls_max)
        self.sent: OrderedDict[str, Sent] = OrderedDict()
        self._sent_max = sent_max
        self.calls_total = 0
        self.dropped_sent = 0

    def note(self, call: Call) -> None:
        """Remember a call."""
        self.calls.append(call)
        self.calls_total += 1

    def add(self, sent: Sent) -> None:
        """Remember a message that was not known; from now on its client_ref is."""
        self.sent[sent.client_ref] = sent
        if len(self.sent) > self._sent_max:
            self.sent.popitem(last=False)
            self.dropped_sent += 1

    def report(self, client_ref: str, state: str) -> None:
        """Remember that a receipt of this state was taken, once however often it was."""
        sent = self.sent.get(client_ref)
        if sent is not None and state not in sent.reported:
            sent.reported = (*sent.reported, state)

    @property
    def dropped_calls(self) -> int:
        """How many calls were forgotten."""
        return self.calls_total - len(self.calls)
