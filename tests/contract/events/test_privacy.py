"""No event holds a code, and none but the publishers' own holds a clear number or an address."""

import ipaddress
import re
from collections.abc import Iterator
from typing import Any

import phonenumbers
import pytest

from tests.contract.events.contract_cases import EXAMPLES, FOLDERS, Example, leaves
from watchword.contracts.folder import EventFolder

MAY_BE_CLEAR = {
    "verification-submitted": {
        "to", "binding", "signals.ip", "signals.device_id", "signals.user_agent", "signals.account_ref",
    },
}  # fmt: skip
NAMES_OF_SECRETS = re.compile(r"(^|_)(otp|pin|passcode|secret|password|pepper|api_key|private_key|mac)($|_)")
NAMES_OF_PERSONS = re.compile(r"(^|_)(phone|msisdn|mobile|number|to|ip|email|device_id|user_agent)$")
LOOKS_LIKE_A_CODE = re.compile(r"\b[0-9]{4,10}\b")
LOOKS_LIKE_A_NUMBER = re.compile(r"(?<![0-9a-fA-F-])\+?[0-9][0-9 ]{6,18}[0-9](?![0-9a-fA-F-])")
CODE_WORDS = {("verification-refused", "code"), ("reasons", "code")}


def texts(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every text in a value with the path that leads to it."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from texts(inner, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for inner in value:
            yield from texts(inner, path)
    elif isinstance(value, str):
        yield path, value


def is_number(text: str) -> bool:
    """Whether a text holds a number somebody could be called on."""
    for found in LOOKS_LIKE_A_NUMBER.findall(text):
        digits = found.replace(" ", "").lstrip("+")
        try:
            if phonenumbers.is_valid_number(phonenumbers.parse(f"+{digits}")):
                return True
        except phonenumbers.NumberParseException:
            continue
    return False


def is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_only_what_platforms_publish_is_in_clear(folder: EventFolder) -> None:
    for version in folder.versions:
        clear = {path for path, field in leaves(folder.schema(version)) if field["x-pii"] == "clear"}
        assert clear == MAY_BE_CLEAR.get(folder.name, set())


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_no_field_is_named_like_a_code_a_key_or_a_person(folder: EventFolder) -> None:
    for version in folder.versions:
        for path, _ in leaves(folder.schema(version)):
            name = path.rpartition(".")[2]
            assert not NAMES_OF_SECRETS.search(name), path
            assert path in MAY_BE_CLEAR.get(folder.name, set()) or not NAMES_OF_PERSONS.search(name), path


def test_the_fields_called_code_hold_a_word() -> None:
    found = {
        (path.split(".")[-2] if "." in path else folder.name, "code"): field["x-unit"]
        for folder in FOLDERS
        for version in folder.versions
        for path, field in leaves(folder.schema(version))
        if path.rpartition(".")[2] == "code"
    }
    assert found == dict.fromkeys(CODE_WORDS, "word")


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_no_example_holds_a_code_or_a_clear_number(example: Example) -> None:
    allowed = MAY_BE_CLEAR.get(example.folder.name, set())
    for path, text in texts(example.value):
        assert not LOOKS_LIKE_A_CODE.fullmatch(text), path
        assert path in allowed or not is_number(text), path
        assert path in allowed or not is_address(text), path


def test_schemas_hold_no_clear_number_either() -> None:
    for folder in FOLDERS:
        for version in folder.versions:
            for path, field in leaves(folder.schema(version)):
                told = [text for _, text in texts(field["examples"])]
                assert field["x-pii"] == "clear" or not any(map(is_number, told)), path


@pytest.mark.parametrize("text", ["+61491570156", "61491570156", "call +61 491 570 156 now"])
def test_a_number_is_known_when_it_is_seen(text: str) -> None:
    assert is_number(text)


@pytest.mark.parametrize("text", ["+6149157", "range:+6149157", "019cadd4-6638-7c4e-9b1f-3f0c5d6e7a81", "505-01"])
def test_a_range_or_an_id_is_no_number(text: str) -> None:
    assert not is_number(text)


def test_example_numbers_are_kept_for_fiction() -> None:
    # The mobile numbers that Australia's regulator keeps for films and books.
    kept = {"+61491570006", "+61491570110", "+61491570156", "+61491570157", "+61491570158", "+61491570159"}
    told = [example.value["to"].replace(" ", "") for example in EXAMPLES if "to" in example.value]
    numbers = {number for number in told if number.startswith("+")}
    assert numbers
    assert numbers <= kept
