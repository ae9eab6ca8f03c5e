"""What risk is counted by: a range, a country, a network, a device, each of one tenant.

A feature key is `<kind>:<value>@<tenant>`, such as `range:+9989939@acme`. Keys are per tenant: what one platform's
traffic shows never refuses, and is never seen by, another platform's users.
"""

from enum import StrEnum
from hashlib import blake2b
from typing import Final

SHARDS: Final = 16
_SHARD_BYTES = 8


class Kind(StrEnum):
    """What a feature key counts. `ip_net` and `device` hold keyed tokens, never an address or an identifier."""

    RANGE = "range"
    COUNTRY = "country"
    IP_NET = "ip_net"
    DEVICE = "device"


def feature_key(kind: Kind, value: str, tenant: str) -> str:
    """The key under which `value` (a range with "+", a country code, a token) is counted for `tenant`."""
    return f"{kind.value}:{value}@{tenant}"


def kind_of(feature: str) -> Kind | None:
    """The kind of a feature key, None where this version does not know it."""
    word = feature.partition(":")[0]
    return Kind(word) if word in _WORDS else None


def shard_of(feature: str) -> int:
    """The shard, 0 to `SHARDS` - 1, in which a feature key always travels (decision 0002).

    The hash and the number of shards are part of the topic's layout: changing either is a new major of it.
    """
    return int.from_bytes(blake2b(feature.encode(), digest_size=_SHARD_BYTES).digest(), "big") % SHARDS


PILE_UPS: Final = (Kind.RANGE, Kind.COUNTRY)
"""The kinds that are judged by what piles up unverified; the others by how fast they ask."""

_WORDS = frozenset(Kind)
