"""Numbers of events: gapless, in the order in which they are told."""

from datetime import UTC, datetime

from watchword.events.verification_refused import VerificationRefused
from watchword.kernel.event import Emit
from watchword.kernel.verdict import Done, Write
from watchword.runtime.acting import Cause, outbox_row, write

EVENT = VerificationRefused(request_id="r", code="c")


class Statements:
    """A connection that plays the statements: every key but `held` changes, and its seq rises by what is counted."""

    def __init__(self, held: set[str]) -> None:
        self.held = held
        self.seq: dict[str, int] = {}
        self.calls: list[str] = []

    async def fetch(
        self, sql: str, keys: list[str], counted: list[int], *columns: list[object]
    ) -> list[dict[str, object]]:
        self.calls.append(sql)
        changed = []
        for key, count in zip(keys, counted, strict=True):
            if key not in self.held:
                self.seq[key] = self.seq.get(key, 1) + count
                changed.append({"key": key, "seq": self.seq[key]})
        return changed


def move(key: str, *emits: Emit, statement: str = "move") -> Write:
    return Write(statement, key, ("x",), emits)


async def test_counted_events_get_consecutive_numbers_and_uncounted_ones_none() -> None:
    emits = (Emit(EVENT, "v", 1), Emit(EVENT, "v", 2, counted=False), Emit(EVENT, "v", 3))
    told = await write(Statements(set()), [(Cause("c"), Done(writes=(move("v", *emits),)))], {"move": "M"})  # type: ignore[arg-type]
    assert [each.sequence for each in told] == [2, 0, 3]


async def test_a_row_that_did_not_change_tells_nothing() -> None:
    done = [
        (Cause(), Done(writes=(move("a", Emit(EVENT, "a")),))),
        (Cause(), Done(writes=(move("b", Emit(EVENT, "b")),))),
    ]
    told = await write(Statements({"a"}), done, {"move": "M"})  # type: ignore[arg-type]
    assert [each.emit.subject for each in told] == ["b"]


async def test_statements_run_once_per_batch_and_in_lock_order() -> None:
    connection = Statements(set())
    done = [
        (Cause(), Done(writes=(move(key, statement="attempts"), move(key, statement="verifications"))))
        for key in ("b", "a", "c")
    ]
    await write(connection, done, {"verifications": "first", "attempts": "second"})  # type: ignore[arg-type]
    assert connection.calls == ["first", "second"]


async def test_events_without_a_write_are_told_whatever_changes() -> None:
    told = await write(Statements(set()), [(Cause("c"), Done(emits=(Emit(EVENT, "s"),)))], {})  # type: ignore[arg-type]
    row = outbox_row(told[0], "codes", datetime(2026, 3, 1, tzinfo=UTC))
    assert dict(row.headers)["ce_causationid"] == b"c"
    assert "ce_sequence" not in dict(row.headers)
