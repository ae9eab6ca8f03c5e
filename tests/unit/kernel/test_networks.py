"""Whose network an address belongs to."""

from ipaddress import ip_network

from watchword.kernel.networks import Prefixes

OWNERS = Prefixes(
    [
        (ip_network("198.51.0.0/16"), 64500),
        (ip_network("198.51.100.0/24"), 64501),
        (ip_network("2001:db8::/32"), 64502),
    ]
)


def test_the_longest_prefix_that_holds_an_address_says_whose_it_is() -> None:
    assert OWNERS.owner("198.51.100.7") == OWNERS.owner("::ffff:198.51.100.7") == "64501"
    assert OWNERS.owner("198.51.7.7") == "64500"
    assert OWNERS.owner("2001:db8:7::1") == "64502"
    assert len(OWNERS) == 3


def test_what_nobody_is_known_to_own_belongs_to_nobody() -> None:
    assert OWNERS.owner("203.0.113.1") == OWNERS.owner("2001:db9::1") == OWNERS.owner("no address") == ""
