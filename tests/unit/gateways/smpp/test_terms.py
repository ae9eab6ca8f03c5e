"""What an account may say, and how it hears of what it may not."""

from dataclasses import replace

import pytest

from tests.unit.gateways.smpp.stories import ACCOUNT
from watchword.gateways.outcome import OutcomeClass
from watchword.gateways.smpp.gateway import Smpp, judge
from watchword.gateways.smpp.terms import read


def with_options(**options: str) -> dict[str, str]:
    return {"system_id": "shop", **options}


@pytest.mark.parametrize(
    ("url", "options", "host", "port", "tls", "roles"),
    [
        ("smpp://smsc.example", {}, "smsc.example", 2775, False, ("trx",)),
        ("smpps://smsc.example/", {"binds": "2"}, "smsc.example", 3550, True, ("trx", "trx")),
        ("smpp://[::1]:99", {"bind": "tx+rx", "binds": "2"}, "::1", 99, False, ("tx", "rx", "tx", "rx")),
        ("smpp://10.0.0.1", {"bind": "tx"}, "10.0.0.1", 2775, False, ("tx",)),
    ],
)
def test_an_endpoint_is_where_and_how_often(
    url: str, options: dict[str, str], host: str, port: int, tls: bool, roles: tuple[str, ...]
) -> None:
    found = Smpp().endpoint(replace(ACCOUNT, url=url, options=with_options(**options)))
    assert (found.host, found.port, found.tls, found.roles) == (host, port, tls, roles)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("url", "https://smsc.example"),
        ("url", "smpp://"),
        ("url", "smpp://user:word@smsc.example"),
        ("url", "smpp://smsc.example/path"),
        ("url", "smpp://smsc.example:99999"),
        ("url", "smpp://["),
        ("system_id", ""),
        ("system_id", "x" * 16),
        ("system_id", "é"),
        ("window", "0"),
        ("window", "ten"),
        ("window", "1" * 12),
        ("bind", "both"),
        ("binds", "33"),
        ("id_format", "octal"),
        ("alphabet", "ebcdic"),
        ("registered_delivery", "256"),
        ("source_ton", "256"),
        ("wndow", "5"),
        ("tlv_14", "x"),
        ("tlv_1400", ""),
        ("tlv_1400", "{entity}"),
        ("tlv_1400", "hex:4"),
        ("tlv_1400", "é"),
        ("status_zz", "throttled"),
        ("status_45", "broken"),
    ],
)
def test_what_is_wrong_is_named(field: str, value: str) -> None:
    spoilt = replace(ACCOUNT, url=value) if field == "url" else replace(ACCOUNT, options=with_options(**{field: value}))
    with pytest.raises(ValueError, match=field):
        Smpp().endpoint(spoilt)


def test_a_password_too_long_is_named_and_not_shown() -> None:
    with pytest.raises(ValueError, match=r"secrets\.password") as caught:
        read(replace(ACCOUNT, secrets={"password": "hunter2" * 3}))
    assert "hunter2" not in str(caught.value)


def test_terms_do_not_print_their_password() -> None:
    assert "word" not in repr(read(ACCOUNT)).replace("password", "")


def test_an_account_corrects_a_status_and_the_unknown_is_temporary() -> None:
    terms = read(replace(ACCOUNT, options=with_options(status_45="destination", status_0x4a1="blocked")))
    assert (judge(0x45, terms), judge(0x4A1, terms)) == (OutcomeClass.DESTINATION, OutcomeClass.BLOCKED)
    assert (judge(0x45, read(ACCOUNT)), judge(0x4FF, terms)) == (OutcomeClass.TEMPORARY, OutcomeClass.TEMPORARY)
