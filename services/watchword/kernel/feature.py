"""What risk is counted by: a tenant, the leading digits of numbers, a network, a device, a number, each of one tenant.

A feature key is `<kind>:<value>@<tenant>`, such as `range:+9989939@acme`. Keys are per tenant: what one platform's
traffic shows never refuses, and is never seen by, another platform's users. A phone alone, a number that many of them
are made to send to, is of all tenants: `phone:<token>@*` (decision 0056).

Leading digits form a trie: country, operator, series, range, block, row. The range is what events tell of a number;
blocks and rows are finer and named by a keyed token behind a dot, so that a key never holds a number.
"""

from datetime import timedelta
from enum import StrEnum
from functools import lru_cache
from hashlib import blake2b
from typing import Final

from phonenumbers import COUNTRY_CODE_TO_REGION_CODE

SHARDS: Final = 16
LIFTED: Final = "lift:"
OF_ALL: Final = "*"
KNOWN_FOR: Final = timedelta(days=90)
"""For how long after its verification a number is a known user's: what piles up around it is none of his doing."""
_SHARD_BYTES = 8
_KEYS_REMEMBERED = 2_048  # all that is told of a number comes within a minute or two; a leaf takes 1.3 KiB
_CODES = {str(code) for code in COUNTRY_CODE_TO_REGION_CODE}
_CODE_OF_REGION = {
    region: str(code) for code, regions in COUNTRY_CODE_TO_REGION_CODE.items() for region in regions if region != "001"
}


class Kind(StrEnum):
    """What a feature key counts. All that identifies a person or a machine is a keyed token.

    `operator`, `series`, `range`, `block` and `row` are the numbers that share all digits but the last seven, five,
    four, three and two.
    """

    TENANT = "tenant"
    COUNTRY = "country"
    OPERATOR = "operator"
    SERIES = "series"
    RANGE = "range"
    BLOCK = "block"
    ROW = "row"
    IP_NET = "ip_net"
    DEVICE = "device"
    ACCOUNT = "account"
    ASN = "asn"
    NUMBER = "number"
    PHONE = "phone"


def feature_key(kind: Kind, value: str, tenant: str) -> str:
    """The key under which `value` (digits with "+", a country code, a token) is counted for `tenant`."""
    return "".join((kind, ":", value, "@", tenant))


def lift_key(feature: str) -> str:
    """The key under which it is told that an operator lifted whatever is said of `feature`: one of its own, so that the
    judge's next word on the feature does not take its place in a compacted topic."""
    return f"{LIFTED}{feature}"


def kind_of(feature: str) -> Kind | None:
    """The kind of a feature key, None where this version does not know it."""
    word = feature.partition(":")[0]
    return _WORDS.get(word)


def shard_of(feature: str) -> int:
    """The shard, 0 to `SHARDS` - 1, in which a feature key always travels (decisions 0002 and 0016).

    All keys of one calling code and tenant share a shard, so that a range is judged beside its country. The hash and
    the number of shards are part of the topic's layout: changing either is a new major of it.
    """
    return _shard(home_of(feature))


def home_of(feature: str) -> str:
    """The name of what must be judged together with a feature: the feature itself, or its calling code and tenant."""
    word, _, rest = feature.partition(":")
    if _WORDS.get(word) not in TRIE:
        return feature
    value, _, tenant = rest.rpartition("@")
    code = calling_code(value) if value.startswith("+") else _CODE_OF_REGION.get(value, value)
    return f"+{code}@{tenant}"


def calling_code(digits: str) -> str:
    """The country calling code that digits with "+" begin with (ITU-T E.164: no code is another's beginning); "" for
    one that is not assigned."""
    return next((digits[1:end] for end in (2, 3, 4) if digits[1:end] in _CODES), "")


@lru_cache(maxsize=_KEYS_REMEMBERED)
def trail_of(leaf: str, country: str) -> tuple[tuple[Kind, str], ...]:
    """The keys above and at the finest key of a number (`range`, `block` or `row`), the country first."""
    value, _, tenant = leaf.partition(":")[2].rpartition("@")
    digits, *tokens = value.split(".")
    finer = [
        (kind, feature_key(kind, ".".join([digits, *tokens[:depth]]), tenant))
        for depth, kind in enumerate((Kind.BLOCK, Kind.ROW)[: len(tokens)], start=1)
    ]
    return (*_down_to_range(digits, country, tenant), *finer)


@lru_cache(maxsize=_KEYS_REMEMBERED)
def _down_to_range(digits: str, country: str, tenant: str) -> tuple[tuple[Kind, str], ...]:
    """What all leaves of a range share, and share in memory too."""
    trail = [(Kind.COUNTRY, feature_key(Kind.COUNTRY, country, tenant))] if country else []
    shortest = len(calling_code(digits)) + 1
    for kind, dropped in ((Kind.OPERATOR, 3), (Kind.SERIES, 1)):
        if len(digits) - dropped > shortest:
            trail.append((kind, feature_key(kind, digits[:-dropped], tenant)))
    return (*trail, (Kind.RANGE, feature_key(Kind.RANGE, digits, tenant)))


@lru_cache(maxsize=_KEYS_REMEMBERED)
def _shard(home: str) -> int:
    return int.from_bytes(blake2b(home.encode(), digest_size=_SHARD_BYTES).digest(), "big") % SHARDS


TRIE: Final = (Kind.COUNTRY, Kind.OPERATOR, Kind.SERIES, Kind.RANGE, Kind.BLOCK, Kind.ROW)
"""The kinds that are judged by what piles up unverified where their numbers lie, the coarsest first."""

DESTINATIONS: Final = (Kind.COUNTRY, Kind.OPERATOR, Kind.SERIES, Kind.RANGE)
"""Of these, the kinds above and at a range: what can be refused before anything is known of a number but its digits."""

LEAVES: Final = (Kind.RANGE, Kind.BLOCK, Kind.ROW)
SOURCES: Final = (Kind.IP_NET, Kind.DEVICE, Kind.ACCOUNT, Kind.ASN, Kind.NUMBER, Kind.PHONE)
"""The kinds that are judged by what they ask for, wherever it goes."""

_WORDS = {kind.value: kind for kind in Kind}
