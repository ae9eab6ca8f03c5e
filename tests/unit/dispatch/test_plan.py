"""Which account makes the next try."""

from typing import Any

import pytest

from tests.support.sends import EAST, NORTH, SOUTH, routing, tried
from watchword.dispatch.decide.facts import Choice, Nobody, Routing, Try
from watchword.dispatch.decide.plan import ACCOUNTS_AWAY, ACCOUNTS_REFUSED, NO_ROUTE, plan
from watchword.gateways.outcome import OutcomeClass

ALL = (NORTH, SOUTH, EAST)
CASES: dict[str, tuple[int, tuple[Try, ...], Routing, Any]] = {
    "the first of the route": (1, (), routing(*ALL), ("north", "first")),
    "the next one where the first is away": (1, (), routing(*ALL, away=[NORTH]), ("south", "failover")),
    "the next one where the first is busy": (1, (), routing(*ALL, busy=[NORTH]), ("south", "failover")),
    "a busy one where all are busy": (1, (), routing(*ALL, busy=ALL), ("north", "first")),
    "another one after a failure": (1, (tried("north"),), routing(*ALL), ("south", "failover")),
    "a busy fresh one before a used one": (1, (tried("north"),), routing(NORTH, SOUTH, busy=[SOUTH]),
                                           ("south", "failover")),
    "the one used longest ago once all are used": (1, (tried("south"), tried("north", no=2)), routing(NORTH, SOUTH),
                                                   ("south", "retry")),
    "no used one that is busy": (1, (tried("north"),), routing(NORTH, busy=[NORTH]), ACCOUNTS_AWAY),
    "a resend begins with the next account": (2, (), routing(*ALL), ("south", "resend")),
    "the fourth send comes round to the first": (4, (), routing(*ALL), ("north", "resend")),
    "an account that refused us is not asked again": (
        1, (tried("north", outcome="account"), tried("south", no=2)), routing(NORTH, SOUTH), ("south", "retry")),
    "nobody where all refused us": (
        1, (tried("north", outcome="configuration"),), routing(NORTH), ACCOUNTS_REFUSED),
    "nobody without a route": (1, (), routing(), NO_ROUTE),
    "nobody while all are away": (1, (), routing(*ALL, away=ALL), ACCOUNTS_AWAY),
    "a try for which nobody was called used no account": (1, (tried(""),), routing(NORTH), ("north", "first")),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_it_takes(name: str) -> None:
    send_no, tries, route, wanted = CASES[name]
    found = plan(send_no, tries, route)
    if isinstance(found, Choice):
        assert (found.account.id, found.reason) == wanted
    else:
        assert found == wanted


def test_a_worker_that_leaves_calls_nobody_and_gives_no_send_up() -> None:
    found = plan(1, (), routing(*ALL).closed())
    assert found == Nobody("accounts_away", hopeless=False)


def test_an_account_that_is_not_told_of_is_not_called() -> None:
    assert plan(1, (), Routing((NORTH,), {})) == ACCOUNTS_AWAY


@pytest.mark.parametrize("outcome", [OutcomeClass.THROTTLED, OutcomeClass.TEMPORARY])
def test_what_passes_leaves_an_account_usable(outcome: OutcomeClass) -> None:
    assert isinstance(plan(1, (tried("north", outcome=outcome),), routing(NORTH)), Choice)
