"""Every operation of the API, with calls made from its own document: whatever is asked, the answer is one that the
document promises, and never that something is wrong on our side."""

import asyncio
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.attacks.adapter import Target
from tests.attacks.conftest import NOBODY
from tests.attacks.openapi_calls import Call, Operation, calls, operations
from tests.support.platform import fresh_number

EACH, AT_ONCE = 150, 24
BELONGS_TO = {"overloaded", "unavailable"}  # an answer to too much at once, which this is not about


def drawn(made: st.SearchStrategy[Call], count: int) -> list[Call]:
    """So many calls, others each time."""
    found: list[Call] = []

    @settings(max_examples=count, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(made)
    def collect(call: Call) -> None:
        found.append(call)

    collect()
    return found


async def attacked(target: Target, count: int) -> None:
    """Each operation so many times."""
    document = (await target.send("GET", "/openapi.json")).json
    known = [(await target.start(fresh_number())).id for _ in range(3)]
    ids = st.one_of(st.sampled_from([*known, NOBODY]), st.uuids().map(str), st.from_regex(r"[!-.0-~]{1,40}\Z"))
    found = list(operations(document))
    assert len(found) >= 8
    for operation in found:
        for call in chunks(drawn(calls(operation, document, ids), count)):
            await asyncio.gather(*(held_to(target, document, operation, one) for one in call))


def chunks(found: list[Call]) -> list[list[Call]]:
    """As many as are sent at once."""
    return [found[at : at + AT_ONCE] for at in range(0, len(found), AT_ONCE)]


async def held_to(target: Target, document: Any, operation: Operation, call: Call) -> None:
    """One call, and what the document says of its answer."""
    path = call.path.replace("#", "%23") if "?" in call.path else call.path.replace("#", "%23").replace("?", "%3F")
    answered = await target.send(operation.method, path, call.body, call.headers)
    where = (operation.method, call, answered.status, answered.body[:300])
    if answered.word in BELONGS_TO:
        return
    assert answered.status < 500, where
    if answered.status in (404, 405) and "{id}" in operation.path:
        return  # what stood in its place made it another path
    assert answered.status in operation.codes, where
    schema = {**(operation.schema_of(answered.status) or {}), "components": document["components"]}
    assert jsonschema_rs.is_valid(schema, answered.json), where
    if words := operation.codes[answered.status]:
        assert answered.json["code"] in words, where


@pytest.mark.attack
@pytest.mark.timeout(900)
async def test_every_answer_to_a_thousand_calls_is_one_that_the_document_promises(target: Target) -> None:
    await attacked(target, EACH)
