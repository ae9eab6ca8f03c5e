"""What a check could not look at is told, called kept by nobody, and held against nobody."""

from dataclasses import replace

import pytest

from tests.unit.audit.test_checks import broken, kept, submitted, with_row, without
from watchword.audit.checks import audit


@pytest.mark.parametrize("check", ["A2", "A11"])
def test_what_only_carriers_know_is_not_called_kept_without_asking_them(check: str) -> None:
    [finding] = audit(kept(carrier=None), [check])
    assert (finding.kept, finding.unseen) == (None, ("what phones got: no carrier's ledger was asked",))
    [finding] = audit(kept(), [check])
    assert (finding.kept, finding.unseen) == (True, ())


@pytest.mark.parametrize(
    ("topic", "checks"),
    [
        ("otp.inbox.v1", {"A1", "A5", "A9", "A10"}),
        ("otp.inbox.v1.dead", {"A1", "A5", "A10"}),
        ("otp.requests.v1", {"A1", "A3", "A4", "A5", "A6", "A7", "A8", "A9", "A10", "A11"}),
        ("otp.receipts.v1", {"A5", "A8", "A9", "A10"}),
        ("results.shop", {"A8"}),
    ],
)
def test_check_that_could_not_see_a_topic_says_so_and_calls_nothing_kept(topic: str, checks: set[str]) -> None:
    findings = audit(kept(unseen={topic: "may not be read"}))
    assert {each.check for each in findings if each.unseen == (f"{topic} may not be read",)} == checks
    assert {each.check for each in findings if each.kept is None} == checks
    assert not any(each.breaches for each in findings)


@pytest.mark.parametrize(
    ("check", "topic"),
    [
        ("A1", "otp.results.v1"),
        ("A5", "otp.requests.v1.dead"),
        ("A6", "otp.lifecycle.v1"),
        ("A7", "otp.lifecycle.v1"),
    ],
)
def test_what_would_have_to_be_held_against_something_unseen_is_held_against_nobody(check: str, topic: str) -> None:
    facts = replace(
        without({4, 9}), passed_over=(("otp.requests.v1/0/7", "its send was never assessed"),),
        submitted=(submitted(kept()),),
    )  # fmt: skip
    facts = with_row(facts, state="expired")
    assert broken(facts, check) != []
    assert broken(replace(facts, unseen={topic: "may not be read"}), check) == []
