"""Records of the Kafka door, as values: what becomes a request and what is told of the others."""

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
def submissions(tmp_path_factory: pytest.TempPathFactory) -> Submissions:
    """What reads records, with keys of this test's own."""
    path = tmp_path_factory.mktemp("keys") / "keyring.json"
    keyrings.create(path, datetime.now(UTC))
    purposes = {Purpose.NUMBER_TOKEN, Purpose.SIGNAL_TOKEN, Purpose.SUBJECT, Purpose.HANDOVER}
    return Submissions(Understanding(Keyring.load(Path(path), purposes), Calm()))


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
