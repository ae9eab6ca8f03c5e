"""intake's limits and gates as platforms meet them: exact under parallel calls, and nobody pays for another."""

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.support.intake import Caller, intake
from tests.support.pipeline import Pipeline
from tests.support.waiting import eventually
from watchword.events import topics
from watchword.events.risk_level_set import RiskLevel, RiskLevelSet
from watchword.kernel.feature import Kind, feature_key
from watchword.local.ports import free_ports


def numbers(count: int, *, first: int = 9_000_000_000) -> list[str]:
    """Indian mobile numbers, each in a range of its own."""
    return [f"+91{first + index * 10_000}" for index in range(count)]


async def outcomes(caller: Caller, asked: list[str], **said: Any) -> Counter[str]:
    answers = await asyncio.gather(*(caller.start(to, key="narrow/all", **said) for to in asked))
    return Counter(
        "accepted" if each.status == 202 else str(each.body.get("limit") or each.body["code"]) for each in answers
    )


async def test_a_tenants_rate_is_exact_under_64_parallel_calls(stand: Pipeline) -> None:
    async with intake(stand) as platform:
        seen = await outcomes(platform, numbers(64))
        buckets = await stand.connection.fetchval(
            "SELECT count(*) FROM limits WHERE key LIKE 'send/10min/%' AND tat > now()"
        )
    # One more may flow in for every second that the calls take.
    assert seen["accepted"] in range(40, 44)
    assert seen["accepted"] + seen["tenant"] == 64
    assert buckets == seen["accepted"]


async def test_a_flood_that_one_limit_refuses_leaves_the_others_to_strangers(stand: Pipeline) -> None:
    async with intake(stand) as platform:
        flood = await outcomes(platform, numbers(30), signals={"ip": "203.0.113.9"})
        assert flood == {"accepted": 2, "ip": 28}
        assert (await outcomes(platform, numbers(30)[2:4])) == {"accepted": 2}
        crowd = [f"+91987654{index:04d}" for index in range(10)]
        assert (await outcomes(platform, crowd)) == {"accepted": 3, "range": 7}
        left = await platform.start("+919112345678", key="narrow/all")
    # 8 of 40 were taken; what was refused gave nothing away.
    assert int(left.headers["RateLimit"].partition("r=")[2].partition(";")[0]) in (32, 33)


async def test_addresses_of_one_ipv6_customer_share_a_budget(stand: Pipeline) -> None:
    async with intake(stand) as platform:
        asked = zip(numbers(4), ("2001:db8::1", "2001:db8::2", "2001:db8::3", "2001:db8:0:1::1"), strict=True)
        answers = [await platform.start(to, key="narrow/all", signals={"ip": ip}) for to, ip in asked]
    assert [each.status for each in answers] == [202, 202, 429, 202]


async def test_a_number_has_its_own_budget_across_verifications(stand: Pipeline) -> None:
    async with intake(stand) as platform:
        for _ in range(5):
            started = await platform.start()
            await platform.call("POST", f"/v1/verifications/{started.body['id']}/cancel", {})
        answer = await platform.start()
    assert (answer.status, answer.body["code"], answer.body["limit"]) == (429, "number_limited", "10min")
    assert int(answer.headers["Retry-After"]) in range(110, 121)


async def test_a_blocked_range_is_refused_for_a_tenant_that_enforces_unless_the_user_is_vouched_for_or_known(
    stand: Pipeline,
) -> None:
    async with intake(stand) as platform:
        for tenant in ("other", "shop"):
            feature = feature_key(Kind.RANGE, "+91987654", tenant)
            until = datetime.now(UTC) + timedelta(minutes=5)
            level = RiskLevelSet(feature=feature, level=RiskLevel.BLOCKED, until=until, ruleset="test")
            await stand.publish(level, subject=feature, topic=topics.RISK_LEVELS)

        async def is_blocked() -> bool:
            return (await platform.start("+919876540001", key="other/all")).status == 403

        await eventually(is_blocked, within_s=10, what="the level to be mirrored")
        blocked = await platform.start("+919876541234", key="other/all")
        assert (blocked.status, blocked.body["code"]) == (403, "blocked")
        vouched = await platform.start("+919876541234", key="other/all", signals={"trusted": True})
        await stand.connection.execute(
            "UPDATE subjects AS s SET verified_at = now() FROM verifications AS v "
            "WHERE v.id = $1 AND s.tenant = v.tenant AND s.number_token = v.number_token",
            vouched.body["id"],
        )
        await platform.call("POST", f"/v1/verifications/{vouched.body['id']}/cancel", {}, key="other/all")
        known = await platform.start("+919876541234", key="other/all")
        elsewhere = await platform.start("+919112345678", key="other/all")
        monitored = await platform.start("+919876541234")
        assert [each.status for each in (vouched, known, elsewhere, monitored)] == [202, 202, 202, 202]


async def test_two_processes_begin_one_verification_of_a_number_and_one_per_key(stand: Pipeline) -> None:
    [port] = free_ports(1)
    async with intake(stand) as here, stand.running("intake", ordinal=1, http_port=port):
        there = replace(here, url=f"http://127.0.0.1:{port}")
        both = [here, there] * 30
        starts = await asyncio.gather(*(each.start("+919876543210") for each in both))
        assert sorted(each.status for each in starts) == [202] + [429] * 59
        keyed = await asyncio.gather(*(each.start("+919112345678", repeat="order-7") for each in both))
        assert {each.status for each in keyed} == {202}
        assert len({each.raw for each in keyed}) == 1
        assert sum("Idempotency-Replayed" not in each.headers for each in keyed) == 1
        assert await here.count("verifications") == 2


async def test_a_tenants_rate_is_exact_across_two_processes(stand: Pipeline) -> None:
    [port] = free_ports(1)
    async with intake(stand) as here, stand.running("intake", ordinal=1, http_port=port):
        there = replace(here, url=f"http://127.0.0.1:{port}")
        one, other = await asyncio.gather(
            outcomes(here, numbers(40)), outcomes(there, numbers(40, first=9_100_000_000))
        )
    assert (one + other)["accepted"] in range(40, 44)
