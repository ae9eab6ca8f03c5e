"""What a provider quotes of a message is not kept."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchword.dispatch.decide.quoting import unquoted
from watchword.gateways import reading
from watchword.gateways.contract import Message

MESSAGE = Message(
    client_ref="ref",
    to="+14155552671",
    text="Your code is 483920",
    sender="",
    life_s=90,
    at=datetime(2026, 1, 1, tzinfo=UTC),
    variables={"code": "483920", "template": "default"},
)
SEPARATORS = st.sampled_from(["", " ", "-", ".", "_", " - "])


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ('Text "Your code is 483920" to +1 415-555-2671 is spam', 'Text_"Your_code_is_#"_to_+#_is_spam'),
        ("483920", "#"),
        ("bad text: 48-39-20", "bad_text:_#"),
        ("OTP483920", "OTP#"),
        ("(415) 555.2671 unreachable", "(#_unreachable"),
        ("5552671", "#"),
        ("30003", "30003"),
        ("ERR4839201", "ERR#"),
        ("no route", "no_route"),
    ],
)
def test_no_code_and_no_number_is_read_in_what_a_provider_said_of_a_message(said: str, kept: str) -> None:
    assert unquoted(reading.word(said), MESSAGE) == kept


@given(st.text(max_size=80), SEPARATORS, st.text(max_size=80))
def test_however_they_are_quoted(before: str, separator: str, after: str) -> None:
    for secret in ("483920", "14155552671"):
        kept = unquoted(reading.word(f"{before} {separator.join(secret)} {after}"), MESSAGE)
        assert secret not in "".join(char for char in kept if char.isdigit()) or secret in f"{before}{after}"


def test_a_message_without_a_code_by_itself_loses_its_number_all_the_same() -> None:
    message = Message(client_ref="", to="+442079460958", text="", sender="", life_s=1, at=MESSAGE.at)
    assert unquoted("to_020-7946-0958", message) == "to_#"
