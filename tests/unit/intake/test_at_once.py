"""What a start leads to if nothing stands in its way, before anything is read."""

import msgspec
from msgspec.structs import replace

from tests.support.requests import NOW, SHOP, start
from watchword.intake.answers import Accepted
from watchword.intake.at_once import supposed, with_room
from watchword.intake.decide import Found, Stored, decide_all, limits_for
from watchword.intake.limits import Buckets
from watchword.intake.request import Asker, Publisher, Repeat
from watchword.intake.store import Begun
from watchword.kernel.instant import from_us, to_us


def test_it_is_what_the_desk_would_decide_on_an_empty_database() -> None:
    request = start(asker=Asker(SHOP, Repeat("http:k", b"same")))
    found = Found(None, Stored(b"same", 0, b""), limits_for(request, None))
    [ruling] = decide_all([(request, found)], Buckets({}, to_us(NOW)), NOW)
    guess = supposed(request, NOW)
    assert guess is not None and isinstance(ruling.reply, Accepted)
    assert (guess.answer.status, guess.answer.body) == (ruling.reply.status, ruling.reply.body)
    assert guess.write == ruling.done.writes[0]
    assert guess.limits == found.limits


def test_its_first_event_is_number_one() -> None:
    guess = supposed(start(), NOW)
    assert guess is not None
    assert dict(guess.row.headers)["ce_sequence"] == b"1"


def test_what_is_refused_whatever_the_database_holds_is_for_the_desk() -> None:
    late = Publisher("request-1", "", "otp.inbox.v1/0/7", expires_at=NOW)
    assert supposed(start(blocked=True), NOW) is None
    assert supposed(start(asker=Asker(SHOP, publisher=late)), NOW) is None


def test_the_statement_is_given_the_key_and_the_answer_to_keep_under_it() -> None:
    guess = supposed(start(asker=Asker(SHOP, Repeat("http:k", b"same"))), NOW)
    assert guess is not None
    assert guess.sealed(b"number", None, b"wrapped").row[24:] == (
        b"number", None, "http:k", b"same", 202, guess.answer.body, b"wrapped", "send/tenant/shop/",
    )  # fmt: skip


def test_each_of_a_batch_is_told_the_room_it_left_and_not_what_the_last_one_left() -> None:
    asker = Asker(replace(SHOP, requests_per_second=1, requests_burst=10))
    guesses = [supposed(start(f"+91987654321{last}", asker=asker), NOW) for last in range(3)]
    tat = from_us(to_us(NOW) + 5_000_000)
    answers = with_room([(each, Begun(begun=True, tat=tat)) for each in guesses if each is not None], NOW)
    assert [each.room.remaining for each in answers if each.room is not None] == [7, 6, 5]
    assert msgspec.json.decode(answers[0].body)["status"] == "pending"
