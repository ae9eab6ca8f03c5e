"""Messages put the code first, hold no link, and say nothing that a stranger wrote in."""

from collections.abc import Mapping
from typing import Any

import pytest

from watchword.kernel.dlt import Dlt, Registered
from watchword.kernel.secret import Code
from watchword.kernel.template import Autofill, Kind, Template, Variable, render, wording_for

CODE = Code("493021")
HASH = "FA+9qCX9VSu"


def template(text: str, **fields: Any) -> Template:
    return Template(**({"id": "default", "tenant": "shop", "texts": {"en": text}, "brand": "Shop"} | fields))


def message(of: Template, binding: Mapping[str, str] | None = None, ttl_s: int = 300, *, country: str = "GB") -> str:
    return render(of, wording_for(of, "en", country), CODE, binding or {}, ttl_s)


def test_the_user_reads_code_brand_and_minutes() -> None:
    told = message(template("{code} is your {brand} code, valid {minutes} min."))
    assert told == "493021 is your Shop code, valid 5 min."


def test_minutes_never_promise_more_than_there_is() -> None:
    one = template("{code} {minutes}")
    assert [message(one, ttl_s=ttl_s) for ttl_s in (30, 119, 120)] == ["493021 1", "493021 1", "493021 2"]


def test_a_payment_shows_what_is_paid_to_whom() -> None:
    paid = {"amount": "12.00", "currency": "INR", "payee": "Café 7"}
    told = message(template("{code}: pay {amount} to {payee}"), paid)
    assert told == "493021: pay 12.00 INR to Café 7"


@pytest.mark.parametrize("payee", ["http://evil.example/x", "evil.com", "a\nb", "{code}", "x" * 500, "\u202etxet"])
def test_a_payee_cannot_add_a_link_a_line_or_a_second_code(payee: str) -> None:
    told = message(template("{code} to {payee}"), {"payee": payee})
    assert told.count("493021") == 1 and len(told) <= 50
    assert not set(told) & set("/:.\n{}\u202e")


def test_a_template_may_show_less_of_what_a_caller_wrote() -> None:
    narrow = template("{code} to {payee}", variables={"payee": Variable(kind=Kind.ALPHANUMERIC, length_max=8)})
    assert message(narrow, {"payee": "Café <Ромашка> 77 and sons"}) == "493021 to Caf  77"
    assert message(narrow, {"payee": "Ромашка"}) == "493021 to "


@pytest.mark.parametrize(
    ("locale", "expected"),
    [
        ("de", "de"), ("de-AT", "de"), ("DE-at", "de"), ("zh-Hant-TW", "zh-Hant"), ("zh", "en-GB"), ("fr", "en-GB"),
        ("", "en-GB"), ("en", "en"), ("en-IN", "en"),
    ],
)  # fmt: skip
def test_a_missing_locale_falls_back_to_its_language_then_to_english(locale: str, expected: str) -> None:
    texts = dict.fromkeys(("de", "en", "en-GB", "zh-Hant"), "{code}")
    assert wording_for(template("", texts=texts), locale).locale == expected


def test_a_default_of_the_templates_own_comes_before_english() -> None:
    one = template("", texts={"en": "{code} en", "hi": "{code} hi"}, default_locale="hi")
    assert [wording_for(one, locale).locale for locale in ("en-IN", "ta-IN", "")] == ["en", "hi", "hi"]


def test_without_english_the_first_text_is_taken() -> None:
    assert wording_for(template("", texts={"uz": "{code} uz", "ru": "{code} ru"}), "fr").text == "{code} uz"


def test_the_line_for_browsers_is_the_last_and_the_apps_hash_comes_before_it() -> None:
    text = "{code} is your code."
    both = template(text, autofill=Autofill(host="shop.example", android_hash=HASH))
    assert message(both) == f"493021 is your code.\n{HASH}\n@shop.example #493021"
    assert message(template(text, autofill=Autofill(host="shop.example"))).splitlines()[-1] == "@shop.example #493021"
    assert message(template(text, autofill=Autofill(android_hash=HASH))).endswith(f"\n{HASH}")


def test_marks_of_word_processors_are_made_plain_where_that_makes_the_message_cheaper() -> None:
    assert message(template("{code} – don’t share it")) == "493021 - don't share it"
    assert message(template("{code} – don’t share it", smart_replacement=False)) == "493021 – don’t share it"
    assert message(template("{code} – никому")) == "493021 – никому"


def test_on_a_number_of_india_only_registered_texts_are_used_and_their_registration_comes_along() -> None:
    registered = {"hi": Registered(template_id="1107000000000000001", text="{#var#} hi")}
    india = Dlt(entity_id="1101000000000000001", header="SHOPIN", registered=registered)
    one = template("", texts={"en": "{code} en", "hi": "{code} hi"}, dlt=india)
    told = wording_for(one, "en", "IN")
    assert (told.locale, told.dlt_template_id, told.dlt_header, told.dlt_text) == (
        "hi", "1107000000000000001", "SHOPIN", "{#var#} hi",
    )  # fmt: skip
    assert wording_for(one, "en", "GB") == wording_for(template("", texts=one.texts), "en", "GB")
