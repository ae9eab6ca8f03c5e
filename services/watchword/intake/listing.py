"""A tenant's verifications, newest first, a page at a time.

A page looks at a bounded number of rows, whatever the filter: a page may be short, or empty, and there may yet be
more; there is no more when `next_cursor` is null.
"""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta

from watchword.intake import cursor as cursors
from watchword.intake import store
from watchword.intake.bodies import Text, VerificationListed
from watchword.intake.showing import listed
from watchword.intake.store import Window
from watchword.intake.subjects import Subjects
from watchword.kernel.event import Instant
from watchword.kernel.verification import STATUS, State
from watchword.runtime.crowding import Turnstile
from watchword.runtime.http import Answer, Call, Route
from watchword.runtime.keyring import Keyring, Purpose
from watchword.runtime.postgres import Pool
from watchword.runtime.problems import FieldError, Problem

LOOKED_AT_MAX = 2_000
# An id is made when a request is understood, its row is stamped when it is decided: moments apart, never this far.
ID_AHEAD = timedelta(minutes=1)
_FIRST = datetime(1970, 1, 1, tzinfo=UTC)
_END = datetime(9000, 1, 1, tzinfo=UTC)
_LAST_ID = UUID(int=2**128 - 1)


class ListQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which of them. `from_` (from) is inclusive and `to` exclusive, both of `created_at`; `limit` bounds a page."""

    reference: Text = ""
    status: Annotated[str, Meta(pattern=r"^[a-z]{0,16}\Z")] = ""
    from_: Instant | None = msgspec.field(name="from", default=None)
    to: Instant | None = None
    cursor: Annotated[str, Meta(max_length=64)] = ""
    limit: Annotated[int, Meta(ge=1, le=100)] = 20


class VerificationsTold(msgspec.Struct, frozen=True, kw_only=True):
    """One page. `next_cursor` asks for the next one under the same filters; null where there is none."""

    verifications: list[VerificationListed]
    next_cursor: str | None


class Listing:
    """Answers GET /v1/verifications."""

    def __init__(self, *, pool: Pool, turnstile: Turnstile, subjects: Subjects, keyring: Keyring) -> None:
        self._pool = pool
        self._turnstile = turnstile
        self._subjects = subjects
        self._keyring = keyring

    def route(self) -> Route[Any]:
        """What to mount on the public door."""
        return Route(
            method="GET",
            path="/v1/verifications",
            name="list_verifications",
            request=None,
            query=ListQuery,
            responses={200: VerificationsTold},
            handler=self.page,
            scope="read",
            problems=("malformed_query", "cursor_invalid"),
            summary="The tenant's verifications, newest first, a page at a time",
        )

    async def page(self, call: Call[None]) -> Answer:
        """One page of the caller's own verifications. Raises Problem, Overloaded, or what Postgres raises."""
        asked: ListQuery = call.query
        scope = scope_of(call.tenant, asked)
        window = window_of(call.tenant, asked, self._below(asked.cursor, scope))
        async with self._turnstile.passage(call.tenant), self._pool.acquire(timeout=5) as connection:
            page = await store.page(connection, window, looked_at_max=LOOKED_AT_MAX)
        told = [listed(row, self._subjects.shown(row)) for row in page.rows]
        key = self._keyring.sealing(Purpose.CURSOR)
        following = None if page.goes_on_below is None else cursors.signed(key, page.goes_on_below, scope)
        return Answer(200, VerificationsTold(verifications=told, next_cursor=following))

    def _below(self, cursor: str, scope: tuple[str, ...]) -> UUID:
        if not cursor:
            return _LAST_ID
        try:
            return cursors.opened(self._keyring.opening(Purpose.CURSOR), cursor, scope)
        except cursors.CursorInvalid:
            raise Problem("cursor_invalid") from None


def scope_of(tenant: str, asked: ListQuery) -> tuple[str, ...]:
    """What a cursor is bound to: whose list it is and which filters made it. The size of a page may change."""
    bounds = (each.isoformat() if each is not None else "" for each in (asked.from_, asked.to))
    return (tenant, asked.reference, asked.status, *bounds)


def window_of(tenant: str, asked: ListQuery, below: UUID) -> Window:
    """The query as bounds on ids, by which whole weeks are left out. Raises Problem for a status there is not."""
    states = tuple(state.value for state in State if asked.status in ("", STATUS[state]))
    if not states:
        fault = FieldError(pointer="query:status", detail=f"It is one of {', '.join(sorted(set(STATUS.values())))}.")
        raise Problem("malformed_query", errors=(fault,))
    created_from = min(max(asked.from_ or _FIRST, _FIRST), _END)
    created_to = min(max(asked.to or _END, _FIRST), _END)
    return Window(
        tenant=tenant,
        reference=asked.reference,
        states=states,
        created_from=created_from,
        created_to=created_to,
        floor=_floor(max(created_from - ID_AHEAD, _FIRST)),
        below=min(below, _floor(created_to + ID_AHEAD)),
        rows_max=asked.limit,
    )


def _floor(moment: datetime) -> UUID:
    """The smallest time-ordered id of that millisecond (RFC 9562, section 5.7)."""
    return UUID(int=int(moment.timestamp() * 1_000) << 80)
