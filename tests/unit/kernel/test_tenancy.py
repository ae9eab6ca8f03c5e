"""Which route serves a destination, and of which blocks a tenant wants nobody told."""

import msgspec
import pytest

from watchword.kernel.feature import SOURCES, TRIE, Kind
from watchword.kernel.tenancy import Route, SilentBlock, Tenant, most_specific_first


def route(name: str, country: str = "*", range_prefix: str = "", purpose: str = "*") -> Route:
    return Route(id=name, country=country, range_prefix=range_prefix, purpose=purpose, accounts=["a"])


def test_the_most_specific_route_comes_first() -> None:
    routes = [
        route("any"),
        route("login", purpose="login"),
        route("india", "IN"),
        route("india-login", "IN", purpose="login"),
        route("range", range_prefix="+9198"),
        route("longer", range_prefix="+91987"),
    ]
    assert [one.id for one in most_specific_first(reversed(routes))] == [
        "longer",
        "range",
        "india-login",
        "india",
        "login",
        "any",
    ]


def test_a_route_serves_only_what_it_names() -> None:
    assert route("r", "IN", "+9198", "login").serves("IN", "+91987654", "login")
    assert not route("r", "IN").serves("GB", "+4477", "login")
    assert not route("r", range_prefix="+9198").serves("IN", "+919", "login")
    assert not route("r", purpose="pay").serves("IN", "+91987654", "login")


def tenant(**told: object) -> Tenant:
    return msgspec.convert({"id": "shop", "countries": ["GB"], **told}, Tenant)


def test_nothing_is_silent_that_is_not_listed() -> None:
    assert tenant().silenced == frozenset()
    assert tenant(silent_blocks=["range", "ip_net"]).silenced == {Kind.RANGE, Kind.IP_NET}
    assert tenant(silent_blocks=["all"]).silenced == frozenset((*TRIE, *SOURCES))
    assert {each.value for each in SilentBlock} == {"all", *TRIE, *SOURCES}


@pytest.mark.parametrize("word", ["", "tenant", "ranges", "range\n"])
def test_a_kind_that_there_is_not_is_refused(word: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        tenant(silent_blocks=[word])
