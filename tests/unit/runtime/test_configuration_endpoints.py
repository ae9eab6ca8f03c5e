"""[[endpoints]] of a configuration file: what is refused and how it is said, and what a worker makes of the rest."""

import base64
from pathlib import Path

import pytest

from watchword.kernel.tenancy import Endpoint
from watchword.runtime.configuration import SEALED_SECRETS, Row, endpoint_aad, snapshot
from watchword.runtime.configuration_file import ConfigurationError, dangling, full_id, read
from watchword.runtime.keyring import Keyring, Purpose
from watchword.runtime.sealing import Key, seal

SECRET = "whsec_" + base64.b64encode(b"s" * 24).decode()
GOOD = f"""
[[tenants]]
id = "shop"
countries = ["IN"]

[[endpoints]]
id = "main"
tenant = "shop"
url = "https://hooks.shop.example/otp"
secrets = ["{SECRET}"]
"""
KEY = Key("endpoint", b"k" * 32)
KEYS = Keyring({Purpose.ENDPOINT: (KEY,)})


def faults(directory: Path, text: str) -> str:
    file = directory / "shop.toml"
    file.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        read(file, gateways={"echo"})
    return str(caught.value)


def stored(*, sealed_for: str = "main", key: Key = KEY) -> Row:
    sealed = seal(key, f'["{SECRET}"]'.encode(), endpoint_aad("shop", sealed_for))
    document = {
        "id": "main",
        "tenant": "shop",
        "url": "https://hooks.shop.example/otp",
        "events": ["verification-ended"],
        "disabled": False,
        SEALED_SECRETS: base64.b64encode(sealed).decode(),
    }
    return Row("endpoint", "shop/main", 3, document)


def test_an_endpoint_is_told_of_endings_unless_it_asks_for_more(tmp_path: Path) -> None:
    file = tmp_path / "shop.toml"
    file.write_text(GOOD)
    [endpoint] = read(file, gateways=()).endpoints
    assert (full_id(endpoint), endpoint.events, endpoint.secrets) == ("shop/main", ["verification-ended"], [SECRET])


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (GOOD.replace("https://hooks.shop.example", "http://hooks.shop.example"), "url is refused (scheme)"),
        (GOOD.replace("https://hooks.shop.example", "https://10.0.0.1"), "url is refused (address)"),
        (GOOD.replace("https://hooks.shop.example", "https://2130706433"), "url is refused (host)"),
        (GOOD.replace("https://hooks.shop.example", "https://u:p@hooks.shop.example"), "url is refused (user)"),
        (GOOD.replace(SECRET, "whsec_c2hvcnQ="), "secret 1 is not whsec_ and the base64 of 24 to 64 bytes"),
        (GOOD.replace(SECRET, SECRET.removeprefix("whsec_")), "secret 1 is not whsec_"),
        (GOOD.replace(SECRET, "whsec_*not base64*"), "secret 1 is not whsec_"),
        (GOOD.replace(f'"{SECRET}"', ""), "secrets: Expected `array` of length >= 1"),
        (GOOD.replace(f'"{SECRET}"', ", ".join([f'"{SECRET}"'] * 3)), "secrets: Expected `array` of length <= 2"),
        (GOOD + 'events = ["callback-delivered"]', "events[0]: Invalid enum value"),
        (GOOD + "events = []", "events: Expected `array` of length >= 1"),
        (GOOD + 'secret = "x"', 'unknown field "secret", did you mean "secrets"?'),
        (GOOD.replace('id = "main"', 'id = "Main!"'), "id: must be lower-case"),
        (GOOD.replace('countries = ["IN"]', 'countries = ["IN"]\nresults_topic = "otp.dispatch.v1"'), "results_topic"),
    ],
)
def test_a_wrong_endpoint_is_refused_with_its_name_and_its_fault(tmp_path: Path, wrong: str, said: str) -> None:
    told = faults(tmp_path, wrong)
    assert said in told
    assert SECRET not in told


def test_an_endpoint_of_a_tenant_that_is_not_there_leads_nowhere(tmp_path: Path) -> None:
    file = tmp_path / "shop.toml"
    file.write_text(GOOD.replace('tenant = "shop"', 'tenant = "shap"'))
    [told] = dangling(read(file, gateways=()), {})
    assert told == '[[endpoints]] "shap/main" names an unknown tenant "shap", did you mean "shop"?'


def test_a_worker_that_holds_the_key_has_the_secrets_and_they_do_not_print() -> None:
    [endpoint] = snapshot([stored()], serial=1, keyring=KEYS).endpoints_of("shop")
    assert endpoint == Endpoint(
        "main", "shop", "https://hooks.shop.example/otp", ("verification-ended",), 3, False, (SECRET,)
    )
    assert SECRET not in repr(endpoint)


def test_a_worker_without_the_key_knows_the_endpoint_and_no_secret() -> None:
    [endpoint] = snapshot([stored()], serial=1, keyring=Keyring({})).endpoints_of("shop")
    assert endpoint.secrets == ()


def test_secrets_that_were_sealed_for_another_endpoint_are_not_used() -> None:
    assert snapshot([stored(sealed_for="other")], serial=1, keyring=KEYS).endpoints == {}
