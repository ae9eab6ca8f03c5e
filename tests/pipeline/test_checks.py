"""checks on its door, between real Postgres and real Kafka: what the user typed is counted and answered once."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.support import disk
from tests.support.door import Caller, calling
from tests.support.pipeline import Pipeline
from tests.support.rows import CODE, issued
from watchword.events import topics
from watchword.events.code_checked import CodeChecked
from watchword.events.verification import Facts
from watchword.events.verification_ended import VerificationEnded
from watchword.local.ports import LOOPBACK, free_ports

CONFIGURATION = Path(__file__).with_name("checks.toml")


@asynccontextmanager
async def checking(stand: Pipeline, **changes: Any) -> AsyncIterator[Caller]:
    """The worker on a door of its own, and a platform with its key."""
    applied = await stand.configure(CONFIGURATION)
    [key] = [each.key for each in applied.new_keys if each.name == "platform"]
    [port] = free_ports(1)
    async with stand.running("checks", http_port=port, **changes), calling(f"http://{LOOPBACK}:{port}", key) as caller:
        yield caller


def path(about: Facts) -> str:
    return f"/v1/verifications/{about.verification_id}/check"


async def test_the_right_code_is_approved_once_and_told(stand: Pipeline) -> None:
    about = await issued(stand)
    async with checking(stand) as platform:
        wrong = await platform.post(path(about), {"code": "000000"})
        right = await platform.post(path(about), {"code": CODE})
        again = await platform.post(path(about), {"code": CODE})
        events = [each.event for each in await stand.told(topics.LIFECYCLE, count=3)]
        await stand.outbox_is_empty()
    assert [(each.status, each.json) for each in (wrong, right, again)] == [
        (200, {"result": "wrong", "checks_left": 4}),
        (200, {"result": "approved", "checks_left": 0}),
        (200, {"result": "used", "checks_left": 0}),
    ]
    checked = [each.result for each in events if isinstance(each, CodeChecked)]
    ended = [each.state for each in events if isinstance(each, VerificationEnded)]
    assert (checked, ended) == (["wrong", "approved"], ["approved"])


async def test_wrong_codes_lock_and_then_the_right_one_is_no_use(stand: Pipeline) -> None:
    about = await issued(stand, checks_max=3)
    async with checking(stand) as platform:
        answers = [await platform.post(path(about), {"code": code}) for code in ("000000", "000001", "000002", CODE)]
        await stand.told(topics.LIFECYCLE, count=4)
    assert [each.json["result"] for each in answers] == ["wrong", "wrong", "locked", "locked"]
    assert [each.json["checks_left"] for each in answers] == [2, 1, 0, 0]


async def test_200_parallel_checks_over_http_count_no_more_than_there_are(stand: Pipeline) -> None:
    about, other = await issued(stand), await issued(stand, number="+919876543211")
    async with checking(stand) as platform:
        wrong = [platform.post(path(about), {"code": f"{n:06d}"}) for n in range(100)]
        right = [platform.post(path(other), {"code": CODE}) for _ in range(100)]
        answers = await asyncio.gather(*wrong, *right)
    told = Counter(each.json["result"] for each in answers)
    assert told == {"wrong": 4, "locked": 96, "approved": 1, "used": 99}


async def test_the_simple_form_finds_the_newest_verification_of_a_number(stand: Pipeline) -> None:
    await issued(stand, purpose="default", code="111111")
    about = await issued(stand, purpose="default")
    async with checking(stand) as platform:
        older = await platform.post("/verify-otp", {"mobile": "9876543210", "otp": "111111"})
        right = await platform.post("/verify-otp", {"mobile": "+91 98765 43210", "otp": CODE})
    assert older.json == {"verified": False, "result": "wrong", "checks_left": 4}
    assert right.json == {"verified": True, "result": "approved", "checks_left": 0}
    assert (await stand.row("SELECT state FROM verifications WHERE id = $1", about.verification_id))["state"] == (
        "approved"
    )


async def test_a_number_that_was_never_asked_about_answers_as_one_whose_code_expired(stand: Pipeline) -> None:
    await issued(stand, purpose="default", state="expired", ended_at=(await stand.row("SELECT now() AS at"))["at"])
    async with checking(stand) as platform:
        expired = await platform.post("/verify-otp", {"mobile": "9876543210", "otp": CODE})
        never = await platform.post("/verify-otp", {"mobile": "9876543299", "otp": CODE})
    assert (expired.status, expired.body) == (never.status, never.body)
    assert never.json == {"verified": False, "result": "expired", "checks_left": 0}


async def test_an_unknown_id_and_another_tenants_are_answered_byte_for_byte_alike(stand: Pipeline) -> None:
    about = await issued(stand)
    await stand.connection.execute("UPDATE verifications SET tenant = 'other'")
    async with checking(stand) as platform:
        theirs = await platform.post(path(about), {"code": CODE})
        nobodys = await platform.post(f"/v1/verifications/{uuid4()}/check", {"code": CODE})
        garbage = await platform.post("/v1/verifications/7/check", {"code": CODE})
    assert theirs.status == nobodys.status == garbage.status == 404
    assert theirs.body == nobodys.body == garbage.body
    assert theirs.headers["Content-Type"] == "application/problem+json"
    assert (await stand.row("SELECT checks_used FROM verifications"))["checks_used"] == 0


async def test_a_binding_that_was_changed_is_a_mismatch(stand: Pipeline) -> None:
    about = await issued(stand, binding_hash="0" * 32)
    async with checking(stand) as platform:
        answer = await platform.post(path(about), {"code": CODE, "binding": {"amount": "99.00"}})
    assert answer.json == {"result": "binding_mismatch", "checks_left": 4}


async def test_a_number_out_of_guesses_is_told_how_long_to_wait(stand: Pipeline) -> None:
    about = await issued(stand, rules={"wrong_per_hour": 1})
    async with checking(stand) as platform:
        await platform.post(path(about), {"code": "000000"})
        refused = await platform.post(path(about), {"code": CODE})
    assert (refused.status, refused.json["code"]) == (429, "number_limited")
    assert 0 < int(refused.headers["Retry-After"]) <= 3_600


def digits_at(zero: int) -> str:
    """The code in the digits of another script, whose zero stands at `zero`."""
    return "".join(chr(zero + int(digit)) for digit in CODE)


HOSTILE = {
    "empty": b"",
    "no JSON": b"{",
    "not an object": b"[]",
    "no code": b"{}",
    "empty code": b'{"code":""}',
    "a number": b'{"code":493021}',
    "true": b'{"code":true}',
    "null": b'{"code":null}',
    "full-width digits": f'{{"code":"{digits_at(0xFF10)}"}}'.encode(),
    "Arabic digits": f'{{"code":"{digits_at(0x0660)}"}}'.encode(),
    "underscore": b'{"code":"4_9302"}',
    "plus": b'{"code":"+49302"}',
    "spaces": b'{"code":" 493021 "}',
    "newline at the end": b'{"code":"493021\\n"}',
    "NUL": b'{"code":"493021\\u0000"}',
    "too short": b'{"code":"493"}',
    "too long": b'{"code":"49302149302"}',
    "named twice": b'{"code":"000000","code":"493021"}',
    "unknown field": b'{"code":"493021","admin":true}',
    "not UTF-8": b'{"code":"\xff\xfe"}',
    "nested deeply": b'{"code":' + b"[" * 500 + b"]" * 500 + b"}",
    "too large": b'{"code":"493021","binding":{"a":"' + b"x" * 20_000 + b'"}}',
    "binding null": b'{"code":"493021","binding":null}',
    "binding of numbers": b'{"code":"493021","binding":{"amount":12}}',
    "list of codes": b'{"code":["000000","493021"]}',
}


async def test_hostile_bodies_are_refused_with_a_problem_and_count_nothing(stand: Pipeline) -> None:
    about = await issued(stand)
    async with checking(stand) as platform:
        for what, body in HOSTILE.items():
            answer = await platform.send("POST", path(about), body, Content_Type="application/json")
            assert 400 <= answer.status < 500, (what, answer)
            assert answer.headers["Content-Type"] == "application/problem+json", what
            assert b"493021" not in answer.body, what
    row = await stand.row("SELECT checks_used, state FROM verifications")
    assert tuple(row) == (0, "issued")


@pytest.mark.parametrize("key", ["", "nonsense"])
async def test_nobody_checks_without_a_key(stand: Pipeline, key: str) -> None:
    about = await issued(stand)
    async with checking(stand) as platform:
        answer = await Caller(platform.url, platform.session, key).post(path(about), {"code": CODE})
    assert answer.status == 401
    assert (await stand.row("SELECT checks_used FROM verifications"))["checks_used"] == 0


async def test_a_key_without_the_scope_may_not_check(stand: Pipeline) -> None:
    about = await issued(stand)
    async with checking(stand) as platform:
        assert stand.applied is not None
        [key] = [each.key for each in stand.applied.new_keys if each.name == "starter"]
        answer = await Caller(platform.url, platform.session, key).post(path(about), {"code": CODE})
    assert answer.status == 403


async def test_whoever_types_the_right_code_again_and_again_while_the_disk_is_full_is_not_locked_out(
    stand: Pipeline,
) -> None:
    """Each try was counted, and none could be told: the fifth one locked the verification."""
    about = await issued(stand)
    async with checking(stand) as platform:
        await stand.connection.execute(disk.FULL)
        refused = [await platform.post(path(about), {"code": CODE}) for _ in range(8)]
        used = (await stand.row("SELECT checks_used FROM verifications"))["checks_used"]
        await stand.connection.execute(disk.HAS_ROOM)
        right = await platform.post(path(about), {"code": CODE})
        await stand.outbox_is_empty()
    assert {each.status for each in refused} == {503}
    assert used == 1, "the first one found out"
    assert right.json == {"result": "approved", "checks_left": 0}


async def test_while_postgres_does_not_answer_nothing_is_approved(stand: Pipeline) -> None:
    """A lock stands for a database that hangs: the caller hears 503 in time, and the code is not consumed."""
    about = await issued(stand)
    async with checking(stand) as platform:
        async with stand.connection.transaction():
            await stand.connection.execute("LOCK TABLE verifications IN ACCESS EXCLUSIVE MODE")
            away = await platform.post(path(about), {"code": CODE})
        state = (await stand.row("SELECT state FROM verifications"))["state"]
        back = await platform.post(path(about), {"code": CODE})
    assert (away.status, state) == (503, "issued")
    assert "Retry-After" in away.headers
    assert back.json["result"] in ("approved", "used")
