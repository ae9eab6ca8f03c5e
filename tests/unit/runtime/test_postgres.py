"""What an error of the driver means: a server that is away, or a value that does not fit."""

import asyncpg
import pytest

from watchword.runtime.postgres import columns, is_away


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation"),
        asyncpg.InternalClientError("cannot switch to state 15; another operation (2) is in progress"),
        asyncpg.InterfaceError("connection is closed"),
        asyncpg.CrashShutdownError("terminating connection because of crash of another server process"),
        ConnectionRefusedError(111, "Connection refused"),
        TimeoutError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_server_that_died_in_the_middle_of_an_answer_is_away(error: Exception) -> None:
    assert is_away(error)


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.DiskFullError("could not extend file: No space left on device"),
        asyncpg.OutOfMemoryError("out of memory"),
        asyncpg.TooManyConnectionsError("sorry, too many clients already"),
        asyncpg.PostgresIOError("could not read block 7"),
        asyncpg.IdleInTransactionSessionTimeoutError("terminating connection due to idle-in-transaction timeout"),
        asyncpg.ReadOnlySQLTransactionError("cannot execute INSERT in a read-only transaction"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_a_server_cannot_do_just_now_is_no_fault_of_an_event(error: Exception) -> None:
    assert is_away(error)


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.DataError("invalid input for query argument $1: value out of int32 range"),
        asyncpg.NumericValueOutOfRangeError("smallint out of range"),
        asyncpg.CheckViolationError("new row violates check constraint"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_value_that_does_not_fit_is_not_a_server_that_is_away(error: Exception) -> None:
    assert not is_away(error)


def test_rows_are_turned_into_columns_and_no_rows_into_empty_ones() -> None:
    assert columns([(1, "a"), (2, "b")], 2) == [[1, 2], ["a", "b"]]
    assert columns([], 2) == [[], []]
