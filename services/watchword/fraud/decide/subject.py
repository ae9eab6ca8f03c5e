"""The features of one request: all that it is judged by, and which of them it is counted under."""

from typing import NamedTuple

from watchword.kernel.feature import LEAVES, OF_ALL, Kind, feature_key, trail_of


class Subject(NamedTuple):
    """`features` are looked up; `leaf` is the finest of its digits, `sources` are who asks and for which number.
    `place` names who asks, as far as the number is concerned. Each source comes with its place: where it asks, or who
    asks for a number, which tells one observation of it from many."""

    tenant: str
    country: str
    leaf_kind: Kind
    leaf: str
    place: str
    number: str
    sources: tuple[tuple[Kind, str, str], ...]
    features: dict[Kind, str]


def subject(tenant: str, country: str, digits: str, tokens: tuple[str, ...], sources: dict[Kind, str]) -> Subject:
    """The subject of a request for a number of the range `digits`, `tokens` naming its block and row there.

    `sources` are tokens by kind; those that are empty are left out.
    """
    leaf = feature_key(LEAVES[len(tokens)], ".".join((digits, *tokens)), tenant)
    place, number = sources.get(Kind.DEVICE) or sources.get(Kind.IP_NET) or "", sources.get(Kind.NUMBER, "")
    places = {Kind.NUMBER: place, Kind.DEVICE: number, Kind.ACCOUNT: number, Kind.PHONE: tenant}
    asking = tuple(
        (kind, feature_key(kind, value, OF_ALL if kind is Kind.PHONE else tenant), places.get(kind, country))
        for kind, value in sources.items()
        if value
    )
    features = dict(trail_of(leaf, country))
    for kind, feature, _ in asking:
        features[kind] = feature
    features[Kind.TENANT] = feature_key(Kind.TENANT, OF_ALL, tenant)
    return Subject(tenant, country, LEAVES[len(tokens)], leaf, place, number, asking, features)
