"""What a tenant, a route and an endpoint are: documents that `watchword apply` writes and every decision reads.

The field constraints are the whole validation of one document; what ties documents together is checked in
`runtime.configuration_file`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from watchword.kernel.document import ANY, Count, Country, CountryOrAny, Document, Name
from watchword.kernel.feature import SOURCES, TRIE, Kind


class FraudMode(StrEnum):
    """Whether an assessment may block (`enforce`) or only tells (`monitor`); `auto` monitors a tenant's first seven
    days or 10,000 sends, whichever is over first, and enforces from then on."""

    AUTO = "auto"
    MONITOR = "monitor"
    ENFORCE = "enforce"


class SilentBlock(StrEnum):
    """Whose blocks may be told to nobody: those of one kind of feature, or of all."""

    ALL = "all"
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


class Tenant(Document, frozen=True, kw_only=True):
    """One platform. `countries` is default-deny: what is not listed is not sent to.

    `wrong_excess_per_hour` is how many wrong codes beyond its right ones are borne: past it checks are refused where
    `fraud_mode` is `enforce`, and only counted as alarming otherwise. Intake refuses a blocked destination at its door
    only then, too: under `auto` it is for fraud to know when a tenant is new no more.

    `silent_blocks` are the kinds of features, or `all`, whose blocks are told to nobody: no message leaves, and the
    verification goes on as if one had, so that whoever attacks learns nothing. A person who is refused by mistake waits
    in vain, which is why nothing is silent that is not listed (decision 0042).

    `sources` are the CloudEvents sources that may publish to the Kafka door as this tenant. Rates count starts;
    `results_topic` is where its results go, "" for otp.results.
    """

    id: Name
    name: Annotated[str, Meta(max_length=100)] = ""
    countries: list[Country]
    default_region: Annotated[str, Meta(pattern=r"^([A-Z]{2})?\Z")] = ""
    sources: list[Annotated[str, Meta(min_length=1, max_length=200)]] = msgspec.field(default_factory=list)
    fraud_mode: FraudMode = FraudMode.AUTO
    silent_blocks: list[SilentBlock] = msgspec.field(default_factory=list)
    requests_per_second: Count = 50
    requests_burst: Count = 100
    country_per_hour: Count = 10_000
    range_per_hour: Count = 300
    ip_per_hour: Count = 60
    wrong_excess_per_hour: Count = 1_000
    results_topic: Annotated[str, Meta(pattern=r"^([A-Za-z0-9._-]{1,200})?\Z")] = ""

    @property
    def silenced(self) -> frozenset[Kind]:
        """The kinds of features whose blocks are told to nobody."""
        if SilentBlock.ALL in self.silent_blocks:
            return frozenset((*TRIE, *SOURCES))
        return frozenset(Kind(each.value) for each in self.silent_blocks)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a tenant is called back. `events` are event names; `secrets` (whsec_…) all sign, so that one can be
    replaced without a gap; `version` is that of the document, by which a later one is told from what was disabled."""

    id: str
    tenant: str
    url: str
    events: tuple[str, ...]
    version: int
    disabled: bool = False
    secrets: tuple[str, ...] = field(default=(), repr=False)


HEDGE_AFTER_MIN_S: Final = 15


class Choosing(StrEnum):
    """How a route puts its accounts in order: as they stand, drawn by `weights`, or drawn by how often their codes
    were typed in time."""

    ORDERED = "ordered"
    WEIGHTS = "weights"
    SCORED = "scored"


class Route(Document, frozen=True, kw_only=True):
    """Which accounts serve a destination, best first. `country` and `purpose` may be "*"; `range_prefix` is the
    beginning of a number range such as "+9198", "" for all.

    An account that asks more than `price_max_micros` (millionths of `price_currency`, 0 for no cap) for one part of a
    message is passed over. `weights` are shares by account, for that choice alone; `explore_share` is the part of
    sends that a scored route begins with any account, whatever its score.

    `hedge_after_s` is how long nothing may be heard of a message before another account of the route sends the same
    code beside it: 0 for never, else from 15 s; for one message in 20 at most (decision 0032).
    """

    id: Name
    country: CountryOrAny
    range_prefix: Annotated[str, Meta(pattern=r"^(\+[0-9]{1,14})?\Z")] = ""
    purpose: Annotated[str, Meta(pattern=r"^([a-z0-9][a-z0-9_.-]{0,62}|\*)\Z")] = ANY
    accounts: Annotated[list[Name], Meta(min_length=1, max_length=20)]
    price_max_micros: Annotated[int, Meta(ge=0)] = 0
    price_currency: Annotated[str, Meta(pattern=r"^[A-Z]{3}\Z")] = "USD"
    choice: Choosing = Choosing.ORDERED
    weights: dict[str, Annotated[int, Meta(ge=1, le=1_000)]] = msgspec.field(default_factory=dict)
    explore_share: Annotated[float, Meta(ge=0.01, le=0.5)] = 0.03
    hedge_after_s: Annotated[int, Meta(ge=0, le=240)] = 0

    def serves(self, country: str, range_: str, purpose: str) -> bool:
        """Whether the route is for this destination. `range_` is "+" and the number without its last four digits."""
        return (
            self.country in (ANY, country) and range_.startswith(self.range_prefix) and self.purpose in (ANY, purpose)
        )


def most_specific_first(routes: Iterable[Route]) -> tuple[Route, ...]:
    """Routes in the order they are tried: longer range first, then a named country, then a named purpose, then id."""
    return tuple(
        sorted(
            routes, key=lambda route: (-len(route.range_prefix), route.country == ANY, route.purpose == ANY, route.id)
        )
    )
