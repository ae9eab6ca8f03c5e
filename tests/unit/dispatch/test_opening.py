"""A message opens where it belongs and nowhere else."""

from dataclasses import replace

import msgspec
import pytest
from msgspec import structs

from tests.support.sends import ABOUT, NORTH, NOW, attempt
from watchword.dispatch.calling import Reply
from watchword.dispatch.opening import Opener, Unregistered
from watchword.dispatch.store import Sealed
from watchword.gateways.contract import Request
from watchword.kernel.dlt import chain_hash
from watchword.runtime import aad
from watchword.runtime.keyring import Keyring, Purpose
from watchword.runtime.sealing import Key, SealBroken, new_data_key, seal, wrap

SENDING, SUBJECT = Key("sending1", b"s" * 32), Key("subject1", b"u" * 32)
OPENER = Opener(Keyring({Purpose.SENDING: (SENDING,), Purpose.SUBJECT: (SUBJECT,)}))
DATA_KEY = new_data_key()
MESSAGE = msgspec.json.encode({"text": "493021 is your code.", "code": "493021", "template": "default"})
SEALED = Sealed(
    number=seal(DATA_KEY, b"+919876543210", aad.number("shop", "token")),
    wrapped_key=wrap(SUBJECT, DATA_KEY, tenant="shop", number_token="token"),
    message=seal(SENDING, MESSAGE, aad.message("shop", ABOUT.verification_id, 1)),
)


def test_the_message_is_what_was_sealed() -> None:
    message = OPENER.open(attempt(), SEALED, NOW)
    assert (message.to, message.text) == ("+919876543210", "493021 is your code.")
    assert message.variables == {"code": "493021", "template": "default"}
    assert message.template == "shop/default"
    assert (message.client_ref, message.life_s) == (str(attempt().id), 300)
    assert "493021" not in repr(message) and "9876543210" not in repr(message)


@pytest.mark.parametrize(
    "sealed",
    [
        structs.replace(SEALED, wrapped_key=None),
        structs.replace(SEALED, message=None),
        structs.replace(SEALED, number=seal(DATA_KEY, b"+919876543210", aad.number("shop", "other"))),
        structs.replace(SEALED, message=seal(SENDING, MESSAGE, aad.message("shop", ABOUT.verification_id, 2))),
        structs.replace(SEALED, message=seal(SENDING, b"no json", aad.message("shop", ABOUT.verification_id, 1))),
        structs.replace(SEALED, wrapped_key=wrap(SUBJECT, DATA_KEY, tenant="other", number_token="token")),
    ],
)
def test_what_is_gone_or_belongs_elsewhere_does_not_open(sealed: Sealed) -> None:
    with pytest.raises(SealBroken) as broken:
        OPENER.open(attempt(), sealed, NOW)
    assert "493021" not in str(broken.value)
    assert broken.value.__cause__ is None


INDIA = {
    "text": "493021 is your code.",
    "code": "493021",
    "template": "default",
    "dlt_entity_id": "1101000000000000001",
    "dlt_template_id": "1107000000000000001",
    "dlt_header": "SHOPIN",
    "dlt_text": "{#var#} is your code.",
}


def to_india(**fields: str) -> Sealed:
    message = msgspec.json.encode(INDIA | fields)
    return structs.replace(SEALED, message=seal(SENDING, message, aad.message("shop", ABOUT.verification_id, 1)))


def test_a_registered_message_carries_its_ids_and_the_chain_of_its_account() -> None:
    chain = ("1102000000000000002", "1103000000000000003")
    one = attempt(account=replace(NORTH, dlt_telemarketers=chain))
    message = OPENER.open(one, to_india(), NOW)
    assert (message.sender, message.dlt_entity_id, message.dlt_template_id) == (
        "SHOPIN", "1101000000000000001", "1107000000000000001",
    )  # fmt: skip
    assert message.dlt_telemarketers == ",".join(chain)
    assert message.dlt_chain_hash == chain_hash("1101000000000000001", chain)


def test_a_message_elsewhere_carries_no_registration() -> None:
    message = OPENER.open(attempt(), SEALED, NOW)
    assert (message.sender, message.dlt_entity_id, message.dlt_telemarketers, message.dlt_chain_hash) == ("",) * 4


@pytest.mark.parametrize("registered", ["{#var#} is your password.", "", "{#email#} is your code."])
def test_a_message_that_operators_would_drop_is_not_made(registered: str) -> None:
    with pytest.raises(Unregistered):
        OPENER.open(attempt(), to_india(dlt_text=registered), NOW)


def test_what_holds_a_message_prints_none_of_it() -> None:
    message = OPENER.open(attempt(), SEALED, NOW)
    request = Request("POST", f"http://gateway.example/?text={message.text}", {"To": message.to}, message.text.encode())
    reply = Reply(200, {"To": message.to}, message.text.encode())
    told = repr([message, request, reply, SEALED])
    assert "493021" not in told and "9876543210" not in told
    assert repr(SEALED.message) not in told
