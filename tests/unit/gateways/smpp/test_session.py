"""The conversation with a carrier, told in bytes and seconds."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.gateways.smpp.stories import ACCOUNT, SUBMISSION, Talk, answer, bound, report
from watchword.gateways.outcome import Outcome, OutcomeClass
from watchword.gateways.sessions import Answered, Ended, Ready, Reported, Unanswered
from watchword.gateways.smpp.pdu import RESPONSE, Command, Pdu, encode
from watchword.gateways.smpp.session import DRAIN_S, REPORTS_MAX, State

SUBMIT, DELIVER = Command.SUBMIT_SM, Command.DELIVER_SM


@pytest.mark.parametrize(("role", "command"), [("trx", 9), ("tx", 2), ("rx", 1)])
def test_a_bind_says_who_we_are_and_opens_the_window(role: str, command: int) -> None:
    talk = Talk(role)
    assert talk.session.room == 0
    talk.session.open(talk.now_s)
    [bind] = talk.wrote()
    assert (bind.command, bind.text("system_id"), bind.text("password")) == (command, b"shop", b"word")
    assert bind.number("interface_version") == 0x34
    assert talk.hears(answer(bind.command, bind.sequence)) == [Ready()]
    assert talk.session.room == (0 if role == "rx" else 3)
    assert talk.session.takes == (role != "rx")


@pytest.mark.parametrize("status", [0x0D, 0x0E, 0x0F])
def test_refused_credentials_are_an_outcome_for_every_message(status: int) -> None:
    talk = Talk()
    talk.session.open(talk.now_s)
    [bind] = talk.wrote()
    refusal = Outcome(OutcomeClass.ACCOUNT, raw_code=f"{status:#04x}")
    assert talk.hears(answer(bind.command, bind.sequence, status)) == [Ended(f"bind_refused_{status:#04x}", refusal)]


def test_another_bind_in_our_place_is_no_matter_of_credentials() -> None:
    talk = Talk()
    talk.session.open(talk.now_s)
    [bind] = talk.wrote()
    assert talk.hears(answer(bind.command, bind.sequence, 0x05)) == [Ended("bind_refused_0x05", None)]


def test_a_bind_without_an_answer_ends() -> None:
    talk = Talk()
    talk.session.open(talk.now_s)
    assert talk.waits(4.9) == []
    assert talk.waits(0.2) == [Ended("bind_unanswered")]


def test_answers_come_in_any_order_and_each_to_its_message() -> None:
    talk = bound()
    first, second = talk.submit(1), talk.submit(2)
    events = talk.hears(answer(SUBMIT, second, message_id=b"m-2"), answer(SUBMIT, first, 0x58))
    assert events == [
        Answered(2, Outcome(OutcomeClass.ACCEPTED, raw_code="0x00", provider_id="m-2")),
        Answered(1, Outcome(OutcomeClass.THROTTLED, raw_code="0x58", retry_after_ms=1_000)),
    ]


def test_everything_may_come_in_one_piece_behind_the_bind() -> None:
    talk = Talk()
    talk.session.open(talk.now_s)
    [bind] = talk.wrote()
    ready, reported = talk.hears(
        answer(bind.command, bind.sequence), report(77), Pdu(Command.ENQUIRE_LINK, sequence=78)
    )
    assert (ready, type(reported)) == (Ready(), Reported)
    assert talk.wrote() == [Pdu(Command.ENQUIRE_LINK | RESPONSE, sequence=78)]


def test_everything_may_come_byte_by_byte() -> None:
    talk = bound()
    sequence = talk.submit(5)
    stream = encode(answer(SUBMIT, sequence, message_id=b"m-5"))
    events = [event for at in range(len(stream)) for event in talk.session.receive(stream[at : at + 1], talk.now_s)]
    assert events == [Answered(5, Outcome(OutcomeClass.ACCEPTED, raw_code="0x00", provider_id="m-5"))]


def test_the_window_is_never_overrun() -> None:
    talk = bound()
    assert [talk.submit(ticket) and talk.session.room for ticket in (1, 2, 3)] == [2, 1, 0]
    talk.hears(answer(SUBMIT, 3, message_id=b"x"))
    assert talk.session.room == 1


def test_a_response_that_does_not_come_is_unanswered_and_one_that_comes_late_means_nothing() -> None:
    talk = bound()
    early = talk.submit(1)
    talk.waits(3)
    talk.submit(2)
    assert talk.waits(2.1) == [Unanswered(1, "no_answer")]
    assert talk.session.room == 2
    assert talk.hears(answer(SUBMIT, early, message_id=b"m-1")) == []


def test_accepted_without_an_id_is_accepted() -> None:
    talk = bound()
    [event] = talk.hears(answer(SUBMIT, talk.submit(1)))
    assert event == Answered(1, Outcome(OutcomeClass.ACCEPTED, raw_code="0x00"))


def test_a_nack_answers_its_message_and_one_without_a_number_none() -> None:
    talk = bound()
    sequence = talk.submit(1)
    assert talk.hears(Pdu(Command.GENERIC_NACK, 0x03, 0)) == []
    nacked = Outcome(OutcomeClass.TEMPORARY, raw_code="nack_0x03")
    assert talk.hears(Pdu(Command.GENERIC_NACK, 0x03, sequence)) == [Answered(1, nacked)]


def test_a_framing_fault_is_not_tried_again_on_the_same_bind() -> None:
    talk = bound()
    first = talk.submit(1)
    talk.submit(2)
    answered, unanswered, ended = talk.hears(answer(SUBMIT, first, 0x02))
    assert isinstance(answered, Answered)
    assert (unanswered, ended) == (Unanswered(2, "framing_refused"), Ended("framing_refused"))


def test_a_silent_line_is_asked_and_given_up() -> None:
    talk = bound()
    talk.submit(1)
    talk.hears(answer(SUBMIT, 2, message_id=b"m"))
    assert talk.waits(29) == []
    assert talk.wrote() == []
    talk.waits(1)
    [enquire] = talk.wrote()
    assert enquire.command == Command.ENQUIRE_LINK
    talk.submit(3)
    assert talk.waits(4) == []
    assert talk.waits(1.1)[-1] == Ended("link_dead")


def test_a_line_that_answers_lives_on() -> None:
    talk = bound()
    talk.waits(30)
    [enquire] = talk.wrote()
    talk.hears(answer(Command.ENQUIRE_LINK, enquire.sequence))
    assert talk.waits(10) == []
    assert talk.session.state is State.BOUND


def test_a_report_is_answered_when_it_is_safe_and_not_before() -> None:
    talk = bound()
    [event] = talk.hears(report(901))
    assert isinstance(event, Reported)
    assert talk.wrote() == []
    talk.session.settle(event.number, kept=True)
    talk.session.settle(event.number, kept=True)
    assert [(unit.command, unit.status, unit.sequence) for unit in talk.wrote()] == [(DELIVER | RESPONSE, 0, 901)]


def test_a_report_that_is_not_safe_is_asked_for_again() -> None:
    talk = bound()
    [event] = talk.hears(Pdu(Command.DATA_SM, sequence=5, fields={"esm_class": 4}))
    talk.session.settle(event.number, kept=False)
    assert [(unit.command, unit.status) for unit in talk.wrote()] == [(Command.DATA_SM | RESPONSE, 0x64)]


def test_a_repeated_report_is_the_same_bytes() -> None:
    talk = bound()
    first, second = talk.hears(report(5), report(6))
    assert first.report == second.report
    assert first.number != second.number


def test_reports_that_wait_are_bounded() -> None:
    talk = bound()
    assert len(talk.hears(*(report(number) for number in range(1, REPORTS_MAX + 1)))) == REPORTS_MAX
    assert talk.hears(report(5_000)) == []
    assert [(unit.sequence, unit.status) for unit in talk.wrote()] == [(5_000, 0x64)]


def test_leaving_waits_for_what_is_open_and_says_goodbye() -> None:
    talk = bound()
    sequence = talk.submit(1)
    [event] = talk.hears(report(7))
    talk.session.leave(talk.now_s)
    assert talk.session.room == 0
    assert talk.waits(0.5) == []
    assert talk.hears(answer(SUBMIT, sequence, message_id=b"m"))
    talk.session.settle(event.number, kept=True)
    talk.waits(0.1)
    acknowledged, unbind = talk.wrote()
    assert (acknowledged.sequence, unbind.command) == (7, Command.UNBIND)
    assert talk.hears(answer(Command.UNBIND, unbind.sequence)) == [Ended("unbound")]


def test_leaving_does_not_wait_for_ever() -> None:
    talk = bound()
    talk.submit(1)
    talk.session.leave(talk.now_s)
    talk.waits(DRAIN_S)
    assert talk.wrote()[-1].command == Command.UNBIND
    assert talk.waits(DRAIN_S) == [Unanswered(1, "unbound"), Ended("unbound")]


def test_a_carrier_that_leaves_is_answered_and_may_finish() -> None:
    talk = bound()
    sequence = talk.submit(1)
    assert talk.hears(Pdu(Command.UNBIND, sequence=50)) == []
    assert talk.wrote() == [Pdu(Command.UNBIND | RESPONSE, sequence=50)]
    assert talk.session.room == 0
    [answered] = talk.hears(answer(SUBMIT, sequence, message_id=b"m"))
    assert isinstance(answered, Answered)
    assert talk.waits(0.1) == [Ended("unbound_by_carrier")]


def test_a_lost_connection_leaves_every_open_message_unanswered_once() -> None:
    talk = bound()
    talk.submit(1)
    talk.submit(2)
    lost = [Unanswered(1, "connection_lost"), Unanswered(2, "connection_lost"), Ended("connection_lost")]
    assert talk.session.lose("connection_lost") == lost
    assert talk.session.lose("connection_lost") == []
    assert talk.waits(100) == []


def test_a_broken_stream_ends_the_conversation_after_what_was_whole() -> None:
    talk = bound()
    sequence = talk.submit(1)
    talk.submit(2)
    stream = encode(answer(SUBMIT, sequence, message_id=b"m")) + b"\xff" * 20
    answered, unanswered, ended = talk.session.receive(stream, talk.now_s)
    assert isinstance(answered, Answered)
    assert (answered.ticket, unanswered, ended) == (1, Unanswered(2, "bad_length"), Ended("bad_length"))
    assert talk.session.receive(stream, talk.now_s) == []


def test_what_nobody_asked_for_is_passed_over_and_what_is_unknown_is_said_to_be() -> None:
    talk = bound()
    outbind = Pdu(Command.OUTBIND, sequence=1, fields={"system_id": b"x"})
    assert talk.hears(outbind, Pdu(Command.ALERT_NOTIFICATION, sequence=2), Pdu(0x80000077, sequence=3)) == []
    assert talk.wrote() == []
    talk.hears(Pdu(0x77, sequence=4))
    assert [(unit.command, unit.status, unit.sequence) for unit in talk.wrote()] == [(Command.GENERIC_NACK, 3, 4)]


def _in_two(talk: Talk) -> tuple[int, int]:
    talk.session.submit(9, type(SUBMISSION)(SUBMISSION.units * 2), talk.now_s)
    first, second = talk.wrote()
    return first.sequence, second.sequence


@pytest.mark.parametrize(
    ("statuses", "outcome"),
    [
        ((0, 0), Outcome(OutcomeClass.ACCEPTED, raw_code="0x00", provider_id="m-1")),
        ((0, 0x0B), Outcome(OutcomeClass.AMBIGUOUS, raw_code="0x0b")),
        ((0x0B, 0x0B), Outcome(OutcomeClass.DESTINATION, raw_code="0x0b")),
    ],
)
def test_the_parts_of_a_message_come_to_one_outcome(statuses: tuple[int, int], outcome: Outcome) -> None:
    talk = bound()
    units = _in_two(talk)
    assert talk.hears(answer(SUBMIT, units[1], statuses[1], message_id=b"m-1")) == []
    assert talk.hears(answer(SUBMIT, units[0], statuses[0], message_id=b"m-0")) == [Answered(9, outcome)]


def test_a_message_with_a_part_unanswered_is_told_of_once() -> None:
    talk = bound()
    first, second = _in_two(talk)
    talk.hears(answer(SUBMIT, first, message_id=b"m"))
    assert talk.waits(5.1) == [Unanswered(9, "no_answer")]
    assert talk.hears(answer(SUBMIT, second, message_id=b"m")) == []
    assert talk.session.lose("connection_lost") == [Ended("connection_lost")]


COMMANDS = st.sampled_from([*map(int, Command), *(int(each) | RESPONSE for each in Command), 0x77])
UNITS = st.builds(
    lambda command, status, sequence, body: (
        (16 + len(body)).to_bytes(4, "big")
        + command.to_bytes(4, "big")
        + status.to_bytes(4, "big")
        + sequence.to_bytes(4, "big")
        + body
    ),
    COMMANDS,
    st.sampled_from([0, 0, 2, 0x0D, 0x58, 0x4FF]),
    st.integers(0, 6),
    st.binary(max_size=30),
)
STEPS = st.one_of(
    UNITS.map(lambda unit: ("hear", unit)),
    st.binary(max_size=40).map(lambda noise: ("hear", noise)),
    st.sampled_from([("submit", b""), ("leave", b""), ("settle", b"k"), ("settle", b"")]),
    st.floats(0, 40).map(lambda seconds: ("wait", str(seconds).encode())),
)


@settings(max_examples=300)
@given(steps=st.lists(STEPS, max_size=40))
def test_whatever_a_carrier_does_every_message_ends_exactly_once(steps: list[tuple[str, bytes]]) -> None:
    talk = Talk(account=ACCOUNT)
    talk.session.open(talk.now_s)
    events, submitted = [], 0
    for step, told in steps:
        match step:
            case "hear":
                events += talk.session.receive(told, talk.now_s)
            case "wait":
                events += talk.waits(float(told))
            case "submit" if talk.session.room:
                submitted += 1
                talk.submit(submitted)
            case "leave":
                talk.session.leave(talk.now_s)
            case "settle":
                numbers = [event.number for event in events if isinstance(event, Reported)]
                talk.session.settle(numbers[-1] if numbers else 1, kept=bool(told))
        assert 0 <= talk.session.room <= 3
        talk.wrote()
    events += talk.session.lose("over")
    ended = [event.ticket for event in events if isinstance(event, Answered | Unanswered)]
    assert sorted(ended) == list(range(1, submitted + 1))
    assert sum(isinstance(event, Ended) for event in events) == 1
    assert isinstance(events[-1], Ended)
