"""The document of a door says what its readers can use: client generators, validators, people."""

import json
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from watchword.runtime.http import Answer, Call, Route
from watchword.runtime.openapi import document


class Asked(msgspec.Struct, forbid_unknown_fields=True):
    """A body with a pattern at every depth."""

    code: Annotated[str, Meta(pattern=r"^[0-9]{6}\Z")]
    words: dict[Annotated[str, Meta(pattern=r"^[a-z]+\Z")], Annotated[str, Meta(pattern=r"^[^\x00]*\Z")]] = {}
    other: Annotated[str, Meta(pattern=r"^x\Z")] | None = None


async def asked(call: Call[Any]) -> Answer:
    return Answer(200)


ROUTE = Route(
    method="POST", path="/asked", name="asked", request=Asked, responses={200: None}, handler=asked, idempotent=True
)


def test_a_pattern_ends_as_every_reader_of_json_schema_reads_it() -> None:
    r"""Generated clients refused every right code: to ECMA-262 `\Z` is the letter Z."""
    told = json.dumps(document("test", [ROUTE])["components"]["schemas"]["Asked"])
    assert told.count('"pattern"') == 4
    assert r"\\Z" not in told and told.count('$"') == 4


def test_every_word_that_a_door_may_answer_stands_in_the_document() -> None:
    answers = document("test", [ROUTE])["paths"]["/asked"]["post"]["responses"]
    words = {word for answer in answers.values() for word in answer["description"].rstrip(".").replace(",", "").split()}
    assert words >= {"malformed_header", "request_timeout", "header_too_large", "overloaded", "body_too_large"}
