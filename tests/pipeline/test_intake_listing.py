"""GET /v1/verifications: a tenant finds its own again, page by page, and nobody else's."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest_asyncio

from tests.support.intake import Answered, Caller, intake
from tests.support.pipeline import Pipeline

PATH = "/v1/verifications"


@pytest_asyncio.fixture
async def platform(stand: Pipeline) -> AsyncIterator[Caller]:
    async with intake(stand) as caller:
        yield caller


async def listed(platform: Caller, *, key: str = "shop/reader", **asked: Any) -> Answered:
    words = {name.removesuffix("_"): value for name, value in asked.items()}
    return await platform.call("GET", f"{PATH}?{urlencode(words)}" if words else PATH, key=key)


def ids(answer: Answered) -> list[str]:
    return [each["id"] for each in answer.body["verifications"]]


async def started(platform: Caller, count: int, **said: Any) -> list[str]:
    """That many verifications, the newest first."""
    numbers = [f"+9198765432{n:02d}" for n in range(count)]
    return [(await platform.start(number, **said)).body["id"] for number in numbers][::-1]


async def test_pages_follow_each_other_and_every_verification_comes_once(platform: Caller) -> None:
    begun = await started(platform, 7)
    seen, pages, cursor = [], 0, None
    while pages == 0 or cursor is not None:
        page = await listed(platform, limit=3, **({"cursor": cursor} if cursor else {}))
        assert page.status == 200
        seen += ids(page)
        pages, cursor = pages + 1, page.body["next_cursor"]
    assert (seen, pages) == (begun, 3)


async def test_a_full_last_page_says_that_it_is_the_last(platform: Caller) -> None:
    await started(platform, 2)
    assert (await listed(platform, limit=2)).body["next_cursor"] is None
    assert (await listed(platform)).body["next_cursor"] is None


async def test_they_are_told_as_each_is_told_by_itself_without_the_attempts(platform: Caller) -> None:
    [identity] = await started(platform, 1, reference="order-7")
    await platform.call("POST", f"{PATH}/{identity}/cancel", {})
    alone = (await platform.call("GET", f"{PATH}/{identity}")).body
    [found] = (await listed(platform)).body["verifications"]
    assert found == {name: value for name, value in alone.items() if name != "attempts"}
    assert (found["status"], found["result"]["state"], found["to"]) == ("cancelled", "cancelled", "+91••••••3200")


async def test_a_reference_a_status_and_a_time_each_narrow_the_list(platform: Caller) -> None:
    [marked] = await started(platform, 1, reference="order-7")
    [other] = await started(platform, 1, purpose="login", reference="order-8")
    await platform.call("POST", f"{PATH}/{marked}/cancel", {})
    assert ids(await listed(platform, reference="order-7")) == [marked]
    assert ids(await listed(platform, reference="order")) == []
    assert ids(await listed(platform, status="cancelled")) == [marked]
    assert ids(await listed(platform, status="pending")) == [other]
    assert ids(await listed(platform, status="pending", reference="order-7")) == []
    at = (await platform.stand.row("SELECT created_at AS at FROM verifications WHERE reference = 'order-8'"))["at"]
    assert ids(await listed(platform, from_=at.isoformat())) == [other]
    assert ids(await listed(platform, to=at.isoformat())) == [marked]
    assert ids(await listed(platform, from_=(at + timedelta(microseconds=1)).isoformat())) == []


async def test_nobody_sees_anything_of_another_tenant(platform: Caller) -> None:
    await started(platform, 3, reference="order-7")
    cursor = (await listed(platform, limit=1)).body["next_cursor"]
    filters: list[dict[str, str]] = [{}, {"reference": "order-7"}, {"status": "pending"}]
    for asked in filters:
        theirs = await listed(platform, key="other/all", **asked)
        assert theirs.body == {"verifications": [], "next_cursor": None}
    borrowed = await listed(platform, key="other/all", limit=1, cursor=cursor)
    assert (borrowed.status, borrowed.body["code"]) == (400, "cursor_invalid")


async def test_a_cursor_of_other_filters_or_of_nobodys_making_is_refused(platform: Caller) -> None:
    await started(platform, 3)
    cursor = (await listed(platform, limit=1)).body["next_cursor"]
    assert len(ids(await listed(platform, limit=2, cursor=cursor))) == 2
    for asked in ({"cursor": cursor, "status": "pending"}, {"cursor": cursor[:-2]}, {"cursor": "A" * 43}):
        refused = await listed(platform, **asked)
        assert (refused.status, refused.body["code"]) == (400, "cursor_invalid"), asked


WRONG: list[dict[str, Any]] = [
    {"limit": 0}, {"limit": 101}, {"limit": "x"}, {"status": "nothing"}, {"status": "PENDING"}, {"from": "yesterday"},
    {"from": "2026-11-25T10:00:00"}, {"to": ""}, {"reference": "x" * 257}, {"reference": "a\u0000b"},
    {"cursor": "x" * 65}, {"tenant": "other"},
]  # fmt: skip


async def test_a_query_that_is_wrong_is_told_as_such(platform: Caller) -> None:
    for asked in WRONG:
        refused = await listed(platform, **asked)
        assert (refused.status, refused.body["code"]) == (400, "malformed_query"), asked
    for query in ("limit=1&limit=2", "from=%ff", "limit"):
        refused = await platform.call("GET", f"{PATH}?{query}", key="shop/reader")
        assert (refused.status, refused.body["code"]) == (400, "malformed_query"), query


async def test_times_at_the_ends_of_the_calendar_are_times(platform: Caller) -> None:
    [identity] = await started(platform, 1)
    first, last = "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"
    assert ids(await listed(platform, from_=first, to=last)) == [identity]
    assert ids(await listed(platform, from_=last)) == []
    assert ids(await listed(platform, to=first)) == []


async def test_who_may_not_read_may_not_list(platform: Caller) -> None:
    assert (await listed(platform, key="")).status == 401
    assert (await listed(platform, key="shop/starter")).status == 403
