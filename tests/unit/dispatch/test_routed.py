"""Whom a route takes at what price."""

from dataclasses import replace

import pytest

from tests.support.sends import ABOUT, NORTH, SOUTH, tried
from watchword.dispatch.decide.facts import Choice, Health, Nobody, Routing
from watchword.dispatch.decide.plan import plan
from watchword.dispatch.decide.routed import bar, routed
from watchword.gateways.contract import Account
from watchword.kernel.tenancy import Route

ROUTE = Route(id="india", country="IN", accounts=["north", "south"], price_max_micros=2_000)
DEAR = replace(NORTH, price_micros=2_001)


def routing(*accounts: Account, route: Route = ROUTE) -> Routing:
    return routed(route, accounts, {each.id: Health.READY for each in accounts}, ABOUT, lambda *_: (0.0, 0.0))


@pytest.mark.parametrize(
    ("price", "prices", "word"),
    [
        (2_000, {}, None),
        (2_001, {}, "price"),
        (9_000, {"+91": 2_000}, None),
        (1_000, {"+91": 2_001}, "price"),
        (1_000, {"+91": 1_000, "+9198": 9_000}, "price"),
        (1_000, {"+9198": 1_000, "+9": 9_000, "+44": 9_000}, None),
        (0, {}, None),
    ],
)
def test_the_longest_prefix_says_what_a_number_costs(price: int, prices: dict[str, int], word: str | None) -> None:
    assert bar(ROUTE, replace(NORTH, price_micros=price, prices=prices), "+91987654") == word


def test_a_price_in_another_currency_is_no_price() -> None:
    assert bar(ROUTE, replace(NORTH, price_micros=1, currency="EUR"), "+91987654") == "currency"


def test_without_a_cap_any_price_will_do() -> None:
    route = Route(id="india", country="IN", accounts=["north"])
    assert bar(route, replace(NORTH, price_micros=10**9, currency="EUR"), "+91987654") is None


def test_an_account_that_is_too_dear_is_passed_over_and_that_is_told() -> None:
    found = plan(1, (), routing(DEAR, SOUTH))
    assert isinstance(found, Choice)
    assert (found.account.id, found.reason, found.grounds.route) == ("south", "price", "india")
    assert [(each.account, each.reason) for each in found.grounds.passed_over] == [("north", "price")]


def test_an_account_that_is_too_dear_is_not_called_however_the_others_fare() -> None:
    found = plan(1, [tried("south")], routing(DEAR, SOUTH).without(SOUTH))
    assert isinstance(found, Nobody) and (found.word, found.hopeless) == ("accounts_away", False)


def test_with_everybody_too_dear_the_send_ends_and_says_whose_price_it_was() -> None:
    found = plan(1, (), routing(DEAR, replace(SOUTH, price_micros=9_999)))
    assert isinstance(found, Nobody) and (found.word, found.hopeless) == ("price_above_cap", True)
    assert [each.account for each in found.grounds.passed_over] == ["north", "south"]


def test_a_resend_goes_round_those_that_are_afforded() -> None:
    east = replace(SOUTH, id="east")
    taken = [plan(send_no, (), routing(DEAR, SOUTH, east)) for send_no in (1, 2, 3)]
    assert [each.account.id for each in taken if isinstance(each, Choice)] == ["south", "east", "south"]


def test_those_who_come_before_are_told_with_what_keeps_them() -> None:
    route, third = Route(id="all", country="*", accounts=["north", "south", "east"]), replace(SOUTH, id="east")
    found = plan(1, [tried("north", outcome="account")], routing(NORTH, SOUTH, third, route=route).without(SOUTH))
    assert isinstance(found, Choice) and found.account.id == "east"
    assert [(each.account, each.reason) for each in found.grounds.passed_over] == [
        ("north", "refused"), ("south", "away")]  # fmt: skip
