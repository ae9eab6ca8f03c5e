"""What a policy says when nobody says otherwise, and what nobody can make it say."""

from math import log2

import msgspec
import pytest

from watchword.kernel.policy import Policy

TWENTY_BITS = 19.9
"""Six digits, as OWASP ASVS 5.0 (V6.5.4) counts them."""


def read(**fields: object) -> Policy:
    """A policy as its file's values become one."""
    return msgspec.convert({"id": "p", "tenant": "shop", "template": "t", **fields}, Policy)


def test_a_code_has_twenty_bits_unless_its_policy_asks_for_fewer() -> None:
    assert log2(10 ** read().digits) > TWENTY_BITS


@pytest.mark.parametrize("digits", [0, 3, 11, -6, "6"])
def test_no_policy_has_codes_that_are_shorter_than_four_digits_or_longer_than_ten(digits: object) -> None:
    with pytest.raises(msgspec.ValidationError):
        read(digits=digits)


@pytest.mark.parametrize("digits", [4, 5])
def test_a_short_code_is_worth_its_guesses_only(digits: int) -> None:
    """Below twenty bits only what bounds the guesses stands before a code: at most five in 10,000 are right."""
    policy = read(digits=digits)
    assert policy.checks_max / 10**policy.digits <= 5e-4
