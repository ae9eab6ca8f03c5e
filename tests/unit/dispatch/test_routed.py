"""Whom a route takes at what price."""

from dataclasses import replace

import pytest
from msgspec import structs

from tests.support.sends import ABOUT, NORTH, SOUTH, tried
from watchword.dispatch.decide.facts import Choice, Destination, Health, Nobody, Routing
from watchword.dispatch.decide.plan import plan
from watchword.dispatch.decide.routed import bar, routed
from watchword.gateways.contract import Account
from watchword.kernel.tenancy import Route

ROUTE = Route(id="india", country="IN", accounts=["north", "south"], price_max_micros=2_000)
DEAR = replace(NORTH, price_micros=2_001)


ANYWHERE = Route(id="all", country="*", accounts=["north", "south"])
NAMED = replace(NORTH, sender="SHOP")
MSG91 = replace(NORTH, gateway="msg91", templates={"shop/login": "flow-1"})


def routing(*accounts: Account, route: Route = ROUTE, country: str = "IN", template: str = "") -> Routing:
    about = structs.replace(ABOUT, country=country)
    health = {each.id: Health.READY for each in accounts}
    return routed(route, accounts, health, about, lambda *_: (0.0, 0.0), template)


def to(country: str = "IN", template: str = "") -> Destination:
    return Destination(country, "+91987654", template)


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
    assert bar(ROUTE, replace(NORTH, price_micros=price, prices=prices), to()) == word


def test_a_price_in_another_currency_is_no_price() -> None:
    assert bar(ROUTE, replace(NORTH, price_micros=1, currency="EUR"), to()) == "currency"


def test_without_a_cap_any_price_will_do() -> None:
    route = Route(id="india", country="IN", accounts=["north"])
    assert bar(route, replace(NORTH, price_micros=10**9, currency="EUR"), to()) is None


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


@pytest.mark.parametrize(
    ("sender", "country", "registered_in", "word"),
    [
        ("SHOP", "SG", (), "sender"),
        ("SHOP", "SG", ("SG",), None),
        ("SHOP", "SG", ("AE",), "sender"),
        ("SHOP", "US", ("US",), "sender"),
        ("+14155550100", "US", (), "sender"),
        ("+14155550100", "US", ("US",), None),
        ("Verify", "GB", (), "sender"),
        ("SHOP", "FR", (), None),
        ("", "SG", (), None),
        ("MG00000000000000000000000000000000", "SG", (), None),
        ("SHOP", "IN", (), None),
        ("56789", "IN", (), None),
    ],
)
def test_a_sender_that_the_country_does_not_take_is_not_used_there(
    sender: str, country: str, registered_in: tuple[str, ...], word: str | None
) -> None:
    account = replace(NORTH, sender=sender, sender_registered_in=registered_in)
    assert bar(ANYWHERE, account, to(country)) == word


def test_the_next_account_sends_where_the_first_ones_name_is_not_registered() -> None:
    found = plan(1, (), routing(NAMED, SOUTH, route=ANYWHERE, country="SG"))
    assert isinstance(found, Choice)
    assert (found.account.id, found.reason) == ("south", "registration")
    assert [(each.account, each.reason) for each in found.grounds.passed_over] == [("north", "sender")]
    retried = plan(1, [tried("south")], routing(NAMED, SOUTH, route=ANYWHERE, country="SG"))
    assert isinstance(retried, Choice) and retried.account.id == "south", "nor is it a retry's way out"


@pytest.mark.parametrize(
    ("accounts", "word"),
    [
        ([NAMED, replace(NAMED, id="south")], "sender_not_registered"),
        ([MSG91], "template_not_registered"),
        ([NAMED, replace(MSG91, id="south")], "accounts_barred"),
    ],
)
def test_with_nobody_left_the_send_ends_and_says_what_was_missing(accounts: list[Account], word: str) -> None:
    found = plan(1, (), routing(*accounts, route=ANYWHERE, country="SG", template="payment"))
    assert isinstance(found, Nobody) and (found.word, found.hopeless) == (word, True)
    assert [each.account for each in found.grounds.passed_over] == [each.id for each in accounts]


@pytest.mark.parametrize(
    ("templates", "template", "word"),
    [
        ({"shop/login": "1"}, "shop/login", None),
        ({"shop/login": "1"}, "shop/payment", "template"),
        ({"shop/login": "1"}, "bank/login", "template"),
        ({"*": "1"}, "shop/payment", None),
        ({}, "shop/login", "template"),
        ({"shop/login": "1"}, "", None),
    ],
)
def test_a_provider_with_texts_of_its_own_sends_those_it_has(
    templates: dict[str, str], template: str, word: str | None
) -> None:
    assert bar(ANYWHERE, replace(MSG91, templates=templates), to("SG", template)) == word


def test_who_names_templates_carries_those_alone_whoever_writes_the_text() -> None:
    account = replace(NORTH, templates={"shop/login": "1107"})
    assert bar(ANYWHERE, account, to("SG", "shop/payment")) == "template"
    assert bar(ANYWHERE, account, to("SG", "shop/login")) is None
    assert bar(ANYWHERE, NORTH, to("SG", "shop/payment")) is None


def test_who_cannot_tell_of_a_registration_carries_to_india_what_its_provider_knows_alone() -> None:
    account = replace(NORTH, gateway="sinch")
    assert bar(ANYWHERE, account, to("IN", "shop/login")) == bar(ANYWHERE, account, to("IN")) == "template"
    assert bar(ANYWHERE, account, to("SG", "shop/login")) is None
    for name, word in (("*", None), ("shop/login", None), ("shop/payment", "template")):
        known = replace(account, templates={name: "as registered"})
        assert bar(ANYWHERE, known, to("IN", "shop/login")) == word


def test_the_tenants_own_template_is_looked_for() -> None:
    assert routing(MSG91, route=ANYWHERE, template="login").barred == {}
    assert routing(MSG91, route=ANYWHERE, template="payment").barred == {"north": "template"}
