"""What an operator is told of the way a number is served."""

from dataclasses import replace
from typing import Any

import pytest

from watchword.dispatch.metrics import DispatchMetrics
from watchword.gateways.contract import Account
from watchword.kernel.dlt import Dlt, Registered
from watchword.kernel.phone import PhoneNumber, parse
from watchword.kernel.template import Template
from watchword.kernel.tenancy import Choosing, Route, most_specific_first
from watchword.operations.routing import explain
from watchword.runtime.configuration import Configuration
from watchword.runtime.metrics import Metrics

ROUTES = (
    Route(id="all", country="*", accounts=["beta"]),
    Route(id="india", country="IN", accounts=["alpha", "gone", "beta"]),
    Route(id="india-login", country="IN", purpose="login", accounts=["beta"]),
    Route(id="delhi", country="*", range_prefix="+9198", accounts=["alpha"]),
    Route(id="britain", country="GB", accounts=["beta"]),
)
REGISTERED = Dlt(
    entity_id="1101000000000000001",
    header="SHOPIN",
    registered={"en": Registered(template_id="1107000000000000001", text="{#var#} is your code")},
)
CONFIGURATION = Configuration(
    accounts={
        "alpha": Account(id="alpha", gateway="echo", url="http://127.0.0.1:1", price_micros=1_500),
        "beta": Account(
            id="beta", gateway="echo", url="http://127.0.0.1:1", sender="SHOP", sender_registered_in=("SG",)
        ),
    },
    routes=most_specific_first(ROUTES),
    templates={
        ("shop", "default"): Template(id="default", tenant="shop", texts={}, dlt=REGISTERED),
        ("shop", "other"): Template(id="other", tenant="shop", texts={}),
    },
)


def number(text: str) -> PhoneNumber:
    found = parse(text, default_region="", allowed_countries={"IN", "GB", "SG", "US"})
    assert isinstance(found, PhoneNumber)
    return found


@pytest.mark.parametrize(
    ("to", "purpose", "routes"),
    [
        ("+919876543210", "login", ["delhi", "india-login", "india", "all"]),
        ("+918876543210", "login", ["india-login", "india", "all"]),
        ("+918876543210", "payment", ["india", "all"]),
        ("+447400123456", "login", ["britain", "all"]),
        ("+6581234567", "login", ["all"]),
    ],
)
def test_the_most_specific_route_is_used_and_the_others_are_told(to: str, purpose: str, routes: list[str]) -> None:
    told = explain(number(to), purpose, CONFIGURATION)
    assert [each.route for each in told.routes] == routes
    assert [each.used for each in told.routes] == [True] + [False] * (len(routes) - 1)


def test_it_is_said_by_what_a_route_is_chosen() -> None:
    told = explain(number("+919876543210"), "login", CONFIGURATION)
    assert [each.why for each in told.routes] == [
        "range +9198, any country, any purpose",
        "country IN, purpose login",
        "country IN, any purpose",
        "any country, any purpose",
    ]


def test_accounts_come_in_the_routes_order_with_what_stands_against_them() -> None:
    told = explain(number("+918876543210"), "payment", CONFIGURATION)
    assert [step.account for step in told.steps] == ["alpha", "gone", "beta"]
    assert told.steps[0].price_micros == 1_500
    assert told.steps[1].notes == ("there is no such account: it is passed over",)
    [registered] = explain(number("+6581234567"), "login", CONFIGURATION).steps
    assert registered.notes == ("its sender is registered in SG",)
    [american] = explain(number("+12015550123"), "login", CONFIGURATION).steps
    assert '"SHOP" as sender to US' in american.notes[0]


def test_for_india_the_registration_of_every_template_is_told() -> None:
    assert explain(number("+919876543210"), "login", CONFIGURATION).templates == (
        "shop/default: header SHOPIN, registered in en",
        "shop/other: not registered, the provider must add its registration",
    )
    assert explain(number("+447400123456"), "login", CONFIGURATION).templates == ()


def test_the_number_itself_is_not_repeated() -> None:
    assert "3210" not in repr(explain(number("+919876543210"), "login", CONFIGURATION))


def test_where_no_route_leads_nobody_is_named() -> None:
    told = explain(number("+447400123456"), "login", Configuration())
    assert told.routes == () and told.steps == ()


def test_an_account_above_the_cap_is_told_as_passed_over_with_its_price() -> None:
    alpha = Account(id="alpha", gateway="echo", url="http://127.0.0.1:1", price_micros=1_500, prices={"+9198": 2_500})
    beta = Account(id="beta", gateway="echo", url="http://127.0.0.1:1", price_micros=900, currency="EUR")
    capped = Route(id="all", country="*", accounts=["alpha", "beta"], price_max_micros=2_000)
    configuration = Configuration(accounts={"alpha": alpha, "beta": beta}, routes=(capped,))
    told = explain(number("+919876543210"), "login", configuration)
    assert [(step.price_micros, step.passed_over) for step in told.steps] == [(2_500, "price"), (900, "currency")]
    assert told.steps[0].notes[0] == "it is passed over: a part costs more than the 0.002 USD that all pays"
    assert (told.routes[0].choice, told.routes[0].price_max_micros) == ("ordered", 2_000)
    [cheaper, _] = explain(number("+447400123456"), "login", configuration).steps
    assert (cheaper.price_micros, cheaper.passed_over) == (1_500, "")


def test_an_account_whose_sender_is_not_registered_is_told_as_passed_over_by_the_word_that_dispatch_uses() -> None:
    shop = Account(id="alpha", gateway="echo", url="http://127.0.0.1:1", sender="SHOP")
    route = Route(id="all", country="*", accounts=["alpha"])
    [step] = explain(number("+6581234567"), "login", Configuration(accounts={"alpha": shop}, routes=(route,))).steps
    assert step.passed_over == "sender"
    assert "the account is passed over; once it is registered" in step.notes[0]


def test_for_a_template_it_is_told_who_has_a_text_for_it() -> None:
    own = Account(id="own", gateway="msg91", url="https://h.example", templates={"shop/login": "flow-1"})
    every = Account(id="every", gateway="msg91", url="https://h.example", templates={"*": "flow-2"})
    route = Route(id="all", country="*", accounts=["own", "every"])
    configuration = Configuration(accounts={"own": own, "every": every}, routes=(route,))
    told = explain(number("+447400123456"), "login", configuration, "shop/payment")
    assert [step.passed_over for step in told.steps] == ["template", ""]
    assert [step.notes[-1] for step in told.steps] == [
        "its provider's id for shop/payment: none", "its provider's id for shop/payment: flow-2"]  # fmt: skip
    anything = explain(number("+447400123456"), "login", configuration)
    assert [step.passed_over for step in anything.steps] == ["", ""]
    assert [step.notes[-1] for step in anything.steps] == [
        "registered with its provider: shop/login", "registered with its provider: every template"
    ]  # fmt: skip


def drawing(choice: Choosing, **further: Any) -> Configuration:
    names = ["alpha", "beta", "dear"]
    accounts = {name: Account(id=name, gateway="echo", url="http://127.0.0.1:1", price_micros=1) for name in names}
    accounts["dear"] = replace(accounts["dear"], price_micros=9)
    route = Route(id="all", country="*", accounts=names, choice=choice, price_max_micros=5, **further)
    return Configuration(accounts=accounts, routes=(route,))


def test_of_a_scored_route_the_counts_are_told_and_how_often_each_account_comes_first() -> None:
    counts = {("alpha", "GB"): (5.0, 95.0), ("beta", "GB"): (90.0, 10.0), ("alpha", "IN"): (99.0, 1.0)}
    told = explain(number("+447400123456"), "login", drawing(Choosing.SCORED, explore_share=0.2), "", counts)
    alpha, beta = told.chances
    assert (alpha.account, alpha.verified, alpha.unverified) == ("alpha", 5.0, 95.0)
    assert alpha.first_share == pytest.approx(0.1, abs=0.04), "half of what is explored"
    assert alpha.first_share + beta.first_share == pytest.approx(1)


def test_where_nothing_was_counted_yet_every_account_is_as_likely() -> None:
    told = explain(number("+447400123456"), "login", drawing(Choosing.SCORED))
    assert [each.first_share for each in told.chances] == [pytest.approx(0.5, abs=0.06)] * 2


def test_of_a_weighted_route_the_weights_are_told_and_their_shares() -> None:
    configuration = drawing(Choosing.WEIGHTS, weights={"alpha": 30, "beta": 10, "dear": 60})
    told = explain(number("+447400123456"), "login", configuration)
    assert [(each.account, each.weight) for each in told.chances] == [("alpha", 30), ("beta", 10)]
    assert told.chances[0].first_share == pytest.approx(0.75, abs=0.06)


def test_a_route_in_order_draws_nothing() -> None:
    assert explain(number("+447400123456"), "login", CONFIGURATION).chances == ()


def test_what_only_dispatch_knows_is_told_by_the_metrics_that_it_has() -> None:
    metrics = Metrics()
    DispatchMetrics(metrics)
    told = explain(number("+447400123456"), "login", CONFIGURATION).known_to_dispatch
    page = metrics.exposition()[1].decode()
    assert [name for name in told if f"# TYPE {name}" not in page] == []
