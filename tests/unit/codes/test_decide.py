"""What an assessment leads to, branch by branch."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec
from msgspec.structs import replace

from watchword.codes.decide import CodeFacts, Minted, decide
from watchword.events.code_issued import CodeIssued
from watchword.events.risk_level_set import Reason
from watchword.events.send_requested import SendRequested
from watchword.events.verification import Facts, Signals, shared
from watchword.events.verification_assessed import Action, Mode, VerificationAssessed
from watchword.events.verification_ended import Ending, VerificationEnded
from watchword.kernel.event import Event
from watchword.kernel.policy import Policy, Resend
from watchword.kernel.verdict import Dead, Done
from watchword.kernel.verification import State

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
ABOUT = Facts(
    verification_id=UUID("0195f000-0000-7000-8000-000000000001"),
    tenant="shop",
    number_token="token",
    country="IN",
    range="+91987654",
    purpose="login",
    channel="sms",
    policy="default",
    policy_version=3,
    expires_at=NOW + timedelta(seconds=300),
)
MINTED = Minted(mac=b"m" * 32, pepper_id="pepper01", sealed=b"s", digits=6, template="default", locale="en", own=False)
FACTS = CodeFacts(
    about=ABOUT,
    state=State.REQUESTED,
    created_at=NOW,
    rules=Policy(id="default", tenant="shop", template="default"),
    sends_issued=0,
    code_version=0,
    checks_used=0,
    signals=Signals(),
    template="payment",
    minted=MINTED,
)
ISSUED = replace(FACTS, state=State.ISSUED, sends_issued=1, code_version=1, minted=None)


def assessed(action: Action = Action.ALLOW, send_no: int = 1, reasons: tuple[Reason, ...] = ()) -> VerificationAssessed:
    return VerificationAssessed(
        **shared(ABOUT), send_no=send_no, action=action, mode=Mode.ENFORCE, score=0, ruleset="r1", reasons=reasons
    )


def told(verdict: object) -> list[Event]:
    assert isinstance(verdict, Done)
    return [emit.event for write in verdict.writes for emit in write.emits]


def statements(verdict: object) -> list[str]:
    assert isinstance(verdict, Done)
    return [write.statement for write in verdict.writes]


def test_an_allowed_request_gets_a_code_and_its_first_attempt() -> None:
    verdict = decide(assessed(), FACTS, NOW)
    assert statements(verdict) == ["issue", "queue_attempt", "store_code"]
    issued, requested = told(verdict)
    assert isinstance(issued, CodeIssued)
    assert (issued.code_version, issued.digits) == (1, 6)
    assert isinstance(requested, SendRequested)
    assert (requested.send_no, requested.try_no, requested.code_version) == (1, 1, 1)
    assert (requested.send_deadline, requested.template) == (NOW + timedelta(seconds=240), "payment")


def test_a_repeat_names_the_same_attempt() -> None:
    first, second = (told(decide(assessed(), FACTS, NOW + timedelta(seconds=s)))[1] for s in (0, 20))
    assert isinstance(first, SendRequested)
    assert isinstance(second, SendRequested)
    assert first.attempt_id == second.attempt_id


def test_a_blocked_request_ends_with_the_assessments_reasons() -> None:
    reason = Reason(code="range_unverified_pileup", value=12, threshold=9)
    verdict = decide(assessed(Action.BLOCK, reasons=(reason,)), FACTS, NOW)
    assert statements(verdict) == ["block"]
    [ended] = told(verdict)
    assert isinstance(ended, VerificationEnded)
    assert (ended.state, ended.reason, ended.reasons) == (Ending.BLOCKED, "range_unverified_pileup", (reason,))


def test_a_blocked_resend_sends_nothing_and_leaves_the_code_usable() -> None:
    assert decide(assessed(Action.BLOCK, send_no=2), ISSUED, NOW) == Done.unchanged()


def test_a_challenged_send_ends_with_the_word_that_asks_the_platform_to_make_sure() -> None:
    reason = Reason(code="range_unverified_pileup", value=9.0, threshold=9.0, weight=55.0)
    verdict = decide(assessed(Action.CHALLENGE, reasons=(reason,)), FACTS, NOW)
    assert isinstance(verdict, Done)
    ended = verdict.writes[0].emits[0].event
    assert isinstance(ended, VerificationEnded)
    assert (ended.state, ended.reason, ended.reasons) == (Ending.BLOCKED, "challenge", (reason,))


def test_a_request_that_waited_past_its_life_expires_instead_of_sending() -> None:
    verdict = decide(assessed(), FACTS, ABOUT.expires_at)
    assert statements(verdict) == ["expire"]
    [ended] = told(verdict)
    assert isinstance(ended, VerificationEnded)
    assert ended.state is Ending.EXPIRED


def test_a_redelivered_assessment_does_not_send_a_second_time() -> None:
    assert decide(assessed(), ISSUED, NOW) == Done.unchanged()


def test_a_resend_carries_the_live_code_again() -> None:
    verdict = decide(assessed(send_no=2), ISSUED, NOW)
    assert statements(verdict) == ["send_again", "queue_attempt"]
    [requested] = told(verdict)
    assert isinstance(requested, SendRequested)
    assert (requested.send_no, requested.code_version) == (2, 1)


def test_a_rotating_resend_replaces_the_code() -> None:
    rotating = Policy(id="default", tenant="shop", template="default", resend=Resend.ROTATE)
    verdict = decide(assessed(send_no=2), replace(ISSUED, rules=rotating, minted=MINTED), NOW)
    assert statements(verdict) == ["send_again", "queue_attempt", "store_code"]
    issued, _ = told(verdict)
    assert isinstance(issued, CodeIssued)
    assert issued.code_version == 2


def test_nothing_happens_to_a_verification_that_has_ended() -> None:
    for state in (State.APPROVED, State.EXPIRED, State.CANCELLED, State.LOCKED, State.BLOCKED, State.FAILED):
        assert decide(assessed(), replace(FACTS, state=state), NOW) == Done.unchanged()


def test_an_assessment_of_nothing_we_know_is_poison() -> None:
    assert decide(assessed(), None, NOW) == Dead("unknown_verification")


def test_a_code_that_cannot_be_made_is_buried_not_guessed() -> None:
    verdict = decide(assessed(), replace(FACTS, minted=None), NOW)
    assert isinstance(verdict, Dead)
    assert verdict.reason == "no_code_could_be_made"


def test_neither_mac_nor_message_prints() -> None:
    assert "m" * 32 not in repr(MINTED)
    assert "sealed" not in repr(MINTED)


def test_a_silent_refusal_issues_nothing_that_could_be_right_or_sent() -> None:
    verdict = decide(msgspec.structs.replace(assessed(Action.BLOCK), silent=True), FACTS, NOW)
    assert statements(verdict) == ["issue_silently", "store_code"]
    assert isinstance(verdict, Done)
    assert verdict.writes[1].row == (1, b"", "", b""), "no MAC and no message, though a code had been drawn"
    [issued] = told(verdict)
    assert isinstance(issued, CodeIssued)
    assert (issued.silent, issued.code_version, issued.digits) == (True, 1, 6)


SILENT = replace(FACTS, state=State.ISSUED, code_version=1)


def test_a_send_that_passes_after_a_silent_refusal_draws_the_code() -> None:
    verdict = decide(assessed(send_no=2), SILENT, NOW)
    assert statements(verdict) == ["send_again", "queue_attempt", "store_code"]
    issued, requested = told(verdict)
    assert isinstance(issued, CodeIssued) and isinstance(requested, SendRequested)
    assert (issued.silent, issued.code_version, requested.code_version) == (False, 2, 2)


def test_a_silent_refusal_delivered_twice_changes_nothing_the_second_time() -> None:
    again = msgspec.structs.replace(assessed(Action.BLOCK), silent=True)
    assert decide(again, SILENT, NOW) == Done.unchanged()


def test_a_code_made_ready_prints_neither_its_mac_nor_its_message() -> None:
    told = repr(FACTS)
    assert repr(MINTED.mac) not in told and repr(MINTED.sealed) not in told
