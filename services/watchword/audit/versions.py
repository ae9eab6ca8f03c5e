"""What applied documents said at which time: none is ever edited, so the past can still be asked. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

import msgspec

from watchword.events.verification_ended import VerificationEnded
from watchword.kernel.document import read_stored
from watchword.kernel.spending import Cap

# Workers look for new documents once a second; one that stood still for so long has left its group.
TAKEN_UP_WITHIN = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a document, in force from `since` on, until `until`, None where it is the newest."""

    kind: str
    id: str
    document: Mapping[str, Any]
    since: datetime
    until: datetime | None = None
    retired: bool = False


@dataclass(frozen=True, slots=True)
class Limit:
    """A cap as one version of it has it, for as long as some worker may have gone by it."""

    cap: Cap
    since: datetime
    until: datetime | None = None

    def stood(self, since: datetime, until: datetime) -> bool:
        """Whether some worker may have gone by it between the two."""
        return self.since <= until and (self.until is None or since <= self.until + TAKEN_UP_WITHIN)


@dataclass(frozen=True, slots=True)
class Subscription:
    """An endpoint that every worker knew, from `since` on and still, to be told how verifications of `tenant` end."""

    tenant: str
    endpoint: str
    since: datetime


def limits(versions: Iterable[Version]) -> tuple[Limit, ...]:
    """Every version of every cap, but for those that cannot be read: workers do not go by them either."""
    return tuple(_limits(each for each in versions if each.kind == "cap" and not each.retired))


def _limits(versions: Iterable[Version]) -> Iterator[Limit]:
    for each in versions:
        try:
            yield Limit(read_stored(each.document, Cap), each.since, each.until)
        except msgspec.ValidationError:
            continue


def prices_micros(versions: Iterable[Version]) -> Mapping[str, int]:
    """The most that one part of a message ever was taken to cost, by country, "*" for those without a price."""
    most: dict[str, int] = {}
    for each in versions:
        if each.kind == "price":
            country, micros = str(each.document["country"]), int(each.document["micros"])
            most[country] = max(most.get(country, 0), micros)
    return most


def subscriptions(versions: Iterable[Version]) -> tuple[Subscription, ...]:
    """The endpoints that are to be told of endings, each since when that has been so without a break."""
    of_endpoints = sorted(
        (each for each in versions if each.kind == "endpoint"), key=lambda each: (each.id, each.since)
    )
    found = []
    for _, some in groupby(of_endpoints, key=lambda each: each.id):
        wanting = _last_without_a_break(list(some))
        if wanting is not None:
            told = wanting.document
            found.append(Subscription(str(told["tenant"]), str(told["id"]), wanting.since + TAKEN_UP_WITHIN))
    return tuple(found)


def _last_without_a_break(versions: list[Version]) -> Version | None:
    first = None
    for each in reversed(versions):
        if each.retired or VerificationEnded.NAME not in each.document.get("events", (VerificationEnded.NAME,)):
            break
        first = each
    return first


def results_topics(versions: Iterable[Version]) -> tuple[str, ...]:
    """The topics that tenants have for their results."""
    newest = (each for each in versions if each.kind == "tenant" and each.until is None and not each.retired)
    return tuple(sorted({str(each.document.get("results_topic") or "") for each in newest} - {""}))
