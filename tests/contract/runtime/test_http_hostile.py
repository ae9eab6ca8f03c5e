"""Whatever comes in, a strict answer comes out, and nothing of it is repeated."""

from collections.abc import AsyncIterator

import aiohttp
import pytest

from tests.contract.runtime.door_case import KEY, MARK, Handlers, problem, talk
from watchword.runtime import api_keys
from watchword.runtime.http import Door

HOSTILE: list[tuple[str, bytes, dict[str, str], int, str]] = [
    ("nothing", b"", {}, 400, "empty_body"),
    ("an array", b"[]", {}, 400, "malformed_body"),
    ("a text", b'"x"', {}, 400, "malformed_body"),
    ("half an object", b'{"to":"493021', {}, 400, "malformed_json"),
    ("a name twice", b'{"to":"4930215555","to":"1"}', {}, 400, "malformed_json"),
    ("a name twice inside", b'{"to":"1","binding":{"a":"1","a":"2"}}', {}, 400, "malformed_json"),
    ("an unknown name", b'{"to":"1","4930215555":"1"}', {}, 400, "malformed_body"),
    ("a number for a text", b'{"to":4930215555}', {}, 400, "malformed_body"),
    ("an object for a text", b'{"to":{"$ne":null}}', {}, 400, "malformed_body"),
    ("null", b'{"to":null}', {}, 400, "malformed_body"),
    ("too long a text", b'{"to":"' + b"4930215555" * 4 + b'"}', {}, 400, "malformed_body"),
    ("NaN", b'{"to":NaN}', {}, 400, "malformed_json"),
    ("NUL, escaped", b'{"to":"4930215555\\u0000"}', {}, 400, "malformed_body"),
    ("NUL", b'{"to":"4930215555\x00"}', {}, 400, "malformed_json"),
    ("not UTF-8", b'{"to":"\xff\xfe4930215555"}', {}, 400, "malformed_json"),
    ("UTF-16", '{"to":"1"}'.encode("utf-16"), {}, 400, "malformed_json"),
    ("half a surrogate pair", b'{"to":"\\ud83d"}', {}, 400, "malformed_json"),
    ("deep nesting", b'{"to":' + b"[" * 5_000 + b"]" * 5_000 + b"}", {}, 400, "malformed_json"),
    ("a number without end", b'{"to":' + b"9" * 10_000 + b"}", {}, 400, "malformed_json"),
    ("quotes without end", b'{"to":"' + b'\\"' * 8_000, {}, 400, "malformed_json"),
    ("brackets and quotes", b'["[{' * 4_000, {}, 400, "malformed_json"),
    ("too much", b'{"to":"' + b"x" * 17_000 + b'"}', {}, 413, "body_too_large"),
    ("a form", b"to=4930215555", {"Content-Type": "application/x-www-form-urlencoded"}, 415, "unsupported_media_type"),
    ("no type", b'{"to":"1"}', {"Content-Type": ""}, 415, "unsupported_media_type"),
    (
        "another charset",
        b'{"to":"1"}',
        {"Content-Type": "application/json; charset=utf-16"},
        415,
        "unsupported_media_type",
    ),
    ("compression", b"\x1f\x8b", {"Content-Encoding": "gzip"}, 415, "unsupported_media_type"),
    ("a long idempotency key", b'{"to":"1"}', {"Idempotency-Key": "4930215555" * 30}, 400, "malformed_header"),
    ("an empty idempotency key", b'{"to":"1"}', {"Idempotency-Key": ""}, 400, "malformed_header"),
    ("no key", b'{"to":"1"}', {"Authorization": ""}, 401, "unauthenticated"),
    ("a wrong key", b'{"to":"1"}', {"Authorization": f"Bearer {api_keys.new_key(test=True)}"}, 401, "unauthenticated"),
]


@pytest.mark.parametrize(("what", "body", "headers", "status", "code"), HOSTILE, ids=[row[0] for row in HOSTILE])
async def test_a_hostile_body_is_a_4xx_problem_and_reaches_nobody(
    session: aiohttp.ClientSession,
    handlers: Handlers,
    what: str,
    body: bytes,
    headers: dict[str, str],
    status: int,
    code: str,
) -> None:
    own = {"Content-Type": "application/json", **headers}
    async with session.post("/v1/verifications", data=body, headers=own) as answer:
        await problem(answer, status, code)
    assert handlers.calls == 0, what


async def test_a_body_of_unknown_length_is_cut_off_too(session: aiohttp.ClientSession, handlers: Handlers) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b" " * 1_000

    headers = {"Content-Type": "application/json"}
    async with session.post("/v1/verifications", data=endless(), headers=headers) as answer:
        await problem(answer, 413, "body_too_large")
    assert handlers.calls == 0


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        (b"hello\r\n\r\n", b"400", b"malformed_request"),
        (b"GET /4930215555 HTTP/9.9\r\n\r\n", b"400", b"malformed_request"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nbad header 4930215555\r\n\r\n", b"400", b"malformed_request"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", b"400", b"malformed_request"),
        (
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"400",
            b"malformed_request",
        ),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"4930215555" * 900 + b"\r\n\r\n", b"431", b"header_too_large"),
        (b"GET /" + b"4930215555" * 900 + b" HTTP/1.1\r\nHost: x\r\n\r\n", b"431", b"header_too_large"),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 200 + b"\r\n", b"400", b"malformed_request"),
    ],
)
async def test_bytes_that_are_not_http_get_a_problem_and_a_closed_connection(
    door: Door, sent: bytes, status: bytes, code: bytes
) -> None:
    told = await talk(door, sent)
    assert told.split(b" ", 2)[1] == status and code in told
    assert MARK.encode() not in told and b"Server" not in told


async def test_a_request_with_two_keys_is_let_in_by_neither(door: Door, handlers: Handlers) -> None:
    other = api_keys.new_key(test=True)
    for first, second in ((KEY, other), (other, KEY), (KEY, KEY)):
        head = f"POST /v1/verifications HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {first}\r\n"
        told = await talk(door, f"{head}Authorization: Bearer {second}\r\nConnection: close\r\n\r\n".encode())
        assert told.split(b" ", 2)[1] == b"401"
    assert handlers.calls == 0
