"""What is sent as a test: words that say so, or a template's with what India's operators ask for."""

from datetime import UTC, datetime

import pytest

from watchword.accounts.specimen import CannotTest, message_to, number_of, template_of
from watchword.gateways.contract import Account, Message
from watchword.kernel.dlt import Dlt, Registered, chain_hash
from watchword.kernel.template import Template

NOW = datetime(2026, 10, 26, 6, 13, 20, tzinfo=UTC)
INDIA, BRITAIN = "+919876543210", "+447400123456"
CHAIN = ("1102111111111111111", "1102222222222222222")
ENTITY, TEMPLATE = "1101456789012345678", "1107161234567890123"
ACCOUNT = Account(id="in", gateway="smpp", url="smpp://smsc.example", sender="OTHER", dlt_telemarketers=CHAIN)
PLAIN = Template(id="plain", tenant="shop", texts={"en": "{code} is your {brand} code."}, brand="Shop")


def registered(text: str = "{#numeric#} is your Shop code.", locale: str = "en") -> Template:
    told = Registered(template_id=TEMPLATE, text=text)
    dlt = Dlt(entity_id=ENTITY, header="SHOPIN", registered={locale: told})
    return Template(id="otp", tenant="shop", texts=PLAIN.texts, brand="Shop", dlt=dlt)


def sent(to: str, template: Template | None = None, *, unregistered: bool = False) -> Message:
    return message_to(to, ACCOUNT, template, client_ref="r", at=NOW, unregistered=unregistered)


def ids(message: Message) -> tuple[str, str, str, str]:
    return message.dlt_entity_id, message.dlt_template_id, message.dlt_telemarketers, message.dlt_chain_hash


def test_a_registered_template_goes_to_india_with_header_ids_and_chain() -> None:
    message = sent(INDIA, registered())
    assert (message.text, message.sender) == ("000000 is your Shop code.", "SHOPIN")
    assert ids(message) == (ENTITY, TEMPLATE, ",".join(CHAIN), chain_hash(ENTITY, CHAIN))
    assert message.variables == {"code": "000000", "template": "otp"}
    assert message.template == "shop/otp"


def test_abroad_it_goes_as_it_is_and_so_does_a_test_without_a_template() -> None:
    for message in (sent(BRITAIN, registered()), sent(BRITAIN, PLAIN)):
        assert (message.text, message.sender, ids(message)) == ("000000 is your Shop code.", "", ("", "", "", ""))
    assert "this is a test" in sent(BRITAIN).text


@pytest.mark.parametrize(("template", "why"), [(None, r"--template"), (PLAIN, r"shop/plain has no \[templates\.dlt\]")])
def test_nothing_goes_to_india_unregistered_unless_the_provider_registers_it(
    template: Template | None, why: str
) -> None:
    with pytest.raises(CannotTest, match=why):
        sent(INDIA, template)
    assert ids(sent(INDIA, template, unregistered=True)) == ("", "", "", "")


def test_a_text_that_is_not_what_is_registered_is_refused_here_and_not_by_operators() -> None:
    with pytest.raises(CannotTest, match="not the text that is registered"):
        sent(INDIA, registered("{#numeric#} is your Store code."), unregistered=True)


def test_a_template_is_called_by_its_id_or_by_its_tenants_too() -> None:
    other = Template(id="plain", tenant="bank", texts=PLAIN.texts)
    assert template_of("plain", [PLAIN, registered()]) is PLAIN
    assert template_of("bank/plain", [PLAIN, other]) is other
    with pytest.raises(CannotTest, match="which of bank/plain, shop/plain"):
        template_of("plain", [PLAIN, other])
    with pytest.raises(CannotTest, match="no template otp; there are shop/plain"):
        template_of("otp", [PLAIN])
    with pytest.raises(CannotTest, match="there are none"):
        template_of("otp", [])


@pytest.mark.parametrize("text", ["9876543210", "+0123456789", "+91", "+91 98765 43210", ""])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(CannotTest, match="a number is"):
        number_of(text)
