"""Messages put the code first, hold no link, and say nothing that a stranger wrote in."""

import pytest

from watchword.kernel.gsm7 import size
from watchword.kernel.secret import Code
from watchword.kernel.template import Template, complaints, render, text_for, warnings

CODE = Code("493021")


def template(text: str, *, brand: str = "Shop", host: str = "shop.example", **others: str) -> Template:
    return Template(id="default", tenant="shop", texts={"en": text, **others}, brand=brand, host=host)


def test_the_user_reads_code_brand_and_minutes() -> None:
    told = render(template("{code} is your {brand} code, valid {minutes} min."), "en", CODE, {}, 300)
    assert told == "493021 is your Shop code, valid 5 min."


def test_minutes_never_promise_more_than_there_is() -> None:
    one = template("{code} {minutes}")
    assert [render(one, "en", CODE, {}, ttl_s) for ttl_s in (30, 119, 120)] == ["493021 1", "493021 1", "493021 2"]


def test_a_payment_shows_what_is_paid_to_whom() -> None:
    told = render(
        template("{code}: pay {amount} to {payee}"),
        "en",
        CODE,
        {"amount": "12.00", "currency": "INR", "payee": "Café 7"},
        300,
    )
    assert told == "493021: pay 12.00 INR to Café 7"


@pytest.mark.parametrize("payee", ["http://evil.example/x", "evil.com", "a\nb", "{code}", "x" * 500, "\u202etxet"])
def test_a_payee_cannot_add_a_link_a_line_or_a_second_code(payee: str) -> None:
    told = render(template("{code} to {payee}"), "en", CODE, {"payee": payee}, 300)
    assert told.count("493021") == 1 and len(told) <= 50
    assert not set(told) & set("/:.\n{}\u202e")


@pytest.mark.parametrize(
    ("locale", "expected"),
    [("de", "de"), ("de-AT", "de"), ("en-GB", "british"), ("fr", "british"), ("", "british"), ("en", "en")],
)
def test_a_missing_locale_falls_back_to_its_language_then_to_english(locale: str, expected: str) -> None:
    texts = {"de": "{code} de", "en": "{code} en", "en-GB": "{code} british"}
    found = text_for(Template(id="t", tenant="s", texts=texts), locale)
    assert found == f"{{code}} {expected}"


def test_without_english_the_first_text_is_taken() -> None:
    assert text_for(Template(id="t", tenant="s", texts={"uz": "{code} uz", "ru": "{code} ru"}), "fr") == "{code} uz"


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


def test_a_text_that_costs_two_messages_is_warned_of() -> None:
    assert warnings(template("{code} is your code")) == []
    assert "2 part(s) of gsm7" in warnings(template("{code} " + "x" * 160))[0]
    assert "ucs2" in warnings(template("{code} ваш код"))[0]


@pytest.mark.parametrize(
    ("text", "encoding", "units", "segments"),
    [
        ("", "gsm7", 0, 1),
        ("a" * 160, "gsm7", 160, 1),
        ("a" * 161, "gsm7", 161, 2),
        ("€" * 80, "gsm7", 160, 1),
        ("a" * 152 + "€" + "a" * 10, "gsm7", 164, 2),
        ("€" * 153, "gsm7", 306, 3),
        ("ж" * 70, "ucs2", 70, 1),
        ("ж" * 71, "ucs2", 71, 2),
        ("😀" * 35, "ucs2", 70, 1),
        ("😀" * 67, "ucs2", 134, 3),
        ("`", "ucs2", 1, 1),
    ],
)
def test_parts_are_counted_as_phones_count_them(text: str, encoding: str, units: int, segments: int) -> None:
    told = size(text)
    assert (told.encoding, told.units, told.segments) == (encoding, units, segments)
