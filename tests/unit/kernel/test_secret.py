"""A secret is shown masked, encoded by nobody, and compared without telling where it differs."""

import copy
import json
import pickle
from collections.abc import Callable
from typing import Any

import msgspec
import orjson
import pytest

from watchword.kernel.secret import Code, Phone

CODE = Code("493021")
PHONE = Phone("+919876543210")


@pytest.mark.parametrize(
    "show", [str, repr, "{}".format, "{!r}".format, lambda value: f"{value}", lambda value: f"{[value]}"]
)
def test_every_way_to_print_shows_the_mask(show: Callable[[Any], str]) -> None:
    assert "493021" not in show(CODE)
    assert "87654" not in show(PHONE)
    assert "•" in show(CODE) and "•" in show(PHONE)


@pytest.mark.parametrize(
    "encode", [msgspec.json.encode, msgspec.msgpack.encode, orjson.dumps, json.dumps, pickle.dumps]
)
@pytest.mark.parametrize("value", [CODE, PHONE])
def test_no_encoder_takes_it(encode: Callable[[Any], bytes], value: object) -> None:
    with pytest.raises(TypeError):
        encode({"value": value})


def test_a_format_that_could_cut_it_open_is_refused() -> None:
    with pytest.raises(TypeError, match="Code"):
        format(CODE, "s")


def test_only_reveal_gives_the_clear_text() -> None:
    assert (CODE.reveal(), PHONE.reveal()) == ("493021", "+919876543210")
    assert not hasattr(CODE, "__dict__")


def test_it_equals_its_like_and_nothing_else() -> None:
    assert Code("493021") == CODE
    assert Code("493022") != CODE
    assert CODE != "493021"
    assert Code("+919876543210") != PHONE
    assert len({CODE, Code("493021"), Code("111111")}) == 2
    assert Code("٤٩٣٠٢١") != CODE


def test_it_cannot_be_changed_and_copies_are_itself() -> None:
    with pytest.raises(AttributeError):
        CODE._clear = "000000"
    with pytest.raises(AttributeError):
        del CODE._clear
    assert copy.copy(CODE) is CODE
    assert copy.deepcopy({"code": CODE})["code"] is CODE


@pytest.mark.parametrize(
    ("number", "country_digits", "shown"),
    [
        ("+919876543210", 2, "+91••••••3210"),
        ("+12025550123", 1, "+1••••••0123"),
        ("+998901234567", 3, "+998•••••4567"),
        ("+4912345", 2, "+••••••"),
        ("", 2, "+••••••"),
    ],
)
def test_a_number_shows_its_country_and_its_last_four_digits(number: str, country_digits: int, shown: str) -> None:
    assert str(Phone(number, country_digits=country_digits)) == shown
