"""A request that is shown holds neither a secret nor the number, however its gateway writes them."""

from dataclasses import replace

import pytest

from tests.contract.gateways import samples
from watchword.accounts.masking import HIDDEN, masked
from watchword.gateways.catalog import GATEWAYS
from watchword.gateways.contract import Account

SECRET = 'p&s=w/r d+"1"'


@pytest.mark.parametrize(("name", "account"), samples.accounts(), ids=lambda each: str(getattr(each, "id", each)))
def test_neither_secrets_nor_the_number_are_shown(name: str, account: Account) -> None:
    for secrets in (account.secrets, dict.fromkeys(account.secrets, SECRET)):
        own = replace(account, secrets=secrets)
        shown = masked(GATEWAYS[name].encode(samples.MESSAGE, own), own, samples.MESSAGE)
        assert HIDDEN in shown
        for hidden in (samples.NUMBER.removeprefix("+"), *secrets.values(), "p%26s%3Dw", "p&s=w"):
            assert hidden not in shown


def test_what_is_harmless_is_shown() -> None:
    [(name, account)] = [each for each in samples.accounts() if each[0] == "twilio"]
    shown = masked(GATEWAYS[name].encode(samples.MESSAGE, account), account, samples.MESSAGE)
    assert shown.startswith("POST https://api.twilio.com/2010-04-01/Accounts/AC")
    assert f"\nAuthorization: {HIDDEN}\nContent-Type: application/x-www-form-urlencoded\n" in shown
    assert "ValidityPeriod=240" in shown
