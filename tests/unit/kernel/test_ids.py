"""Ids that are derived: the same facts, the same id; other facts, another."""

from uuid import UUID

from watchword.kernel.ids import attempt_id, born_ms, event_id

VERIFICATION = UUID("0195f000-1234-7abc-8def-000000000001")


def test_attempts_are_told_apart_by_send_and_try() -> None:
    made = {attempt_id(VERIFICATION, send, attempt) for send in range(1, 6) for attempt in range(1, 6)}
    assert len(made) == 25
    assert attempt_id(VERIFICATION, 2, 3) == attempt_id(VERIFICATION, 2, 3)


def test_an_attempt_lies_beside_its_verification_in_time() -> None:
    made = attempt_id(VERIFICATION, 1, 1)
    assert born_ms(made) == born_ms(VERIFICATION)
    assert (made.version, made.variant) == (8, "specified in RFC 4122")


def test_numbers_out_of_any_range_still_name_an_attempt() -> None:
    assert attempt_id(VERIFICATION, 70_000, -1) != attempt_id(VERIFICATION, 70_000, 1)


def test_an_event_id_depends_on_subject_name_and_ordinal() -> None:
    made = {event_id("a", "code-issued", 1), event_id("b", "code-issued", 1), event_id("a", "code-checked", 1)}
    assert len(made | {event_id("a", "code-issued", 2)}) == 4
    assert event_id("a", "code-issued", 1) in made
