"""What applied documents said, and since when."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from watchword.audit.versions import TAKEN_UP_WITHIN, Version, limits, prices_micros, results_topics, subscriptions

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
ENDPOINT = {"id": "main", "tenant": "shop", "events": ["verification-ended"]}


def version(number: int, document: dict[str, Any], *, kind: str = "endpoint", retired: bool = False) -> Version:
    """The version that was applied `number` hours after noon."""
    return Version(kind, f"shop/{document.get('id', 'x')}", document, NOON + number * HOUR, None, retired)


def test_endpoint_is_to_be_told_from_when_every_worker_knew_it() -> None:
    [told] = subscriptions([version(0, ENDPOINT), version(1, {**ENDPOINT, "url": "https://other"})])
    assert (told.tenant, told.endpoint, told.since) == ("shop", "main", NOON + TAKEN_UP_WITHIN)


@pytest.mark.parametrize(
    ("versions", "since_h"),
    [
        ([version(0, ENDPOINT), version(1, ENDPOINT, retired=True)], None),
        ([version(0, ENDPOINT), version(1, {**ENDPOINT, "events": ["code-checked"]})], None),
        ([version(0, {**ENDPOINT, "events": ["code-checked"]}), version(1, ENDPOINT)], 1),
        ([version(0, ENDPOINT), version(1, ENDPOINT, retired=True), version(2, ENDPOINT)], 2),
    ],
)
def test_endpoint_counts_since_it_was_last_to_hear_of_endings(versions: list[Version], since_h: int | None) -> None:
    told = [each.since - TAKEN_UP_WITHIN for each in subscriptions(versions)]
    assert told == ([] if since_h is None else [NOON + since_h * HOUR])


def test_every_version_of_a_cap_stood_for_its_time() -> None:
    documents: list[dict[str, Any]] = [{"id": "all", "hour_micros": 5, "a_field_of_tomorrow": 1}, {"id": "All!"}]
    told = limits([Version("cap", "all", each, NOON, NOON + HOUR) for each in documents])
    assert [each.cap.hour_micros for each in told] == [5]
    assert told[0].stood(NOON + HOUR, NOON + 2 * HOUR)
    assert not told[0].stood(NOON + HOUR + 2 * TAKEN_UP_WITHIN, NOON + 3 * HOUR)
    assert not told[0].stood(NOON - HOUR, NOON - TAKEN_UP_WITHIN)
    assert limits([version(0, {"id": "all"}, kind="cap", retired=True)]) == ()


def test_a_price_is_the_most_it_ever_was() -> None:
    told = [{"country": "IN", "micros": 7}, {"country": "IN", "micros": 5}, {"country": "*", "micros": 9}]
    assert prices_micros(version(number, each, kind="price") for number, each in enumerate(told)) == {"IN": 7, "*": 9}


def test_topics_of_tenants_are_those_they_have() -> None:
    told = [{"id": "a"}, {"id": "b", "results_topic": "results.old"}, {"id": "b", "results_topic": "results.b"}]
    first, replaced, newest = (version(number, each, kind="tenant") for number, each in enumerate(told))
    gone = version(3, {"id": "c", "results_topic": "results.c"}, kind="tenant", retired=True)
    assert results_topics([first, replace(replaced, until=newest.since), newest, gone]) == ("results.b",)
