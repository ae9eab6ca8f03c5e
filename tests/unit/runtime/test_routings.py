"""Routes that cannot be applied, each told with its place and its mend."""

from typing import Any

import pytest

from watchword.gateways.contract import Account
from watchword.kernel.tenancy import Choosing, Route
from watchword.runtime.configuration_file import AccountDocument, Documents
from watchword.runtime.routings import dear, faults_of

ALPHA = Account(id="alpha", gateway="echo", url="", price_micros=2_000)


def route(**told: Any) -> Route:
    return Route(**({"id": "all", "country": "*", "accounts": ["alpha", "beta"]} | told))


@pytest.mark.parametrize(
    ("told", "fault"),
    [
        ({"accounts": ["alpha", "alpha"]}, "accounts name one twice"),
        ({"hedge_after_s": 14}, "hedge_after_s is 0 for never, or at least 15: most messages arrive by then"),
        (
            {"hedge_after_s": 15, "accounts": ["alpha"]},
            "hedge_after_s needs a second account, which the message would be sent by",
        ),
        ({"weights": {"alpha": 1}}, 'weights are for choice = "weights", and choice is "ordered"'),
        (
            {"choice": Choosing.WEIGHTS, "weights": {"alpha": 1}},
            'choice = "weights" needs a weight for each account: beta have none',
        ),
        (
            {"choice": Choosing.WEIGHTS, "weights": {"alpha": 1, "beta": 1, "gamma": 1}},
            "weights name gamma, not among its accounts",
        ),
    ],
)
def test_a_choice_must_have_what_it_needs(told: dict[str, Any], fault: str) -> None:
    assert list(faults_of(Documents(routes=(route(**told),)))) == [f'[[routes]] "all": {fault}']


@pytest.mark.parametrize("told", [{}, {"hedge_after_s": 15}, {"choice": Choosing.SCORED}, {"choice": Choosing.WEIGHTS,
                                                                  "weights": {"alpha": 1, "beta": 9}}])  # fmt: skip
def test_a_route_that_is_right_passes(told: dict[str, Any]) -> None:
    assert list(faults_of(Documents(routes=(route(**told),)))) == []


@pytest.mark.parametrize("prefix", ["91", "+", "+0", "+91 98", "IN", "+12345678"])
def test_prices_are_told_by_the_beginning_of_numbers(prefix: str) -> None:
    account = AccountDocument(id="alpha", gateway="echo", url="http://x", prices={prefix: 1, "+91": 1})
    [fault] = faults_of(Documents(accounts=(account,)))
    assert fault.startswith(f'[[accounts]] "alpha": prices: "{prefix}" must be a plus')


@pytest.mark.parametrize(
    ("account", "told"),
    [
        ({"alpha": ALPHA}, ""),
        ({"alpha": Account(id="alpha", gateway="echo", url="")}, "has no price_micros"),
        ({"alpha": Account(id="alpha", gateway="echo", url="", price_micros=1, currency="EUR")},
         "is priced in EUR, not in USD"),
    ],
)  # fmt: skip
def test_a_cap_needs_prices_it_can_be_held_against(account: dict[str, Account], told: str) -> None:
    found = list(dear(route(price_max_micros=2_500), account))
    assert [told in each for each in found] == ([True] if told else [])
    assert list(dear(route(), account)) == []
