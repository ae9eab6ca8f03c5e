"""What a platform may write as a phone number, and what it is told when it may not."""

import pytest

from watchword.kernel.phone import PhoneNumber, Refusal, parse

ALL = frozenset({"IN", "US", "GB", "DE", "UZ", "FR", "BE", "001"})


def parsed(text: str, *, default_region: str = "IN", allowed: frozenset[str] = ALL) -> PhoneNumber:
    found = parse(text, default_region=default_region, allowed_countries=allowed)
    assert isinstance(found, PhoneNumber), found
    return found


def refused(text: str, *, default_region: str = "IN", allowed: frozenset[str] = ALL) -> Refusal:
    found = parse(text, default_region=default_region, allowed_countries=allowed)
    assert isinstance(found, Refusal), found
    return found


@pytest.mark.parametrize(
    "text", ["+919876543210", "9876543210", "09876543210", "+91 98765 43210", "+91-(987)-654-3210", "0091 98765 43210"]
)
def test_one_number_written_in_many_ways_is_one_number(text: str) -> None:
    found = parsed(text)
    assert found.e164.reveal() == "+919876543210"
    assert (found.country, found.number_type, found.range) == ("IN", "mobile", "+91987654")
    assert str(found.e164) == "+91••••••3210"


def test_the_mask_knows_country_codes_of_one_and_three_digits() -> None:
    assert str(parsed("+12025550123").e164) == "+1••••••0123"
    assert str(parsed("+998901234567").e164) == "+998•••••4567"


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "+",
        "abc",
        "1",
        "+0",
        "+91987654321012345",
        "+919876543210 ext 5",
        "+919876543210;ext=5",
        "+919876543210x5",
        "1-800-FLOWERS",
        "tel:+919876543210",
        " +919876543210",
        "+919876543210\n",
        "+91\t9876543210",
        "+919876543210\0",
        "٩٨٧٦٥٤٣٢١٠",
        "\uff19\uff18\uff17\uff16\uff15\uff14\uff13\uff12\uff11\uff10",
        "+91 98765 43210 98765 43210 98765",
        "--------",
        "+999876543210",
        "++919876543210",
    ],
)
def test_what_is_not_a_number_is_refused_and_not_repeated(text: str) -> None:
    refusal = refused(text)
    assert refusal.code == "number_invalid"
    assert not text.strip(" +") or text not in refusal.detail


def test_a_local_number_needs_a_region_to_be_read_in() -> None:
    assert refused("9876543210", default_region="").code == "number_invalid"
    assert parsed("+919876543210", default_region="").country == "IN"


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("+18005550123", "toll_free"),
        ("+449098790000", "premium_rate"),
        ("+33884012345", "shared_cost"),
        ("+448001111", "toll_free"),
        ("+443001234567", "uan"),
        ("+447640123456", "pager"),
        ("+870773111632", "satellite"),
        ("+881612345678", "satellite"),
        ("+8821621234567", "satellite"),
    ],
)
def test_numbers_that_cost_or_do_not_receive_are_refused_by_type(text: str, word: str) -> None:
    refusal = refused(text)
    assert (refusal.code, word in refusal.detail) == ("number_type_refused", True)


def test_a_country_that_is_not_listed_is_refused() -> None:
    assert refused("+33612345678", allowed=frozenset({"IN"})).code == "country_not_permitted"
    assert refused("+919876543210", allowed=frozenset()).code == "country_not_permitted"


def test_numbers_of_no_country_are_refused_unless_listed() -> None:
    assert refused("+883510000000000", allowed=frozenset({"IN"})).code == "country_not_permitted"
    assert parsed("+883510000000000", allowed=frozenset({"001"})).country == "001"


def test_a_shared_country_code_still_tells_the_country() -> None:
    assert parsed("+12025550123").country == "US"
    assert refused("+18765550123", allowed=frozenset({"US"})).code == "country_not_permitted"
