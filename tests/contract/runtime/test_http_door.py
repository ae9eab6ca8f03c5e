"""The door on a real socket: what its handlers get, and what callers are told."""

from typing import Any

import aiohttp
import asyncpg
import pytest

from tests.contract.runtime.door_case import MARK, Handlers, problem
from watchword.checks import worker as checks
from watchword.runtime.coalesce import Overloaded
from watchword.runtime.http import Door
from watchword.runtime.metrics import Metrics
from watchword.runtime.problems import PROBLEMS, Problem


async def test_a_good_request_reaches_its_handler(session: aiohttp.ClientSession) -> None:
    headers = {"Idempotency-Key": "order-1", "X-Forwarded-For": "198.51.100.1"}
    async with session.post("/v1/verifications", json={"to": "+919876543210"}, headers=headers) as answer:
        assert answer.status == 202
        assert await answer.json() == {
            "id": "", "tenant": "shop", "to": "+919876543210", "key": "order-1", "ip": "127.0.0.1", "limit": 0,
        }  # fmt: skip
        assert "Server" not in answer.headers and answer.headers["Cache-Control"] == "no-store"


async def test_a_key_without_the_scope_is_403(session: aiohttp.ClientSession) -> None:
    async with session.delete("/v1/verifications/1") as answer:
        await problem(answer, 403, "forbidden_scope")


async def test_unknown_places_and_methods_are_problems(session: aiohttp.ClientSession) -> None:
    for path in ("/", "/v2", "/v1/verifications/1/", "/v1/verifications/%00/x", "/v1/../fail/x", f"/{MARK}"):
        async with session.get(path) as answer:
            await problem(answer, 404, "not_found")
    async with session.put("/v1/verifications/1") as answer:
        await problem(answer, 405, "method_not_allowed")
        assert answer.headers["Allow"] == "DELETE, GET"


async def test_queries_are_as_strict_as_bodies(session: aiohttp.ClientSession) -> None:
    async with session.get("/v1/verifications/7?limit=5") as answer:
        assert (await answer.json())["limit"] == 5
    for query in ("limit=x4930215555", "limit=0", "limit=1&limit=2", "other=1", "limit", "limit=%ff", "status=%00"):
        async with session.get(f"/v1/verifications/7?{query}") as answer:
            await problem(answer, 400, "malformed_query")


@pytest.mark.parametrize(
    ("raised", "status", "code"),
    [
        (KeyError(MARK), 500, "internal"),
        (RecursionError(MARK), 500, "internal"),
        (asyncpg.UniqueViolationError(MARK), 500, "internal"),
        (ConnectionRefusedError(MARK), 503, "unavailable"),
        (TimeoutError(MARK), 503, "unavailable"),
        (asyncpg.CannotConnectNowError(MARK), 503, "unavailable"),
        (asyncpg.InterfaceError(MARK), 503, "unavailable"),
        (Overloaded(MARK), 503, "unavailable"),
        (Problem("cooldown", retry_after_s=7.2, members={"next_send_at": "later"}), 429, "cooldown"),
    ],
)
async def test_what_a_handler_raises_is_told_without_its_words(
    session: aiohttp.ClientSession, handlers: Handlers, raised: Exception, status: int, code: str
) -> None:
    handlers.raising = raised
    async with session.get("/fail") as answer:
        told = await problem(answer, status, code)
        assert ("Retry-After" in answer.headers) == (status in (429, 503))
        assert (len(told.get("trace_id", "")) == 32) == (status == 500)
    if code == "cooldown":
        assert (told["retry_after_s"], told["next_send_at"], answer.headers["Retry-After"]) == (7.2, "later", "8")


async def test_the_callers_trace_id_is_the_one_that_is_answered(session: aiohttp.ClientSession) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    async with session.get("/fail", headers={"traceparent": f"00-{trace}-b7ad6b7169203331-01"}) as answer:
        assert (await answer.json(content_type=None))["trace_id"] == trace


async def test_a_raw_route_gets_the_bytes_as_they_came(session: aiohttp.ClientSession) -> None:
    raw = b"\xff\x00status=DELIVRD&" * 100
    async with session.post("/receipts/alpha", data=raw, headers={"Content-Type": "text/weird"}) as answer:
        assert await answer.read() == raw
    async with session.post("/receipts/alpha", data=b"x" * 70_000) as answer:
        await problem(answer, 413, "body_too_large")


async def test_requests_are_counted_by_route_and_never_by_path(
    session: aiohttp.ClientSession, metrics: Metrics
) -> None:
    async with session.get(f"/v1/verifications/{MARK}"), session.get(f"/{MARK}"):
        pass
    name = "watchword_http_requests_total"
    assert metrics.value(name, route="get", method="GET", code_class="2xx") == 1
    assert metrics.value(name, route="unmatched", method="GET", code_class="4xx") == 1
    assert MARK.encode() not in metrics.exposition()[1]


async def test_the_openapi_document_says_every_route_and_every_reference_leads_somewhere(
    session: aiohttp.ClientSession,
) -> None:
    async with session.get("/openapi.json") as answer:
        told = await answer.json()
    assert told["openapi"].startswith("3.1")
    start = told["paths"]["/v1/verifications"]["post"]
    assert start["security"] == [{"apiKey": ["start"]}]
    assert {"202", "400", "401", "403", "408", "413", "415", "422", "429", "431", "500", "503"} == set(
        start["responses"]
    )
    assert [one["name"] for one in start["parameters"]] == ["Idempotency-Key"]
    got = told["paths"]["/v1/verifications/{id}"]["get"]
    assert [(one["name"], one["in"]) for one in got["parameters"]] == [
        ("id", "path"),
        ("status", "query"),
        ("limit", "query"),
    ]
    references = _references(told)
    assert references and all(reference.rpartition("/")[2] in told["components"]["schemas"] for reference in references)
    names = [operation["operationId"] for path in told["paths"].values() for operation in path.values()]
    assert len(names) == len(set(names))


async def test_what_another_process_serves_is_told_of_and_not_served(
    door: Door, session: aiohttp.ClientSession
) -> None:
    door.describe(*checks.described())
    async with session.get("/openapi.json") as answer:
        told = await answer.json()
    assert "post" in told["paths"]["/verify-otp"] and "post" in told["paths"]["/v1/verifications"]
    async with session.get("/docs") as answer:
        assert "/verify-otp" in await answer.text()
    async with session.post("/verify-otp", json={}) as answer:
        await problem(answer, 404, "not_found")


def _references(value: Any) -> list[str]:
    if isinstance(value, list):
        return [found for one in value for found in _references(one)]
    if not isinstance(value, dict):
        return []
    own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
    return own + [found for one in value.values() for found in _references(one)]


async def test_every_problem_type_leads_to_a_page(session: aiohttp.ClientSession) -> None:
    for code, kind in PROBLEMS.items():
        async with session.get(f"/problems/{code}") as answer:
            assert answer.status == 200 and answer.content_type == "text/html"
            assert f"Status {kind.status}" in await answer.text()
    async with session.get("/problems/%3Cscript%3E") as answer:
        await problem(answer, 404, "not_found")


async def test_the_docs_page_lists_every_route(session: aiohttp.ClientSession, door: Door) -> None:
    async with session.get("/docs") as answer:
        told = await answer.text()
    assert answer.content_type == "text/html"
    assert all(f"{route.method} {route.path}" in told for route in door.routes)


async def test_a_route_is_mounted_once_and_a_scope_needs_keys(door: Door, handlers: Handlers) -> None:
    with pytest.raises(ValueError, match="mounted twice"):
        door.mount(handlers.routes()[1])
    with pytest.raises(ValueError, match="configuration"):
        Door(host="127.0.0.1", port=0, metrics=Metrics()).mount(handlers.routes()[0])
