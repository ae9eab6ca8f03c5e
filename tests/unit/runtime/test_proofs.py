"""What can be applied and should be looked at."""

import pytest

from watchword.kernel.tenancy import Route, Tenant
from watchword.runtime.configuration_file import AccountDocument, Documents
from watchword.runtime.proofs import faults_of, warnings_of


@pytest.mark.parametrize(
    ("topic", "told"), [("", False), ("results.shop", False), ("shop-results", True), ("resultsshop", True)]
)
def test_a_results_topic_that_no_access_rule_covers_is_warned_of(topic: str, told: bool) -> None:
    found = list(warnings_of(Documents(tenants=(Tenant(id="shop", countries=["FR"], results_topic=topic),))))
    assert any("results_topic does not begin with results." in each for each in found) == told


def reaching(country: str, *tenants: str, gateway: str = "sinch", **templates: str) -> Documents:
    account = AccountDocument(id="north", gateway=gateway, url="https://north.example", templates=templates)
    return Documents(
        tenants=tuple(Tenant(id=f"shop-{each.lower()}", countries=[each]) for each in tenants),
        accounts=(account,),
        routes=(Route(id="all", country=country, accounts=["north"]),),
    )


def test_an_account_that_cannot_tell_of_a_registration_is_refused_on_a_route_to_india() -> None:
    [fault] = faults_of(reaching("IN", "IN"))
    assert fault == (
        '[[accounts]] "north" is on the route "all" to IN, and "sinch" has no field for the ids of entity and '
        "template, without which operators there drop a message: leave it out, or say in templates to which texts the "
        "provider adds them"
    )
    for documents in (
        reaching("IN", "IN", gateway="infobip"),
        reaching("IN", "IN", **{"*": "as registered"}),
        reaching("SG", "IN"),
        reaching("*", "IN"),
    ):
        assert list(faults_of(documents)) == []


@pytest.mark.parametrize(("country", "told"), [("IN", True), ("SG", False)])
def test_it_is_warned_of_where_its_route_is_for_everywhere_and_a_tenant_sends_to_india(
    country: str, told: bool
) -> None:
    found = [each for each in warnings_of(reaching("*", country)) if "it is passed over there" in each]
    assert bool(found) == told
