"""Whose a message is that came without a reference of ours."""

from tests.chaos.nameless import Called, Message, owners


def test_a_message_is_of_the_attempt_that_heard_its_name() -> None:
    attempts = [Called("a", "v", "z-1"), Called("b", "v", "z-2"), Called("c", "w", "z-3")]
    messages = [Message("n-2", "z-2", "v"), Message("n-3", "z-3", "w"), Message("n-1", "z-1", "v")]
    assert owners(messages, attempts) == {"n-1": "a", "n-2": "b", "n-3": "c"}


def test_a_message_whose_answer_was_lost_is_of_an_attempt_that_heard_nothing() -> None:
    attempts = [Called("a", "v", ""), Called("b", "v", "z-2")]
    assert owners([Message("n-1", "z-1", "v"), Message("n-2", "z-2", "v")], attempts) == {"n-1": "a", "n-2": "b"}


def test_a_message_too_many_is_nobodys() -> None:
    attempts = [Called("a", "v", ""), Called("b", "v", "z-2")]
    messages = [Message(f"n-{number}", f"z-{number}", "v") for number in (1, 2, 3)]
    assert owners(messages, attempts) == {"n-1": "a", "n-2": "b"}
    assert owners([Message("n-9", "z-2", "elsewhere")], attempts) == {}
