"""A template is refused when it is applied, not when somebody waits for its message."""

from typing import Any

import pytest

from watchword.kernel.dlt import Dlt, Registered
from watchword.kernel.proofreading import complaints, warnings
from watchword.kernel.template import Autofill, Kind, Template, Variable

ID = "1107000000000000001"


def template(text: str, **fields: Any) -> Template:
    return Template(**({"id": "default", "tenant": "shop", "texts": {"en": text}, "brand": "Shop"} | fields))


def registration(text: str, **fields: Any) -> Dlt:
    registered = {"en": Registered(template_id=ID, text=text)}
    return Dlt(entity_id="1101000000000000001", header="SHOPIN", registered=registered, **fields)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("Your code", "exactly once"),
        ("{code} {code}", "exactly once"),
        ("In 5 minutes: {code}", "no digits before"),
        ("{minutes} min: {code}", "no digits before"),
        ("{payee}: {code}", "no digits before"),
        ("{code} {name}", "unknown placeholders: name"),
        ("{code} {", "unpaired brace"),
        ("{code} }", "unpaired brace"),
        ("{code} https://shop.example", "no link"),
        ("{code} www.shop.example", "no link"),
        ("{code} at bit.ly/x", "no link"),
    ],
)
def test_a_text_that_misleads_people_or_phones_is_refused(text: str, complaint: str) -> None:
    assert any(complaint in told for told in complaints(template(text)))


def test_a_brand_with_digits_may_not_stand_before_the_code() -> None:
    assert complaints(template("{brand}: {code}", brand="Shop24"))
    assert complaints(template("{brand}: {code}", brand="Shop")) == []


def test_a_template_without_texts_is_refused() -> None:
    assert complaints(Template(id="t", tenant="s", texts={})) == ["has no texts"]


def test_a_longer_message_is_refused_with_its_parts_unless_that_many_are_allowed() -> None:
    long = "{code} " + "x" * 160
    [told] = complaints(template(long))
    assert told == (
        "text 'en' takes 2 parts of gsm7 at its longest (171 units): shorten it by 11 units, or allow it with "
        "segments_max = 2"
    )
    assert complaints(template(long, segments_max=2)) == []
    assert "2 part(s) of gsm7" in warnings(template(long, segments_max=2))[0]


def test_the_longest_message_counts_the_longest_code_minutes_values_and_lines() -> None:
    assert complaints(template("{code}{minutes}" + "x" * 148)) == []
    assert complaints(template("{code}{minutes}" + "x" * 149))
    assert complaints(template("{code}" + "x" * 122, autofill=Autofill(host="shop.example"))) == []
    assert complaints(template("{code}" + "x" * 130, autofill=Autofill(host="shop.example")))


def test_what_callers_fill_in_may_turn_a_message_into_ucs2() -> None:
    text = "{code} pays {payee} for what you have in your basket"
    [told] = complaints(template(text))
    assert "2 parts of ucs2" in told
    assert complaints(template(text, variables={"payee": Variable(kind=Kind.ALPHANUMERIC)})) == []
    assert "what callers may fill in" in warnings(template("{code} to {payee}"))[0]


def test_a_message_in_ucs2_is_warned_of_with_the_letters_that_make_it_so() -> None:
    assert warnings(template("{code} is your code")) == []
    assert "1 part(s) of ucs2, because of 'в' 'а' 'ш'" in warnings(template("{code} ваш код"))[0]


def test_replaced_marks_are_told_with_what_stands_for_them() -> None:
    told = warnings(template("{code} – don’t share it"))
    assert told == ["text 'en' is sent with plain marks, which fit into gsm7: U+2013 by -, U+2019 by '"]
    assert "ucs2, because of '–' '’'" in warnings(template("{code} – don’t share", smart_replacement=False))[0]


def test_androids_hash_is_read_in_140_bytes_only() -> None:
    app = Autofill(android_hash="FA+9qCX9VSu")
    assert complaints(template("{code}" + "x" * 118, autofill=app)) == []
    assert "is 141 bytes long" in complaints(template("{code}" + "x" * 119, autofill=app))[0]


def test_a_name_that_is_none_is_refused() -> None:
    assert "default_locale 'hi' is none" in complaints(template("{code}", default_locale="hi"))[0]
    odd = template("{code}", variables={"code": Variable(kind=Kind.NUMERIC)})
    assert "variables.code is nothing that callers fill" in complaints(odd)[0]


TEXT = "{code} is your {brand} code. Do not share it."


def test_a_text_as_it_is_registered_is_fit() -> None:
    for portal in ("{#var#}", "##var##", "{#numeric#}", "##OTP##"):
        fit = template(TEXT, dlt=registration(f"{portal} is your Shop code. Do not share it."))
        assert complaints(fit) == []


@pytest.mark.parametrize(
    "registered",
    ["{#var#} is your Shop code.", "{#var#} is your shop code. Do not share it.", "{#email#} is your Shop code. Do not "
     "share it.", "{#var#} is your Shop code. Do not share it. "],
)  # fmt: skip
def test_a_text_that_operators_would_drop_is_refused_when_applied(registered: str) -> None:
    [told] = complaints(template(TEXT, dlt=registration(registered)))
    assert "dlt.registered.en does not match text 'en'" in told and "0000000000 is your Shop code" in told


def test_a_registration_without_its_text_is_refused() -> None:
    other = template("", texts={"hi": "{code} hi"}, dlt=registration("{#var#} en"))
    assert "dlt.registered.en belongs to no text" in complaints(other)[0]
