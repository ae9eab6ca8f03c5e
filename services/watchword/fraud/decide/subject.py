"""The features of one request: all that it is judged by, and which of them it is counted under."""

from typing import NamedTuple

from watchword.kernel.feature import LEAVES, OF_ALL, Kind, feature_key, trail_of

# Names of their own: a member of an enumeration costs a search, and this runs several times for every verification.
_IP_NET, _DEVICE, _ACCOUNT, _NUMBER = Kind.IP_NET, Kind.DEVICE, Kind.ACCOUNT, Kind.NUMBER
_PHONE, _TENANT = Kind.PHONE, Kind.TENANT


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
    leaf_kind = LEAVES[len(tokens)]
    leaf = feature_key(leaf_kind, ".".join((digits, *tokens)), tenant)
    place, number = sources.get(_DEVICE) or sources.get(_IP_NET) or "", sources.get(_NUMBER, "")
    places = {_NUMBER: place, _DEVICE: number, _ACCOUNT: number, _PHONE: tenant}
    asking, features = [], dict(trail_of(leaf, country))
    for kind, value in sources.items():
        if value:
            feature = features[kind] = feature_key(kind, value, OF_ALL if kind is _PHONE else tenant)
            asking.append((kind, feature, places.get(kind, country)))
    features[_TENANT] = feature_key(_TENANT, OF_ALL, tenant)
    return Subject(tenant, country, leaf_kind, leaf, place, number, tuple(asking), features)
