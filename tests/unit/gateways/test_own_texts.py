"""Which of its own texts a provider is told to send."""

from dataclasses import replace
from datetime import UTC, datetime

import orjson
import pytest
from msgspec import structs

from watchword.gateways.contract import Account, Message
from watchword.gateways.msg91.gateway import Msg91

ACCOUNT = Account(
    id="in",
    gateway="msg91",
    url="https://control.msg91.com",
    templates={"shop/login": "flow-1", "shop/payment": "flow-2"},
    secrets={"token": "t"},
)
MESSAGE = Message(
    client_ref="r-1",
    to="+919876543210",
    text="1234",
    sender="",
    life_s=60,
    at=datetime(2026, 1, 1, tzinfo=UTC),
    variables={"code": "1234"},
)


def sent(template: str, account: Account = ACCOUNT) -> str:
    body = Msg91().encode(structs.replace(MESSAGE, template=template), account).body
    return str(orjson.loads(body)["template_id"])


def test_a_login_and_a_payment_are_two_texts() -> None:
    assert (sent("shop/login"), sent("shop/payment")) == ("flow-1", "flow-2")


def test_a_template_that_it_has_no_text_for_is_not_sent_as_another_one() -> None:
    with pytest.raises(ValueError, match="templates"):
        sent("shop/other")
    with pytest.raises(ValueError, match="templates"):
        sent("shop/login", replace(ACCOUNT, templates={}))


def test_one_text_may_stand_for_every_template_that_has_none_of_its_own() -> None:
    account = replace(ACCOUNT, templates={"*": "flow-9", "shop/login": "flow-1"})
    assert (sent("shop/login", account), sent("bank/login", account)) == ("flow-1", "flow-9")
