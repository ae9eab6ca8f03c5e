"""The features of one request: all that it is judged by, and which of them it is counted under."""

from typing import NamedTuple

from watchword.kernel.feature import LEAVES, OF_ALL, Kind, feature_key, trail_of


class Subject(NamedTuple):
    """`features` are looked up; `leaf` is the finest of its digits, `sources` are who asks and for which number.
    `place` names who asks, as far as the number is concerned."""

    tenant: str
    country: str
    leaf_kind: Kind
    leaf: str
    place: str
    number: str
    sources: tuple[tuple[Kind, str], ...]
    features: dict[Kind, str]

    def place_of(self, kind: Kind) -> str:
        """Where a source asks, or who asks for a number: what tells one observation of it from many."""
        if kind is Kind.NUMBER:
            return self.place
        return self.number if kind in (Kind.DEVICE, Kind.ACCOUNT) else self.country


def subject(tenant: str, country: str, digits: str, tokens: tuple[str, ...], sources: dict[Kind, str]) -> Subject:
    """The subject of a request for a number of the range `digits`, `tokens` naming its block and row there.

    `sources` are tokens by kind; those that are empty are left out.
    """
    leaf = feature_key(LEAVES[len(tokens)], ".".join((digits, *tokens)), tenant)
    asking = tuple((kind, feature_key(kind, value, tenant)) for kind, value in sources.items() if value)
    features = dict(trail_of(leaf, country))
    features.update(asking)
    features[Kind.TENANT] = feature_key(Kind.TENANT, OF_ALL, tenant)
    place = sources.get(Kind.DEVICE) or sources.get(Kind.IP_NET) or ""
    return Subject(tenant, country, LEAVES[len(tokens)], leaf, place, sources.get(Kind.NUMBER, ""), asking, features)
