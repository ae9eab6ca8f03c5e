"""Every way a request can be decided. No event loop, no clock: values in, rulings out."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest

from tests.support.requests import NOW, RULES, SHOP, standing, start
from watchword.events.resend_requested import ResendRequested
from watchword.events.verification_ended import VerificationEnded
from watchword.events.verification_refused import VerificationRefused
from watchword.events.verification_requested import VerificationRequested
from watchword.intake.answers import Accepted, Refused
from watchword.intake.decide import KEPT_REFUSAL, Found, Ruling, Standing, Stored, decide_all, limits_for
from watchword.intake.limits import Buckets
from watchword.intake.request import Asker, Cancel, Publisher, Repeat, Request, Resend
from watchword.kernel.instant import to_us
from watchword.kernel.secret import Code
from watchword.kernel.verification import ENDED, State

REPEAT = Repeat("http:k", b"same")
HELD = Stored(b"same", 0, b"")
PUBLISHER = Publisher("req-1", "ref-1", "otp.inbox.v1/0/7")
LATER = NOW + timedelta(seconds=31)


def ruled(request: Request, found: Found | None = None, now: datetime = NOW, buckets: Buckets | None = None) -> Ruling:
    [ruling] = decide_all([asked(request, found)], buckets or Buckets({}, to_us(now)), now)
    return ruling


def asked(request: Request, found: Found | None = None) -> tuple[Request, Found]:
    """The request as the desk asks it: with the limits it may have to pass."""
    known = found or Found()
    return request, replace(known, limits=limits_for(request, known.standing))


def told(ruling: Ruling) -> dict[str, Any]:
    assert isinstance(ruling.reply, Accepted)
    body: dict[str, Any] = msgspec.json.decode(ruling.reply.body)
    return body


def refused(ruling: Ruling) -> Refused:
    assert isinstance(ruling.reply, Refused)
    assert not [write for write in ruling.done.writes if write.emits]
    return ruling.reply


def statements(ruling: Ruling) -> list[str]:
    return [write.statement for write in ruling.done.writes]


def resend(live: Standing, **asker: Any) -> Resend:
    return Resend(Asker(SHOP, **asker), live.about.verification_id)


def test_a_first_start_begins_a_verification() -> None:
    request = start(own_code=Code("493021"), binding={"amount": "12.00"}, binding_hash="abc")
    ruling = ruled(request)
    assert ruling.begun is request
    assert statements(ruling) == ["begin"]
    [emit] = ruling.done.writes[0].emits
    assert isinstance(emit.event, VerificationRequested)
    assert (emit.event.own_code, emit.event.binding_hash, emit.counted) == (True, "abc", True)
    assert told(ruling) == {
        "id": str(request.verification_id),
        "status": "pending",
        "to": "+91••••••3210",
        "expires_at": "2026-03-02T09:05:00.000Z",
        "next_send_at": "2026-03-02T09:00:30.000Z",
        "sends_left": 4,
        "checks_left": 5,
    }


def test_no_answer_and_no_event_holds_the_code_or_the_number() -> None:
    ruling = ruled(start(own_code=Code("493021")))
    [emit] = ruling.done.writes[0].emits
    written = msgspec.json.encode(emit.event) + str(ruling.reply).encode() + str(ruling.done).encode()
    assert b"493021" not in written
    assert b"9876543210" not in written.replace(b"token-of-919876543210", b"")


def test_timers_look_again_when_the_assessment_is_due_and_never_after_the_expiry() -> None:
    short_lived = msgspec.structs.replace(RULES, ttl_s=30, assess_timeout_ms=30_000, allow_short_ttl=True)
    for rules, due_s in ((RULES, 1), (short_lived, 30)):
        assert NOW + timedelta(seconds=due_s) == ruled(start(rules=rules)).done.writes[0].row[-1]


def test_a_second_start_waits_for_the_gap_and_names_the_live_one() -> None:
    live = standing()
    refusal = refused(ruled(start(), Found(live)))
    assert (refusal.code, refusal.retry_after_s) == ("cooldown", 30)
    assert refusal.members["id"] == str(live.about.verification_id)
    assert refusal.members["next_send_at"] == "2026-03-02T09:00:30.000Z"


def test_a_second_start_after_the_gap_sends_the_live_one_again() -> None:
    live = standing()
    ruling = ruled(start(), Found(live), LATER)
    assert ruling.begun is None
    assert told(ruling)["id"] == str(live.about.verification_id)
    [write] = ruling.done.writes
    [emit] = write.emits
    assert isinstance(emit.event, ResendRequested)
    assert (write.statement, emit.event.send_no, emit.ordinal) == ("resend", 2, 2)


@pytest.mark.parametrize("state", sorted(ENDED))
def test_a_start_after_an_ended_verification_begins_a_new_one(state: State) -> None:
    assert ruled(start(), Found(standing(state=state))).begun is not None


def test_a_start_after_a_verification_whose_time_is_over_begins_a_new_one_before_timers_have_written_it_down() -> None:
    over = standing(expires_at=NOW)
    assert ruled(start(), Found(over)).begun is not None


@pytest.mark.parametrize("changes", [{"binding_hash": "other"}, {"own_code": Code("111111")}])
def test_a_start_that_would_confirm_something_else_is_not_a_resend(changes: dict[str, Any]) -> None:
    live = standing()
    refusal = refused(ruled(start(**changes), Found(live), LATER))
    assert (refusal.code, refusal.members["id"]) == ("verification_live", str(live.about.verification_id))


def test_a_blocked_destination_is_refused_before_anything_is_charged() -> None:
    buckets = Buckets({}, to_us(NOW))
    assert refused(ruled(start(blocked=True), buckets=buckets)).code == "blocked"
    assert buckets.changed() == {}


def test_a_resend_moves_the_gap_on_and_never_extends_the_life() -> None:
    live = standing(sends_requested=2, next_send_at=NOW + timedelta(seconds=90))
    now = NOW + timedelta(seconds=95)
    answer = told(ruled(resend(live), Found(live), now))
    assert answer["expires_at"] == "2026-03-02T09:05:00.000Z"
    assert answer["next_send_at"] == "2026-03-02T09:03:35.000Z"
    assert answer["sends_left"] == 2


def test_a_next_send_that_would_come_too_late_to_be_typed_is_told_as_the_expiry() -> None:
    live = standing(sends_requested=3, next_send_at=NOW)
    assert told(ruled(resend(live), Found(live), LATER))["next_send_at"] == "2026-03-02T09:05:00.000Z"


def test_when_no_sends_are_left_the_platform_is_told_when_to_start_anew() -> None:
    live = standing(sends_requested=5, next_send_at=NOW + timedelta(seconds=300))
    refusal = refused(ruled(resend(live), Found(live), LATER))
    assert (refusal.code, refusal.retry_after_s) == ("sends_exhausted", 269)


def test_a_resend_passes_the_numbers_limits_too() -> None:
    live = standing(rules=msgspec.structs.replace(RULES, sends_per_10min=1))
    request = resend(live)
    buckets = Buckets({}, to_us(LATER))
    buckets.take(limits_for(request, live))
    refusal = refused(ruled(request, Found(live), LATER, buckets))
    assert (refusal.code, refusal.members) == ("number_limited", {"limit": "10min"})


@pytest.mark.parametrize("verb", [Resend, Cancel])
@pytest.mark.parametrize(
    ("live", "code"),
    [(None, "not_found"), *((standing(state=state), "ended") for state in sorted(ENDED)),
     (standing(expires_at=NOW), "ended")],
)  # fmt: skip
def test_what_has_ended_is_gone_and_what_is_not_there_is_not_found(
    verb: type[Resend] | type[Cancel], live: Standing | None, code: str
) -> None:
    identity = live.about.verification_id if live else standing().about.verification_id
    assert refused(ruled(verb(Asker(SHOP), identity), Found(live))).code == code


@pytest.mark.parametrize("state", [State.REQUESTED, State.ISSUED])
def test_a_live_verification_can_be_cancelled(state: State) -> None:
    live = standing(state=state)
    ruling = ruled(Cancel(Asker(SHOP), live.about.verification_id), Found(live))
    assert (told(ruling)["status"], told(ruling)["checks_left"], told(ruling)["sends_left"]) == ("cancelled", 0, 0)
    [emit] = ruling.done.writes[0].emits
    assert isinstance(emit.event, VerificationEnded)
    assert (emit.event.state, emit.event.reason) == ("cancelled", "cancelled_by_platform")


def test_a_new_key_is_kept_with_the_answer() -> None:
    request = start(asker=Asker(SHOP, REPEAT))
    ruling = ruled(request, Found(stored=HELD))
    assert isinstance(ruling.reply, Accepted)
    assert ruling.done.writes[-1].row == ("shop", "http:k", 202, ruling.reply.body)


def test_a_repeated_request_gets_the_answer_it_got_and_changes_nothing() -> None:
    ruling = ruled(start(asker=Asker(SHOP, REPEAT)), Found(stored=Stored(b"same", 202, b"{}")))
    assert (ruling.reply, ruling.done.writes) == (Accepted(202, b"{}", replayed=True), ())


def test_another_request_under_a_known_key_is_refused_and_the_answer_stays() -> None:
    ruling = ruled(start(asker=Asker(SHOP, REPEAT)), Found(stored=Stored(b"other", 202, b"{}")))
    assert refused(ruling).code == "idempotency_mismatch"
    assert ruling.done.writes == ()


def test_a_refusal_over_http_frees_the_key_for_another_try() -> None:
    ruling = ruled(start(asker=Asker(SHOP, REPEAT)), Found(standing(), HELD))
    assert statements(ruling) == ["forget_key"]


def test_a_published_refusal_is_kept_and_told_under_the_publishers_reference() -> None:
    asker = Asker(SHOP, replace(REPEAT, keeps_refusals=True), PUBLISHER)
    ruling = ruled(start(asker=asker), Found(standing(), HELD))
    assert ruling.done.writes[-1].row == ("shop", "http:k", KEPT_REFUSAL, b"cooldown")
    [emit] = ruling.done.emits
    assert isinstance(emit.event, VerificationRefused)
    assert (emit.key, emit.counted, emit.event.request_id) == ("ref-1", False, "req-1")
    assert (emit.event.code, emit.event.retry_after_s) == ("cooldown", 30)


def test_a_published_record_that_was_answered_is_not_answered_again() -> None:
    asker = Asker(SHOP, replace(REPEAT, keeps_refusals=True), PUBLISHER)
    ruling = ruled(start(asker=asker), Found(stored=Stored(b"same", KEPT_REFUSAL, b"cooldown")))
    assert (ruling.done.writes, ruling.done.emits) == ((), ())


def test_a_published_request_whose_time_is_over_is_refused() -> None:
    asker = Asker(SHOP, publisher=replace(PUBLISHER, expires_at=NOW))
    ruling = ruled(start(asker=asker))
    assert isinstance(ruling.reply, Refused) and ruling.reply.code == "expired"
    assert len(ruling.done.emits) == 1


def test_of_two_in_a_batch_that_would_move_one_verification_the_second_comes_again() -> None:
    live = standing()
    both = [
        asked(resend(live), Found(live)),
        asked(start(asker=Asker(SHOP, REPEAT, PUBLISHER)), Found(live, HELD)),
    ]
    first, second = decide_all(both, Buckets({}, to_us(LATER)), LATER)
    assert isinstance(first.reply, Accepted)
    assert refused(second).code == "conflict"
    assert (statements(second), second.done.emits) == (["forget_key"], ())


def test_a_batch_admits_exactly_as_many_as_the_bucket_holds_the_first_first() -> None:
    tenant = msgspec.structs.replace(SHOP, requests_per_second=1, requests_burst=3)
    batch = [asked(start(f"+9198765432{number}", asker=Asker(tenant))) for number in range(10, 20)]
    rulings = decide_all(batch, Buckets({}, to_us(NOW)), NOW)
    assert [isinstance(each.reply, Accepted) for each in rulings] == [True] * 3 + [False] * 7


def test_an_accepted_start_tells_what_is_left_of_the_tenants_rate() -> None:
    tenant = msgspec.structs.replace(SHOP, requests_per_second=1, requests_burst=3)
    reply = ruled(start(asker=Asker(tenant))).reply
    assert reply.room is not None
    assert (reply.room.quota, reply.room.remaining) == (3, 2)
