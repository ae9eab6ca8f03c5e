"""An account's options: what is refused, by which name, and that no value breaks out of its place."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from watchword.gateways.catalog import GATEWAYS
from watchword.gateways.contract import Account, Message
from watchword.gateways.template.gateway import plan_of

FORM = {"body": "to={to}&text={text}"}
ACCOUNT = Account(id="a", gateway="template", url="https://sms.example", options=FORM)
NOW = datetime(2026, 10, 26, 6, 13, 20, tzinfo=UTC)
MESSAGE = Message(client_ref="r-1", to="+919876543210", text="1234", sender="S", life_s=60, at=NOW)


@pytest.mark.parametrize(
    "options,named",
    [
        ({}, "body"),
        ({"method": "GET", "body": "x"}, "body"),
        ({**FORM, "method": "DELETE"}, "method"),
        ({**FORM, "bodies": "x"}, "bodies"),
        ({**FORM, "header.": "x"}, "header"),
        ({**FORM, "header.Content-Length": "5"}, "header.Content-Length"),
        ({**FORM, "header.A b": "5"}, "header.A b"),
        ({**FORM, "header.X": "{nobody}"}, "header.X"),
        ({**FORM, "content_type": "text/xml"}, "content_type"),
        ({"body": "to={too}"}, "body"),
        ({"body": "to={to}&x={"}, "body"),
        ({"body": "to={secret.}"}, "body"),
        ({**FORM, "path": "send"}, "path"),
        ({**FORM, "path": "/a b"}, "path"),
        ({**FORM, "path": "/a#b"}, "path"),
        ({**FORM, "path": "/?key={secret.key}"}, "path"),
        ({"content_type": "application/json", "body": '{"text": {text}}'}, "body"),
        ({"content_type": "application/json", "body": '{"text": "{text}"'}, "body"),
        ({"content_type": "application/json", "body": "{text}"}, "body"),
        ({**FORM, "ok_status": "20x"}, "ok_status"),
        ({**FORM, "answer": "xml"}, "answer"),
        ({**FORM, "id": "messages"}, "id"),
        ({**FORM, "answer": "text", "id": "OK"}, "id"),
        ({**FORM, "answer": "text", "error": "{}"}, "error"),
        ({**FORM, "error.5": "sad"}, "error.5"),
        ({**FORM, "status.500": "delivered"}, "status.500"),
        ({**FORM, "state.ok": "accepted"}, "state.ok"),
        ({**FORM, "receipt_format": "xml"}, "receipt_format"),
        ({**FORM, "receipt_id": "id"}, "receipt_id"),
        ({**FORM, "receipt_format": "form", "receipt_list": "/x"}, "receipt_list"),
        ({**FORM, "callback_secret": "cookie:x"}, "callback_secret"),
        ({**FORM, "callback_secret": "header:"}, "callback_secret"),
        ({**FORM, "callback_secret": "header:a b"}, "callback_secret"),
    ],
)
def test_wrong_option_is_refused_by_name(options: dict[str, str], named: str) -> None:
    with pytest.raises(ValueError, match=named.replace(".", r"\.")):
        GATEWAYS["template"].encode(MESSAGE, replace(ACCOUNT, options=options))


@given(text=st.text(), sender=st.text(min_size=1, max_size=20))
def test_no_text_breaks_out_of_a_form(text: str, sender: str) -> None:
    options = {"body": "to={to}&text={text}&from={sender}&end=1"}
    told = GATEWAYS["template"].encode(
        structs.replace(MESSAGE, text=text, sender=sender), replace(ACCOUNT, options=options)
    )
    read = dict(parse_qsl(told.body.decode("ascii"), keep_blank_values=True, strict_parsing=True))
    assert read == {"to": "+919876543210", "text": text, "from": sender, "end": "1"}


@given(text=st.text())
def test_no_text_breaks_out_of_json(text: str) -> None:
    options = {"content_type": "application/json", "body": '{"a": ["{text}", "<{text}>"], "ttl": {validity_s}}'}
    told = GATEWAYS["template"].encode(structs.replace(MESSAGE, text=text), replace(ACCOUNT, options=options))
    assert json.loads(told.body) == {"a": [text, f"<{text}>"], "ttl": 60}


@given(text=st.text(min_size=1))
def test_no_text_breaks_out_of_an_address(text: str) -> None:
    options = {"method": "GET", "path": "/{client_ref}?text={text}&end=1"}
    told = GATEWAYS["template"].encode(structs.replace(MESSAGE, text=text), replace(ACCOUNT, options=options))
    parts = urlsplit(told.url)
    assert (parts.netloc, parts.path, parts.fragment) == ("sms.example", "/r-1", "")
    assert parse_qs(parts.query, strict_parsing=True) == {"text": [text], "end": ["1"]}


def test_text_that_looks_like_a_placeholder_stays_text() -> None:
    told = GATEWAYS["template"].encode(structs.replace(MESSAGE, text="{to}"), ACCOUNT)
    assert told.body == b"to=%2B919876543210&text=%7Bto%7D"


def test_a_text_that_the_provider_has_is_named_by_its_id() -> None:
    account = replace(ACCOUNT, options={"body": "template={template_id}&code={code}"}, templates={"shop/login": "7&"})
    message = structs.replace(MESSAGE, template="shop/login", variables={"code": "1234"})
    assert GATEWAYS["template"].encode(message, account).body == b"template=7%26&code=1234"
    with pytest.raises(ValueError, match="templates"):
        GATEWAYS["template"].encode(structs.replace(message, template="shop/payment"), account)


def test_changed_options_are_read_anew() -> None:
    assert plan_of({"body": "a"}).body.parts != plan_of({"body": "b"}).body.parts


def test_answer_that_comes_after_the_options_were_spoilt_is_ambiguous() -> None:
    outcome = GATEWAYS["template"].decode(200, {}, b"", replace(ACCOUNT, options={"nonsense": "1"}))
    assert outcome.kind == "ambiguous"
    assert outcome.raw_code == "200"
