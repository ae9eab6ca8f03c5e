"""Records of the Kafka door, as values: what becomes a request and what is told of the others."""

import base64
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.support.requests import NOW, RULES, SHOP
from watchword.events.risk_level_set import RiskLevelSet
from watchword.intake.desk import Letters
from watchword.intake.request import Start
from watchword.intake.submitted import Submission, Submissions
from watchword.intake.understanding import Understanding
from watchword.kernel.template import Template
from watchword.runtime import keyring as keyrings
from watchword.runtime.configuration import Configuration
from watchword.runtime.inbox_seal import public_key
from watchword.runtime.keyring import Keyring, Purpose

HEADERS = {
    "ce_specversion": b"1.0",
    "ce_id": b"req-1",
    "ce_source": b"/shop",
    "ce_type": b"otp.verification-submitted.v1",
}
CONFIGURATION = Configuration(
    tenants={"shop": replace(SHOP, sources=["/shop"])},
    policies={("shop", "default"): RULES},
    policy_versions={("shop", "default"): 7},
    templates={("shop", "default"): Template(id="default", tenant="shop", texts={"en": "{code}"})},
)


class Calm:
    """No destination is blocked."""

    def refusing(self, *, tenant: str, country: str, range_: str, now: datetime) -> RiskLevelSet | None:
        return None


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keyring:
    """Keys of this test's own."""
    path = tmp_path_factory.mktemp("keys") / "keyring.json"
    keyrings.create(path, datetime.now(UTC))
    keyrings.rotate(path, datetime.now(UTC))
    purposes = {Purpose.NUMBER_TOKEN, Purpose.SIGNAL_TOKEN, Purpose.SUBJECT, Purpose.HANDOVER, Purpose.INBOX}
    return Keyring.load(Path(path), purposes)


@pytest.fixture(scope="module")
def submissions(keys: Keyring) -> Submissions:
    """What reads records."""
    return Submissions(Understanding(keys, Calm()), keys)


@pytest.fixture(scope="module")
def seal() -> Callable[..., str]:
    """How a platform seals a number, word for word as SEALING.md says it."""
    readme = Path(__file__).parents[3] / "schemas" / "SEALING.md"
    [code] = re.findall(r"```python\n(.*?)```", readme.read_text("utf-8"), re.DOTALL)
    made: dict[str, Any] = {}
    exec(code, made)
    return made["sealed"]  # type: ignore[no-any-return]


def record(value: bytes | None, headers: dict[str, bytes] | None = None, offset: int = 3) -> Submission:
    return Submission("otp.inbox.v1", 0, offset, b"k", value, tuple((HEADERS if headers is None else headers).items()))


def body(**said: Any) -> bytes:
    return orjson.dumps({"to": "+919876543210", **said})


def test_a_good_record_becomes_a_start_of_its_tenant(submissions: Submissions) -> None:
    read = submissions.read(record(body(reference="order-7", ttl_s=200)), CONFIGURATION, NOW)
    assert isinstance(read, Start)
    assert (read.asker.tenant.id, read.policy_version, read.rules.ttl_s) == ("shop", 7, 200)
    assert read.asker.publisher is not None
    assert (read.asker.publisher.request_id, read.asker.publisher.reference) == ("req-1", "order-7")
    assert read.asker.publisher.position == "otp.inbox.v1/0/3"


def test_the_same_request_has_the_same_key_wherever_it_lies_and_another_id_has_another(
    submissions: Submissions,
) -> None:
    reads = [
        submissions.read(each, CONFIGURATION, NOW)
        for each in (record(body()), record(body(), offset=9), record(body(), {**HEADERS, "ce_id": b"req-2"}))
    ]
    keys = [read.asker.repeat for read in reads if isinstance(read, Start)]
    assert keys[0] == keys[1] != keys[2]
    assert keys[0] is not None and keys[0].keeps_refusals


def test_fields_that_a_newer_publisher_sends_are_passed_over(submissions: Submissions) -> None:
    assert isinstance(submissions.read(record(body(novelty=1)), CONFIGURATION, NOW), Start)


def test_a_refused_record_tells_the_same_under_the_same_ids_when_it_is_read_again(submissions: Submissions) -> None:
    first, again, elsewhere = (
        submissions.read(record(b"{", offset=offset), CONFIGURATION, NOW) for offset in (3, 3, 4)
    )
    assert isinstance(first, Letters) and isinstance(again, Letters) and isinstance(elsewhere, Letters)
    assert [row.id for row in first.rows] == [row.id for row in again.rows]
    assert not {row.id for row in first.rows} & {row.id for row in elsewhere.rows}
    assert [row.topic for row in first.rows] == ["otp.results.v1", "otp.inbox.v1.dead"]


def test_an_id_that_no_header_should_hold_is_not_repeated(submissions: Submissions) -> None:
    read = submissions.read(record(body(), {**HEADERS, "ce_id": b"a\nb\xff"}), CONFIGURATION, NOW)
    assert isinstance(read, Letters)
    result = orjson.loads(read.rows[0].value or b"")
    assert (result["request_id"], result["code"]) == ("", "malformed_header")


def test_a_structured_record_with_a_code_is_buried_without_its_value(submissions: Submissions) -> None:
    event = {"specversion": "1.0", "id": "a", "source": "/shop", "type": "otp.verification-submitted.v1"}
    for inner in ({"data": {"to": "+919876543210", "otp": "493021"}}, {"data": {}, "otp": "493021", "id": 7}):
        value = orjson.dumps({**event, **inner})
        read = submissions.read(record(value, {"content-type": b"application/cloudevents+json"}), CONFIGURATION, NOW)
        assert isinstance(read, Letters)
        assert [row.value for row in read.rows if row.topic.endswith(".dead")] == [None]


def test_a_code_in_what_cannot_be_read_is_buried_nowhere_either(submissions: Submissions) -> None:
    for value in (b'{"to":1,"to":2,"code":"493021"}', b'{"otp":"493021"', b'{"to":"+1","signals":{"code":"493021"}}'):
        read = submissions.read(record(value), CONFIGURATION, NOW)
        assert isinstance(read, Letters)
        assert not any(b"493021" in (row.value or b"") for row in read.rows)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    value=st.none()
    | st.binary(max_size=300)
    | st.builds(orjson.dumps, st.dictionaries(st.text(max_size=8), st.text())),
    headers=st.dictionaries(
        st.sampled_from([*HEADERS, "content-type", "ce_expirytime", "traceparent"]),
        st.binary(max_size=40) | st.sampled_from([*HEADERS.values(), b"application/cloudevents+json"]),
    ),
)
def test_any_bytes_are_a_request_or_a_refusal(
    submissions: Submissions, value: bytes | None, headers: dict[str, bytes]
) -> None:
    read = submissions.read(record(value, headers), CONFIGURATION, NOW)
    assert isinstance(read, Start | Letters)
    if isinstance(read, Letters):
        assert read.rows[0].topic == "otp.results.v1"


def to_key(keys: Keyring, index: int = 0) -> dict[str, str]:
    key = keys.opening(Purpose.INBOX)[index]
    return {"key_id": key.id, "public_key": base64.b64encode(public_key(key)).decode()}


@pytest.mark.parametrize("index", [0, 1], ids=["the key that is new", "the one before"])
def test_a_sealed_number_is_opened_and_the_same_request_whenever_it_was_sealed(
    submissions: Submissions, keys: Keyring, seal: Callable[..., str], index: int
) -> None:
    clear = submissions.read(record(body()), CONFIGURATION, NOW)
    for _ in range(2):
        to = seal("+919876543210", source="/shop", **to_key(keys, index))
        read = submissions.read(record(body(to=to)), CONFIGURATION, NOW)
        assert isinstance(read, Start) and isinstance(clear, Start)
        assert (read.number_token, read.asker.repeat) == (clear.number_token, clear.asker.repeat)


def test_a_sealed_number_opens_for_nobody_else_and_not_when_it_was_touched(
    submissions: Submissions, keys: Keyring, seal: Callable[..., str]
) -> None:
    theirs = seal("+919876543210", source="/other", **to_key(keys))
    ours = seal("+919876543210", source="/shop", **to_key(keys))
    flipped = base64.b64encode(base64.b64decode(ours)[:-1] + b"!").decode()
    unknown = seal("+919876543210", source="/shop", **(to_key(keys) | {"key_id": "nobodys0"}))
    nonsense = seal("\u00e9" * 9, source="/shop", **to_key(keys))
    for to in (theirs, flipped, unknown, nonsense, ours[:-4], ours[:40], "A" * 96, "\u00e9" * 96):
        read = submissions.read(record(body(to=to)), CONFIGURATION, NOW)
        assert isinstance(read, Letters), to
        result, letter = read.rows
        assert orjson.loads(result.value or b"")["code"] == "number_invalid"
        assert b"9876543210" not in (result.value or b"") + (letter.value or b"")


def test_the_sealed_example_of_the_schema_is_read_as_a_sealed_number(submissions: Submissions) -> None:
    example = Path(__file__).parents[3] / "schemas/10-verification-submitted/v1.examples/sealed-number.json"
    read = submissions.read(record(example.read_bytes()), CONFIGURATION, NOW)
    assert isinstance(read, Letters)
    assert "not held" in orjson.loads(read.rows[0].value or b"")["detail"]
