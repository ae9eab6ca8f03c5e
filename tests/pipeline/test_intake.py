"""intake behind its HTTP door, between real Kafka and real Postgres: what a platform sees."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest_asyncio
from multidict import CIMultiDict

from tests.support.intake import Answered, Caller, intake
from tests.support.pipeline import Pipeline
from tests.support.waiting import eventually
from watchword.events import topics
from watchword.runtime import aad
from watchword.runtime.keyring import Purpose
from watchword.runtime.sealing import open_sealed, unwrap

CODE, NUMBER = "493021", "+919876543210"
TABLES = ("verifications", "latest_verifications", "subjects", "idempotency", "limits", "outbox")
NOBODY = "01a209b8-6ed3-7f1b-a1a2-19827046deab"


@pytest_asyncio.fixture
async def platform(stand: Pipeline) -> AsyncIterator[Caller]:
    """Somebody with keys, calling a running intake."""
    async with intake(stand) as caller:
        yield caller


async def test_a_platform_starts_a_verification_and_the_request_is_on_the_topic(platform: Caller) -> None:
    answer = await platform.start(NUMBER, purpose="login", reference="order-7", signals={"ip": "203.0.113.9"})
    assert answer.status == 202
    assert answer.body["to"] == "+91••••••3210"
    assert (answer.body["status"], answer.body["sends_left"], answer.body["checks_left"]) == ("pending", 4, 5)
    assert "RateLimit" in answer.headers and "RateLimit-Policy" in answer.headers
    [told] = await platform.stand.told(topics.REQUESTS, count=1)
    assert told.key == answer.body["id"]
    assert (told.envelope.sequence, told.envelope.tenant) == (1, "shop")
    await platform.stand.outbox_is_empty()


async def test_neither_number_nor_address_nor_code_is_on_any_topic(platform: Caller) -> None:
    signals = {"ip": "203.0.113.9", "device_id": "device-77", "account_ref": "account-88"}
    await platform.start(NUMBER, code=CODE, signals=signals)
    await platform.stand.told(topics.REQUESTS, count=1)
    [record] = await platform.stand.records(topics.REQUESTS)
    seen = record.value + b"".join(value for _, value in record.headers) + record.key
    for hidden in (b"9876543210", b"203.0.113", b"device-77", b"account-88", CODE.encode()):
        assert hidden not in seen


async def test_the_number_and_the_callers_code_are_sealed_for_those_who_need_them(platform: Caller) -> None:
    answer = await platform.start(NUMBER, code=CODE)
    row = await platform.stand.row("SELECT * FROM verifications JOIN subjects USING (tenant, number_token)")
    keys = platform.stand.keys
    token = row["number_token"]
    data_key = unwrap(keys.opening(Purpose.SUBJECT), row["wrapped_key"], tenant="shop", number_token=token)
    assert open_sealed((data_key,), row["number_sealed"], aad.number("shop", token)) == NUMBER.encode()
    own = open_sealed(keys.opening(Purpose.HANDOVER), row["own_code"], aad.own_code("shop", row["id"]))
    assert (own, str(row["id"])) == (CODE.encode(), answer.body["id"])


async def test_repeating_a_request_with_its_key_gives_the_same_answer_and_sends_once(platform: Caller) -> None:
    first = await platform.start(NUMBER, repeat="order-7", code=CODE)
    again = await asyncio.gather(*(platform.start(NUMBER, repeat="order-7", code=CODE) for _ in range(20)))
    assert {(each.status, each.raw) for each in again} == {(202, first.raw)}
    assert {each.headers.get("Idempotency-Replayed") for each in again} == {"true"}
    assert await platform.count("verifications") == 1
    stored = await platform.stand.row("SELECT * FROM idempotency")
    assert CODE.encode() not in stored["answer"] + stored["fingerprint"]


async def test_another_body_under_the_same_key_is_refused(platform: Caller) -> None:
    await platform.start(NUMBER, repeat="order-7")
    other = await platform.start("+919876543211", repeat="order-7")
    assert (other.status, other.body["code"]) == (422, "idempotency_mismatch")
    assert await platform.count("verifications") == 1


async def test_a_key_belongs_to_its_tenant(platform: Caller) -> None:
    await platform.start(NUMBER, repeat="order-7")
    assert (await platform.start(NUMBER, repeat="order-7", key="other/all")).status == 202
    assert await platform.count("verifications") == 2


async def test_a_key_whose_first_request_hangs_elsewhere_is_told_as_in_progress(platform: Caller) -> None:
    connection = platform.stand.connection
    async with connection.transaction():
        await connection.execute(
            "INSERT INTO idempotency (tenant, key, fingerprint, status, answer) VALUES ('shop', 'http:k', '', 0, '')"
        )
        answer = await platform.start(NUMBER, repeat="k")
        assert (answer.status, answer.body["code"]) == (409, "idempotency_in_progress")
        await connection.execute("DELETE FROM idempotency")
    assert (await platform.start(NUMBER, repeat="k")).status == 202


async def test_a_hundred_starts_of_one_number_begin_one_verification(platform: Caller) -> None:
    answers = await asyncio.gather(*(platform.start(NUMBER) for _ in range(100)))
    assert sorted(each.status for each in answers) == [202] + [429] * 99
    assert {each.body["id"] for each in answers} == {str(await platform.stand.connection.fetchval(
        "SELECT id FROM verifications"))}  # fmt: skip
    refused = next(each for each in answers if each.status == 429)
    assert refused.body["code"] == "cooldown"
    assert refused.body["next_send_at"] == next(each.body["next_send_at"] for each in answers if each.status == 202)
    assert 1 <= int(refused.headers["Retry-After"]) <= 30


async def test_a_resend_after_the_gap_is_told_and_the_sends_run_out(platform: Caller) -> None:
    started = await platform.start(NUMBER, policy="brief")
    path = f"/v1/verifications/{started.body['id']}/resend"
    assert (await platform.call("POST", path, {})).body["code"] == "cooldown"

    async def resent() -> Answered | None:
        answer = await platform.call("POST", path, {})
        return answer if answer.status == 202 else None

    again = await eventually(resent, within_s=10, what="the gap to pass")
    assert again is not None and again.body["sends_left"] == 0
    assert again.body["expires_at"] == started.body["expires_at"]
    assert (await platform.call("POST", path, {})).body["code"] == "sends_exhausted"
    told = await platform.stand.told(topics.REQUESTS, count=2)
    assert [(each.event.NAME, each.envelope.sequence) for each in told] == [
        ("verification-requested", 1),
        ("resend-requested", 2),
    ]


async def test_a_cancelled_verification_has_ended_and_stays_readable(platform: Caller) -> None:
    started = await platform.start(NUMBER, reference="order-7")
    path = f"/v1/verifications/{started.body['id']}"
    cancelled = await platform.call("POST", f"{path}/cancel", {})
    assert (cancelled.status, cancelled.body["status"]) == (200, "cancelled")
    for verb in ("resend", "cancel"):
        again = await platform.call("POST", f"{path}/{verb}", {})
        assert (again.status, again.body["code"]) == (410, "ended")
    read = await platform.call("GET", path)
    assert (read.status, read.body["status"], read.body["reference"]) == (200, "cancelled", "order-7")
    assert read.body["to"] == "+91••••••3210"
    [ended] = await platform.stand.told(topics.LIFECYCLE, count=1)
    assert (ended.event.NAME, ended.envelope.sequence) == ("verification-ended", 2)
    assert (await platform.start(NUMBER)).status == 202


async def test_a_verification_is_read_with_its_attempts_and_never_its_code(platform: Caller) -> None:
    started = await platform.start(NUMBER, code=CODE)
    await platform.stand.connection.execute(
        "INSERT INTO attempts (id, verification_id, send_no, try_no, code_version, send_deadline, state, receipt_state)"
        " VALUES ($1, $1, 1, 1, 1, clock_timestamp(), 'accepted', 'delivered')",
        started.body["id"],
    )
    read = await platform.call("GET", f"/v1/verifications/{started.body['id']}", key="shop/reader")
    [attempt] = read.body["attempts"]
    assert (attempt["send_no"], attempt["state"], attempt["receipt"]) == (1, "accepted", "delivered")
    assert CODE.encode() not in read.raw and b"9876543210" not in read.raw


async def test_feedback_is_kept_once_and_told_whatever_became_of_the_verification(platform: Caller) -> None:
    path = f"/v1/verifications/{(await platform.start(NUMBER)).body['id']}"
    await platform.call("POST", f"{path}/cancel", {})
    answers = [await platform.call("POST", f"{path}/feedback", {"good": good}) for good in (False, False, True)]
    assert [(each.status, each.body["good"]) for each in answers] == [(200, False), (200, False), (200, True)]
    assert (await platform.call("POST", f"{path}/feedback", {"good": 1})).status == 400
    assert (await platform.call("POST", f"{path}/feedback", {"good": True}, key="shop/reader")).status == 403
    told = await platform.stand.told(topics.LIFECYCLE, count=3)
    assert sorted((each.envelope.sequence, each.event.NAME, getattr(each.event, "good", None)) for each in told) == [
        (2, "verification-ended", None),
        (3, "feedback-given", False),
        (4, "feedback-given", True),
    ]
    [asked] = await platform.stand.told(topics.REQUESTS, count=1)
    assert getattr(asked.event, "asked_by", "") == "all", "the key's name travels with the request"


async def test_another_tenants_verification_looks_exactly_like_none(platform: Caller) -> None:
    theirs = (await platform.start(NUMBER)).body["id"]
    for method, verb, body in (
        ("GET", "", None),
        ("POST", "/resend", {}),
        ("POST", "/cancel", {}),
        ("POST", "/feedback", {"good": True}),
    ):
        answers = [
            await platform.call(method, f"/v1/verifications/{identity}{verb}", body, key="other/all")
            for identity in (theirs, NOBODY, theirs.upper(), "x")
        ]
        assert {each.status for each in answers} == {404}
        assert len({each.raw for each in answers}) == 1
    assert (await platform.call("GET", f"/v1/verifications/{theirs}")).body["status"] == "pending"


async def test_the_simple_pair_starts_with_the_tenants_own_region(platform: Caller) -> None:
    answer = await platform.call("POST", "/send-otp", {"mobile": "98765 43210", "otp": CODE})
    assert (answer.status, answer.body["to"]) == (202, "+91••••••3210")
    row = await platform.stand.row("SELECT purpose, policy, own_code FROM verifications")
    assert (row["purpose"], row["policy"], row["own_code"] is not None) == ("default", "default", True)


async def test_a_key_without_the_scope_may_not_start(platform: Caller) -> None:
    assert (await platform.start(NUMBER, key="shop/reader")).status == 403
    assert (await platform.start(NUMBER, key="")).status == 401
    assert (await platform.start(NUMBER, key="wwk_live_nobody")).status == 401
    assert await platform.count("verifications") == 0


WRONG: list[tuple[dict[str, Any], int, str]] = [
    ({"to": "+1"}, 422, "number_invalid"),
    ({"to": "+91987654321\u0660"}, 422, "number_invalid"),
    ({"to": "+919876543210;ext=5"}, 422, "number_invalid"),
    ({"to": "+91 98765 43210" + " " * 40}, 422, "number_invalid"),
    ({"to": "+14155550123"}, 403, "country_not_permitted"),
    ({"to": "+911800111109"}, 422, "number_type_refused"),
    ({"policy": "nobody"}, 422, "policy_unknown"),
    ({"policy": "strict", "purpose": "login"}, 422, "policy_unknown"),
    ({"policy": "strict", "purpose": "payment", "code": CODE}, 422, "code_refused"),
    ({"template": "nobody"}, 422, "template_unknown"),
    ({"channel": "voice"}, 422, "channel_unsupported"),
    ({"ttl_s": 10}, 422, "policy_bounds"),
    ({"ttl_s": 301}, 422, "policy_bounds"),
    ({"ttl_s": True}, 400, "malformed_body"),
    ({"ttl_s": "300"}, 400, "malformed_body"),
    ({"to": None}, 400, "malformed_body"),
    ({"to": ["+919876543210"]}, 400, "malformed_body"),
    ({"to": 919876543210}, 400, "malformed_body"),
    ({"code": "12345\u0665"}, 400, "malformed_body"),
    ({"code": "123"}, 400, "malformed_body"),
    ({"code": "12345678901"}, 400, "malformed_body"),
    ({"code": "123456\n"}, 400, "malformed_body"),
    ({"code": 123456}, 400, "malformed_body"),
    ({"purpose": "Login!"}, 400, "malformed_body"),
    ({"reference": "a\u0007b"}, 400, "malformed_body"),
    ({"reference": "a\u0000b"}, 400, "malformed_body"),
    ({"reference": "x" * 257}, 400, "malformed_body"),
    ({"locale": "e" * 36}, 400, "malformed_body"),
    ({"binding": {"amount": 12}}, 400, "malformed_body"),
    ({"binding": {f"k{number}": "v" for number in range(17)}}, 400, "malformed_body"),
    ({"signals": {"ip": "not-an-address"}}, 400, "malformed_body"),
    ({"signals": {"ip": "fe80::1%eth0"}}, 400, "malformed_body"),
    ({"signals": {"form_ms": -1}}, 400, "malformed_body"),
    ({"signals": {"unknown": 1}}, 400, "malformed_body"),
    ({"unknown": 1}, 400, "malformed_body"),
]


async def test_a_request_that_asks_for_the_wrong_thing_is_told_which(platform: Caller) -> None:
    before = [await platform.count(table) for table in TABLES]
    for said, status, code in WRONG:
        answer = await platform.call("POST", "/v1/verifications", {"to": NUMBER, **said})
        assert (answer.status, answer.body["code"]) == (status, code), said
        assert answer.headers["Content-Type"] == "application/problem+json", said
        assert b"9876543210" not in answer.raw and CODE.encode() not in answer.raw, said
    assert [await platform.count(table) for table in TABLES] == before


HOSTILE = {
    "nothing": b"",
    "blanks": b"   ",
    "half an object": b'{"to":',
    "a list": b"[]",
    "a text": b'"+919876543210"',
    "null": b"null",
    "a number": b"7",
    "NaN": b'{"to":NaN}',
    "a name twice": b'{"to":"+919876543210","to":"+919876543211"}',
    "an inner name twice": b'{"to":"+919876543210","signals":{"ip":"1.1.1.1","ip":"2.2.2.2"}}',
    "not UTF-8": b'{"to":"\xff\xfe"}',
    "UTF-16": '{"to":"+919876543210"}'.encode("utf-16"),
    "a byte order mark": b'\xef\xbb\xbf{"to":"+919876543210"}',
    "NUL": b'{"to":"+919876543210\\u0000"}',
    "a bare NUL": b'{"to":"+919876543210\x00"}',
    "a lone surrogate": b'{"to":"+919876543210","reference":"\\ud800"}',
    "deep nesting": b'{"to":' * 2_000 + b"1" + b"}" * 2_000,
    "deep lists": b'{"to":' + b"[" * 7_000 + b"]" * 7_000 + b"}",
    "an endless number": b'{"ttl_s":' + b"9" * 5_000 + b"}",
    "too much": b'{"to":"' + b"1" * 17_000 + b'"}',
    "two objects": b'{"to":"+919876543210"}{}',
    "a comment": b'{"to":"+919876543210"/*x*/}',
    "a trailing comma": b'{"to":"+919876543210",}',
}


async def test_hostile_bodies_are_refused_as_the_callers_fault_and_change_nothing(platform: Caller) -> None:
    before = [await platform.count(table) for table in TABLES]
    for path in ("/v1/verifications", "/send-otp", f"/v1/verifications/{NOBODY}/resend"):
        for name, body in HOSTILE.items():
            answer = await platform.call("POST", path, body)
            assert 400 <= answer.status < 500, f"{path}, {name}: {answer.status}"
            assert answer.headers["Content-Type"] == "application/problem+json", name
            assert orjson.loads(answer.raw)["status"] == answer.status, name
    assert [await platform.count(table) for table in TABLES] == before


async def test_hostile_headers_are_refused(platform: Caller) -> None:
    told: list[tuple[dict[str, str], int]] = [
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Encoding": "gzip"}, 415),
        ({"Idempotency-Key": "k" * 201}, 400),
        ({"Idempotency-Key": "with space"}, 400),
        ({"Idempotency-Key": ""}, 400),
        ({"Idempotency-Key": "tab\there"}, 400),
        ({"Idempotency-Key": "schl\u00fcssel"}, 400),
    ]
    for headers, status in told:
        answer = await platform.call("POST", "/v1/verifications", {"to": NUMBER}, headers=headers)
        assert answer.status == status, headers
    assert await platform.count("verifications") == 0
    twice = CIMultiDict({"Authorization": f"Bearer {platform.keys['shop/all']}"})
    twice.extend([("Idempotency-Key", "a"), ("Idempotency-Key", "b")])
    async with platform.session.post(f"{platform.url}/v1/verifications", json={"to": NUMBER}, headers=twice) as refused:
        assert refused.status == 400
    assert await platform.count("verifications") == 0


async def test_every_visible_character_may_stand_in_a_key_and_each_counts(platform: Caller) -> None:
    visible = "".join(chr(number) for number in range(0x21, 0x7F))
    longest = (visible * 3)[:200]
    first = await platform.start(NUMBER, repeat=longest)
    again = await platform.start(NUMBER, repeat=longest)
    other = await platform.start("+919876543211", repeat=longest[:-1])
    assert (first.status, again.raw, other.status) == (202, first.raw, 202)
    assert "Idempotency-Replayed" not in other.headers
