"""What India's operators compare, compared before anything is spent."""

import hashlib
from typing import Any

import pytest

from watchword.kernel.dlt import Dlt, Registered, chain_hash, complaints, matches

ENTITY = "1101000000000000001"


def faults(text: str, **fields: Any) -> list[str]:
    registered = Registered(template_id="1107000000000000001", text=text)
    return complaints(Dlt(entity_id=ENTITY, header="SHOPIN", registered={"en": registered}, **fields), registered)


@pytest.mark.parametrize(
    ("registered", "message", "same"),
    [
        ("{#var#} is your code.", "493021 is your code.", True),
        ("##var## is your code.", "493021 is your code.", True),
        ("##otp## is your code.", "493021 is your code.", True),
        ("{#numeric#} is your code.", "493021 is your code.", True),
        ("{#numeric#} is your code.", "49302a is your code.", False),
        ("{#alphanumeric#} is your code.", "A1 is your code.", True),
        ("{#alphanumeric#} is your code.", "A-1 is your code.", False),
        ("{#var#} is your code.", "493021 is your code", False),
        ("{#var#} is your code.", "493021 is your code. ", False),
        ("{#var#} is your code.", "493021 Is your code.", False),
        ("{#var#} is your code.", " is your code.", False),
        ("{#var#} is your code.", "x" * 30 + " is your code.", True),
        ("{#var#} is your code.", "x" * 31 + " is your code.", False),
        ("{#var#} (a+b) costs $5.", "1 (a+b) costs $5.", True),
        ("{#var#} (a+b) costs $5.", "1 (aab) costs $5.", False),
        ("{#var#} here.\r\n@shop.example #{#var#}", "493021 here.\n@shop.example #493021", True),
        ("{#var#} here.", "49\n3021 here.", False),
    ],
)
def test_a_message_passes_exactly_if_it_is_what_was_registered(registered: str, message: str, same: bool) -> None:
    assert matches(registered, message) is same


def test_hostile_texts_are_compared_in_no_time() -> None:
    for variables in (3, 8):
        assert not matches("{#var#}" * variables + "!", "x" * 1_000)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{#var#} is {#var#} for {#var#} you see", "has 3 variables, 2 are allowed"),
        ("{#var#} {#var#} is your code, honestly", "side by side"),
        ("{#var#}, {#var#} is your code, honestly", "side by side"),
        ("{#var#} is {#var#}", "less than 30% fixed"),
        ("<#> {#var#} is your code", 'no "<" or ">"'),
        ("{#var#} is  your code", "two spaces"),
        ("{#numeri#} is your code", "did you mean {#numeric#}?"),
    ],
)
def test_what_a_portal_refuses_is_told_with_its_mend(text: str, told: str) -> None:
    assert any(told in fault for fault in faults(text)), faults(text)


def test_a_third_variable_needs_its_recorded_reason() -> None:
    text = "{#var#} is your code for {#var#} at our shop {#var#}, thank you"
    assert "third_variable" in faults(text)[0]
    assert faults(text, third_variable="the amount is named") == []


def test_the_chain_is_hashed_from_the_entity_to_the_one_who_delivers() -> None:
    chain = ("1102000000000000002", "1103000000000000003")
    told = f"{ENTITY},1102000000000000002,1103000000000000003"
    assert chain_hash(ENTITY, chain) == hashlib.sha256(told.encode()).hexdigest()
    assert chain_hash(ENTITY, ()) == ""
