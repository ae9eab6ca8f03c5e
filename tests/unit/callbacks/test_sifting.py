"""Which records cost decoding: those that may be for somebody, and the last of each partition."""

from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition

from tests.unit.callbacks.stories import ABOUT
from watchword.callbacks.audience import Audiences
from watchword.callbacks.sifting import sifted
from watchword.events.envelope import Headers
from watchword.kernel.tenancy import Endpoint
from watchword.runtime.configuration import Configuration

MAIN = Endpoint(id="main", tenant=ABOUT.tenant, url="https://shop.example", events=("code-checked",), version=1)
CURRENT = Configuration(endpoints={(ABOUT.tenant, "main"): MAIN})


def wants(headers: Headers) -> bool:
    never: Any = None
    return Audiences(lambda: CURRENT, never).may_want(headers)


def told(name: str, tenant: str = ABOUT.tenant) -> Headers:
    return [("ce_id", b"1"), ("ce_type", f"otp.{name}.v1".encode()), ("ce_tenant", tenant.encode())]


@pytest.mark.parametrize(
    ("headers", "wanted"),
    [
        (told("code-checked"), True),
        (told("code-checked", "other"), False),
        (told("attempt-made"), False),
        (told("verification-ended"), True),
        (told("verification-ended", "other"), True),  # its row says whether the request came by Kafka
        ([("ce_type", b"otp.attempt-made.v1")], True),  # nobody says whose it is
        ([("ce_tenant", b"other")], True),
        ([], True),
    ],
)
def test_an_event_that_no_endpoint_asked_for_is_not_wanted(headers: Headers, wanted: bool) -> None:
    assert wants(headers) is wanted


def test_an_endpoint_that_is_applied_is_heard_of_at_once() -> None:
    configurations, never = [Configuration()], None
    audiences = Audiences(lambda: configurations[-1], never)  # type: ignore[arg-type]
    assert not audiences.may_want(told("code-checked"))
    configurations.append(CURRENT)
    assert audiences.may_want(told("code-checked"))


def test_the_last_record_of_a_partition_stands_for_those_that_nobody_wants() -> None:
    def records(*wanted: bool) -> list[Any]:
        return [SimpleNamespace(offset=offset, headers=told("x") if one else []) for offset, one in enumerate(wanted)]

    first, second, third = (TopicPartition("otp.lifecycle.v1", number) for number in range(3))
    batches = {first: records(False, True, False, True, False), second: records(False, False), third: []}
    kept = sifted(batches, bool)
    assert {each: [record.offset for record in left] for each, left in kept.items()} == {
        first: [1, 3, 4],
        second: [1],
        third: [],
    }
