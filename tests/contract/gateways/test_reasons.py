"""Every code that a gateway knows is read from where its reports tell it, and makes of them what its class means."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from urllib.parse import quote_plus

import pytest

from tests.contract.gateways import samples
from tests.contract.gateways.samples import Called
from watchword.gateways.catalog import GATEWAYS, facts_of
from watchword.gateways.contract import Account, Callback
from watchword.gateways.outcome import OutcomeClass
from watchword.gateways.reasons import key_of

CALLBACKS = list(samples.callbacks())
BY_CODE = sorted(name for name in GATEWAYS if facts_of(name).reasons and name != "kannel")


@pytest.mark.parametrize("name", BY_CODE)
def test_every_reason_is_read_where_a_report_tells_it(name: str) -> None:
    told = facts_of(name).reasons
    called, was = next(_explained(name, told))
    for code, reason in told.items():
        callback = called.callback
        changed = replace(
            callback, url=callback.url.replace(was, code), body=callback.body.replace(was.encode(), code.encode())
        )
        [receipt] = GATEWAYS[name].receipts(changed, called.account)
        assert (receipt.reason, receipt.raw_code, receipt.unmapped) == (reason, code, "")
        assert receipt.state in samples.EXPLAINED[reason]


def test_every_reason_is_read_from_the_octets_in_which_kannel_tells_it() -> None:
    asked = "https://us.example/receipts/main?ref=r&type=2&meta="
    for code, reason in facts_of("kannel").reasons.items():
        octets = quote_plus(b"\x03" + int(code).to_bytes(2, "big"))
        callback = Callback("GET", asked + quote_plus(f"?smpp?dlr_err={octets}&tariff=7"), {}, b"")
        [receipt] = GATEWAYS["kannel"].receipts(callback, Account(id="k", gateway="kannel", url="http://k.example"))
        assert (receipt.reason, receipt.raw_code, receipt.unmapped) == (reason, code.zfill(3), "")
        assert receipt.state in samples.EXPLAINED[reason]


def _explained(name: str, told: Mapping[str, OutcomeClass]) -> Iterator[tuple[Called, str]]:
    """The recorded reports of failures whose code stands in one place."""
    for called in CALLBACKS:
        code = called.expected[0].raw_code if called.expected else ""
        text = f"{called.callback.url} {called.callback.body.decode()}"
        if called.gateway == name and key_of(code) in told and text.count(code) == 1:
            yield called, code
