"""A file that cannot be applied is told with all its faults, each with table, name, field and the nearest word."""

from pathlib import Path

import msgspec
import pytest

from watchword.gateways.contract import Account
from watchword.runtime.configuration_file import (
    TABLES,
    AccountDocument,
    ConfigurationError,
    Documents,
    dangling,
    full_id,
    read,
)
from watchword.runtime.proofs import warnings_of

GOOD = """
[[tenants]]
id = "shop"
countries = ["IN"]
sources = ["/shop"]

[[policies]]
id = "default"
tenant = "shop"
template = "default"

[[templates]]
id = "default"
tenant = "shop"
texts = {en = "{code} is your code"}

[[accounts]]
id = "alpha"
gateway = "echo"
url = "https://gateway.example"
secrets = {token = "hunter2"}

[[routes]]
id = "all"
country = "*"
accounts = ["alpha"]

[[api_keys]]
tenant = "shop"
name = "web"
scopes = ["start", "check"]
"""


def load(directory: Path, text: str) -> Documents:
    file = directory / "shop.toml"
    file.write_text(text)
    return read(file, gateways={"echo", "msg91", "template"})


def faults(directory: Path, text: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load(directory, text)
    return str(caught.value)


def test_a_good_file_is_read(tmp_path: Path) -> None:
    documents = load(tmp_path, GOOD)
    assert [full_id(policy) for policy in documents.policies] == ["shop/default"]
    assert documents.accounts[0].secrets == {"token": "hunter2"}
    assert dangling(documents, {}) == []
    assert "hunter2" not in repr(documents)


def test_an_account_document_has_every_field_of_the_contract() -> None:
    assert set(AccountDocument.__struct_fields__) == set(Account.__dataclass_fields__)


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (
            'countries = ["IN"]',
            'countrys = ["IN"]',
            '[[tenants]] "shop" has an unknown field "countrys", did you mean "countries"?',
        ),
        ("[[tenants]]", "[[tenant]]", 'an unknown table "tenant", did you mean "tenants"?'),
        ("[[tenants]]", "[tenants]", "tenants is written as [[tenants]]"),
        ('"IN"', '"India"', "countries[0]: must be two capital letters each"),
        ('id = "shop"', 'id = "Shop!"', "id: must be lower-case letters"),
        ('id = "shop"', "", "[[tenants]] number 1: Object missing required field `id`"),
        ('template = "default"', 'template = "default"\ndigits = 3', "digits: Expected `int` >= 4"),
        ('template = "default"', 'template = "default"\nttl_s = 60', "ttl_s below 120 needs allow_short_ttl = true"),
        ('template = "default"', 'template = "default"\nresend = "again"', "resend: Invalid enum value"),
        ("{code} is your code", "is your code", "text 'en' must hold {code} exactly once"),
        (
            'gateway = "echo"',
            'gateway = "ecco"',
            '[[accounts]] "alpha" names an unknown gateway "ecco", did you mean "echo"?',
        ),
        (
            'gateway = "echo"',
            'gateway = "echo"\nfeedback = true',
            '[[accounts]] "alpha": feedback cannot be told through the gateway "echo"; it can through aws, infobip,',
        ),
        ("https://gateway.example", "ftp://gateway", "url: must be an address"),
        ("https://gateway.example", "https://user:hunter3@gateway", "url: must be an address"),
        ('"hunter2"', '"env:NOT_SET_ANYWHERE"', "secret 'token': env:NOT_SET_ANYWHERE is not set"),
        ('"hunter2"', '"file:/nowhere"', "secret 'token': file:/nowhere cannot be read"),
        ('country = "*"', 'country = "**"', "country: must be two capital letters"),
        ('accounts = ["alpha"]', "accounts = []", "accounts: Expected `array` of length >= 1"),
        ('"start"', '"begin"', "scopes[0]: Invalid enum value"),
        ("scopes = ", "expires_at = 2027-01-01T00:00:00\nscopes = ", "expires_at: Expected `datetime` with a timezone"),
        ("[[routes]]", "[[routes", "is not TOML"),
    ],
)
def test_a_fault_names_its_place(tmp_path: Path, before: str, after: str, told: str) -> None:
    said = faults(tmp_path, GOOD.replace(before, after, 1))
    assert told in said
    assert "shop.toml" in said
    assert "hunter" not in said


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    said = faults(tmp_path, GOOD.replace('"IN"', '"India"').replace('"echo"', '"x"').replace("{code}", ""))
    assert len(said.splitlines()) == 3


def test_documents_that_stand_twice_and_sources_with_two_owners_are_refused(tmp_path: Path) -> None:
    second = (
        '[[tenants]]\nid = "other"\ncountries = []\nsources = ["/shop"]\n[[tenants]]\nid = "shop"\ncountries = []\n'
    )
    said = faults(tmp_path, GOOD + second)
    assert '[[tenants]] "shop" stands twice' in said
    assert '"other": source \'/shop\' belongs to "shop" already' in said


def test_references_that_lead_nowhere_are_told_with_the_nearest(tmp_path: Path) -> None:
    text = GOOD.replace('accounts = ["alpha"]', 'accounts = ["alfa"]').replace(
        'template = "default"', 'template = "deflt"'
    )
    documents = load(tmp_path, text)
    assert dangling(documents, {}) == [
        '[[policies]] "shop/default" names an unknown template "shop/deflt", did you mean "shop/default"?',
        '[[routes]] "all" names an unknown account "alfa", did you mean "alpha"?',
    ]
    assert dangling(documents, {"template": {"shop/deflt"}, "account": {"alfa"}}) == []


OWN_TEXTS = GOOD.replace('gateway = "echo"', 'gateway = "msg91"').replace(
    "[[routes]]", '[accounts.templates]\n"shop/default" = "flow-1"\n[[routes]]'
)
SECOND = '[[templates]]\nid = "payment"\ntenant = "shop"\ntexts = {en = "{code} pays"}\n'


def test_an_account_says_by_which_id_its_provider_has_each_template(tmp_path: Path) -> None:
    documents = load(tmp_path, OWN_TEXTS)
    assert documents.accounts[0].templates == {"shop/default": "flow-1"}
    assert dangling(documents, {}) == []
    gone = load(tmp_path, OWN_TEXTS.replace("shop/default", "shop/defualt"))
    assert dangling(gone, {}) == [
        '[[accounts]] "alpha" names an unknown template "shop/defualt", did you mean "shop/default"?']  # fmt: skip


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (OWN_TEXTS, []),
        (GOOD, []),
        (GOOD.replace('gateway = "echo"', 'gateway = "msg91"'), ['has no text for "shop/default"']),
        (OWN_TEXTS.replace('"msg91"', '"echo"') + SECOND, ['has no text for "shop/payment"']),
        (OWN_TEXTS + SECOND, ['has no text for "shop/payment" and is passed over for it']),
        (OWN_TEXTS.replace("shop/default", "*"), []),
        (OWN_TEXTS.replace("shop/default", "*") + SECOND, ["has one text for shop/default, shop/payment"]),
    ],
)
def test_a_template_that_an_account_has_no_text_for_is_warned_of(tmp_path: Path, text: str, told: list[str]) -> None:
    warned = [each for each in warnings_of(load(tmp_path, text)) if each.startswith("[[accounts]]")]
    assert len(warned) == len(told)
    assert all(wanted in each for wanted, each in zip(told, warned, strict=True))


MONEY = """
[[prices]]
country = "*"
micros = 7000

[[caps]]
id = "shop"
tenant = "shop"
api_key = "web"
hour_micros = 5000000
"""


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("hour_micros = 5000000", "", '[[caps]] "shop" limits nothing'),
        ('tenant = "shop"\napi_key', "api_key", '[[caps]] "shop" names an api_key and no tenant'),
        ("hour_micros = 5000000", "hour_micros = -1", "hour_micros: Expected `int` >= 0"),
        ("hour_micros", "hourly_micros", 'an unknown field "hourly_micros", did you mean "hour_micros"?'),
        ("micros = 7000", 'micros = 7000\n[[prices]]\ncountry = "*"\nmicros = 1', '[[prices]] "*" stands twice'),
        ('country = "*"\nmicros', 'country = "all"\nmicros', "country: must be two capital letters"),
    ],
)
def test_a_fault_in_money_names_its_place(tmp_path: Path, before: str, after: str, told: str) -> None:
    said = faults(tmp_path, GOOD + MONEY.replace(before, after, 1))
    assert told in said


def test_the_example_of_the_readme_can_be_applied(tmp_path: Path) -> None:
    readme = (Path(__file__).parents[3] / "README.md").read_text("utf-8")
    example = "[[prices]]" + readme.partition("```\n[[prices]]")[2].partition("```")[0]
    documents = load(tmp_path, example)
    assert [len(documents.prices), len(documents.caps), *dangling(documents, {})] == [1, 1]


def test_caps_need_a_price_for_every_country_and_a_tenant_that_is_there(tmp_path: Path) -> None:
    assert dangling(load(tmp_path, GOOD + MONEY), {}) == []
    documents = load(
        tmp_path, GOOD + MONEY.replace('country = "*"', 'country = "IN"').replace('"shop"\napi', '"shp"\napi')
    )
    [unpriced, unknown] = dangling(documents, {})
    assert 'add [[prices]] with country = "*" for the rest' in unpriced
    assert unknown == '[[caps]] "shop" names an unknown tenant "shp", did you mean "shop"?'
    assert dangling(documents, {"price": {"*"}, "tenant": {"shp"}}) == []


def test_secrets_come_from_files_and_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_text("from-file\n")
    monkeypatch.setenv("GATEWAY_TOKEN", "from-env")
    text = GOOD.replace(
        '{token = "hunter2"}', f'{{a = "file:{tmp_path}/token", b = "env:GATEWAY_TOKEN", c = "as-it-is"}}'
    )
    assert load(tmp_path, text).accounts[0].secrets == {"a": "from-file", "b": "from-env", "c": "as-it-is"}


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file"):
        read(tmp_path / "none.toml", gateways=())
    assert set(TABLES) == set(Documents.__dataclass_fields__)


def test_every_document_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    documents = load(tmp_path, GOOD)
    for table, struct in TABLES.items():
        for document in getattr(documents, table):
            assert msgspec.convert(msgspec.to_builtins(document), struct) == document
