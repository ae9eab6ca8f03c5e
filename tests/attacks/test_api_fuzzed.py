"""Every operation of the API, with calls that schemathesis makes from its own document: whatever is asked, the answer
is one that the document promises, and never that something is wrong on our side."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.specs.openapi import checks

from tests.attacks.adapter import ANSWERED_WITHIN_S, Target
from tests.attacks.conftest import NOBODY
from tests.support.platform import fresh_number

EACH = 75  # calls to an operation that its document allows, and as many that it does not
CHECKS = (checks.status_code_conformance, checks.content_type_conformance, checks.response_schema_conformance)
BELONGS_TO = {"overloaded", "unavailable"}  # an answer to too much at once, which this is not about
_HABITS = settings(
    max_examples=EACH,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def operations(document: dict[str, Any]) -> Iterator[Any]:
    """Every operation that wants a key."""
    for found in schemathesis.openapi.from_dict(document).get_all_operations():
        operation: Any = found.ok()  # type: ignore[union-attr]  # an Err fails here, and says why
        if "security" in operation.definition.raw:
            yield operation


def attacked(target: Target, operation: Any, known: list[str], mode: GenerationMode) -> int:
    """Call an operation so many times, mostly on verifications that there are; answers how often it was called."""
    ids, called = st.one_of(st.sampled_from([*known, NOBODY]), st.none()), 0

    @_HABITS
    @given(case=operation.as_strategy(generation_mode=mode), identity=ids)
    def call(case: Any, identity: str | None) -> None:
        nonlocal called
        if identity is not None and "id" in (case.path_parameters or {}):
            case.path_parameters["id"] = identity
        answer = case.call(
            base_url=target.api,
            headers={"Authorization": f"Bearer {target.key}"},
            session=session,
            timeout=ANSWERED_WITHIN_S,
        )
        called += 1
        if answer.status_code == 503 and answer.json()["code"] in BELONGS_TO:
            return
        if answer.status_code in (404, 405) and "id" in (case.path_parameters or {}):
            return  # what stood in its place made it another path
        assert answer.status_code < 500, answer.text
        case.validate_response(answer, checks=CHECKS)
        held_to_words(operation, answer)

    with requests.Session() as session:
        call()
    return called


def held_to_words(operation: Any, answer: Any) -> None:
    """A problem is one of those that the document names for its status."""
    described = operation.definition.raw["responses"][str(answer.status_code)]["description"]
    _, _, words = described.rstrip(".").partition("One of: ")
    assert not words or answer.json()["code"] in words.split(", "), (answer.status_code, answer.text)


@pytest.mark.attack
@pytest.mark.timeout(900)
async def test_every_answer_to_a_thousand_calls_is_one_that_the_document_promises(target: Target) -> None:
    document = (await target.send("GET", "/openapi.json")).json
    known = [(await target.start(fresh_number())).id for _ in range(3)]
    found, called = list(operations(document)), 0
    assert len(found) >= 8
    for operation in found:
        for mode in GenerationMode:
            called += await asyncio.to_thread(attacked, target, operation, known, mode)
    assert called >= 1_000
