"""Callbacks of carriers that were taken and left no trace. Pure.

What a carrier said is sealed, and stays sealed here. But whatever it says of an attempt raises what is known of it, and
of an attempt that nobody knows it is parked and then buried. So two things can be told: a callback about an attempt of
which nothing is known, and one about no attempt that is neither parked nor buried. That a later report was passed over,
when an earlier one had been recorded, cannot: its repeat would leave no trace either.
"""

from collections.abc import Iterator
from datetime import timedelta
from functools import cached_property
from uuid import UUID

from watchword.events.receipt_received import ReceiptReceived
from watchword.kernel.ids import born_ms
from watchword.replay.live import Live
from watchword.replay.rows import AttemptRow

# A provider's ids may begin anew after a while: receipts believes them for a week.
PROVIDER_IDS_HOLD = timedelta(days=7)


class Reports:
    """What receipts did with the callbacks of carriers, by the rows of one snapshot."""

    def __init__(
        self, live: Live, *, parked: frozenset[str], in_parts: frozenset[UUID], counting: frozenset[str]
    ) -> None:
        self._live = live
        self._parked = parked
        self._in_parts = in_parts
        self._counting = counting
        self._buried: set[str] = set()

    def buried(self, event: ReceiptReceived) -> None:
        """A callback that lies in the dead topic: its repeats are looked at no further either."""
        self._buried.add(event.receipt_id)

    def unheard(self, event: ReceiptReceived, key: str) -> str:
        """What a callback that was taken should have led to and did not; "" if all is well, or nobody can tell. `key`
        is its record's, and that of its letter while that waits in the outbox."""
        if event.receipt_id in self._parked or event.receipt_id in self._buried or key in self._live.waiting:
            return ""
        meant = list(self._meant(event))
        if any(self._is_known(attempt) for attempt in meant):
            return ""
        if all(attempt.account not in ("", event.account) for attempt in meant):
            return "its report was neither parked nor buried" if self._is_strange(event) else ""
        return "" if event.account in self._counting else "its report was never recorded"

    def _meant(self, event: ReceiptReceived) -> Iterator[AttemptRow]:
        """The attempts that it may mean: by our reference, and by the account's. One that goes by another account is
        none of its business, or was given to that one since."""
        named = _uuid(event.client_ref)
        if named is not None and (attempt := self._live.attempts.get(named)):
            yield attempt
        if event.provider_id and (attempt := self._by_provider.get((event.account, event.provider_id))):
            yield attempt

    def _is_known(self, attempt: AttemptRow) -> bool:
        return attempt.receipt_state != "" or attempt.id in self._in_parts

    def _is_strange(self, event: ReceiptReceived) -> bool:
        """Whether it certainly is about no attempt that is kept; without a reference it holds no report."""
        named = _uuid(event.client_ref)
        if named is not None and born_ms(named) < self._live.kept_since.timestamp() * 1_000:
            return False
        if event.provider_id and event.received_at - PROVIDER_IDS_HOLD < self._live.kept_since:
            return False
        return bool(event.client_ref or event.provider_id)

    @cached_property
    def _by_provider(self) -> dict[tuple[str, str], AttemptRow]:
        return {(each.account, each.provider_id): each for each in self._live.attempts.values() if each.provider_id}


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
