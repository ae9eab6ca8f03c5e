"""What countries ask of senders, said when a file is applied."""

from pathlib import Path

import pytest

from watchword.kernel.senders import SenderKind, Sending, kind_of, objection, passed_over, rules
from watchword.runtime.configuration_file import ConfigurationError, read
from watchword.runtime.proofs import warnings_of

FILE = """
[[tenants]]
id = "shop"
countries = [{countries}]

[[templates]]
id = "default"
tenant = "shop"
texts = {{en = "{{code}} is your code."}}

[[accounts]]
id = "alpha"
gateway = "echo"
url = "https://gateway.example"
sender = "{sender}"
sender_registered_in = [{registered}]

[[routes]]
id = "all"
country = "{country}"
accounts = ["alpha"]
"""


def warned(directory: Path, *, country: str, sender: str, countries: str = '"GB"', registered: str = "") -> list[str]:
    file = directory / "shop.toml"
    file.write_text(FILE.format(country=country, sender=sender, countries=countries, registered=registered))
    return list(warnings_of(read(file, gateways={"echo"})))


@pytest.mark.parametrize(
    ("sender", "kind"),
    [
        ("", SenderKind.PROVIDERS), ("SHOP", SenderKind.ALPHANUMERIC), ("SHOP24", SenderKind.ALPHANUMERIC),
        ("24242", SenderKind.NUMERIC), ("+14155550100", SenderKind.NUMERIC),
        ("pool-78ec067f62f94d57", SenderKind.PROVIDERS),
    ],
)  # fmt: skip
def test_a_sender_is_a_name_or_a_number(sender: str, kind: SenderKind) -> None:
    assert kind_of(sender) is kind


def test_a_name_routed_to_a_country_that_takes_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as refused:
        warned(tmp_path, country="US", sender="SHOP")
    assert '[[accounts]] "alpha": "SHOP" as sender to US: messages come from registered' in str(refused.value)
    assert "route the country through an account with another sender" in str(refused.value)


def test_where_only_the_route_for_everywhere_leads_there_it_is_warned_of(tmp_path: Path) -> None:
    [told] = warned(tmp_path, country="*", sender="SHOP", countries='"US", "FR"')
    assert '"SHOP" as sender to US' in told


def test_a_name_is_registered_first_where_the_country_wants_that(tmp_path: Path) -> None:
    [told] = warned(tmp_path, country="SG", sender="SHOP")
    assert told.endswith('the account is passed over; once it is registered, say sender_registered_in = ["SG"]')
    assert warned(tmp_path, country="SG", sender="SHOP", registered='"SG"') == []
    assert warned(tmp_path, country="SG", sender="") == []
    assert warned(tmp_path, country="FR", sender="SHOP") == []


def test_general_names_are_refused_in_britain() -> None:
    told = objection(Sending("alpha", "Verify", "GB", registered=True, named=True))
    assert told is not None and told.refuses
    assert objection(Sending("alpha", "Shop", "GB", registered=False, named=True)) is None


def test_texts_to_india_want_their_registration(tmp_path: Path) -> None:
    [told] = warned(tmp_path, country="*", sender="", countries='"IN"')
    assert '[[templates]] "shop/default" is sent to IN' in told and "[templates.dlt]" in told


def test_every_country_of_the_table_is_one() -> None:
    assert all(len(country) == 2 and country.isupper() for country in rules())
    assert all(rule.because for rule in rules().values())


def test_a_number_to_india_is_objected_to_and_used_since_texts_bring_their_own_header() -> None:
    told = objection(Sending("alpha", "56789", "IN", registered=False, named=False))
    assert told is not None and "passed over" not in told.words
    assert not passed_over("56789", "IN", registered=False)
