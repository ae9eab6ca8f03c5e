"""What of codes goes the shorter way."""

from datetime import timedelta

from tests.unit.codes.test_decide import FACTS, ISSUED, MINTED, NOW, assessed
from watchword.codes.decide import decide
from watchword.codes.worker import issued_at_once
from watchword.events.verification_assessed import Action
from watchword.kernel.ids import attempt_id
from watchword.kernel.verdict import Done


def written(verdict: object) -> tuple[object, ...] | None:
    assert isinstance(verdict, Done)
    return issued_at_once(verdict)


def test_a_first_code_is_one_row() -> None:
    attempt = attempt_id(FACTS.about.verification_id, 1, 1)
    until = NOW + timedelta(seconds=240)
    row = (1, 1, str(attempt), until, MINTED.mac, MINTED.pepper_id, MINTED.sealed)
    assert written(decide(assessed(), FACTS, NOW)) == row


def test_blocks_resends_endings_and_repeats_go_the_usual_way() -> None:
    blocked = decide(assessed(Action.BLOCK), FACTS, NOW)
    again = decide(assessed(send_no=2), ISSUED, NOW)
    late = decide(assessed(), FACTS, FACTS.about.expires_at)
    repeated = decide(assessed(), ISSUED, NOW)
    assert [written(each) for each in (blocked, again, late, repeated)] == [None] * 4
