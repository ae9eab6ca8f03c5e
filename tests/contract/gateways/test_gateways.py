"""What dispatch and receipts may rely on, held for every gateway in the catalogue against its recorded wire/."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import islice
from typing import Any
from urllib.parse import quote_plus, unquote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from tests.contract.gateways import samples
from tests.contract.gateways.samples import Answered, Called, Sent
from watchword.dispatch.decide.facts import Abilities
from watchword.gateways import forms, judging, links
from watchword.gateways.catalog import GATEWAYS, QUERYABLE, TELLABLE, TRACEABLE, facts_of
from watchword.gateways.contract import Account, Callback, Resend
from watchword.gateways.facts import Signature
from watchword.gateways.outcome import Outcome, OutcomeClass

FILES = {"__init__.py", "gateway.py", "gateway.toml", "README.md", "wire/accounts.toml", "wire/answers.toml"}
HEADINGS = ["What it calls", "Account fields", "Outcomes", "Receipts", "Signature", "Limits"]
ACCOUNTS = list(samples.accounts())
ANSWERS = list(samples.answers("send"))
CALLBACKS = list(samples.callbacks())
AUTHENTIC = [called for called in CALLBACKS if called.expected]
EXAMPLES = 25  # of each property and account: hundreds over the catalogue
TAKEN_OR_NOT = {OutcomeClass.ACCEPTED, OutcomeClass.AMBIGUOUS}
BY_BODY = (Signature.BODY, Signature.BODY_AND_TIME)
# What stands between us and a provider, or is left of it: none of this says that a message was taken.
STRAY = {
    "a page": (200, b"<!doctype html><html>Sign in to the hotel network</html>"),
    "a redirect": (302, b"<html>Moved</html>"),
    "nothing": (200, b""),
    "no json": (200, b"ok"),
    "null": (200, b"null"),
    "a list": (201, b"[]"),
    "another object": (202, b'{"hello":"world"}'),
    "xml": (200, b'<?xml version="1.0"?><response><sid>SM1</sid></response>'),
    "not text": (200, b"\x1f\x8b\x08\x00\xff\xfe"),
}
NOT_CALLABLE = [
    "sms.example",
    "ftp://sms.example",
    "https://",
    "https://u:p@sms.example",
    "https://sms.example/?key=1",
    "http://[",
    "https://sms.example/#a",
    "http://h:99999",
    "",
    "https://sms.example/a b",
    "http://h\r\nX: 1",
]
HUGE = b'{"id":"' + b"x" * 2_000_000 + b'"}'
DEEP = b"[" * 50_000
HEADER_TEXT = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF), max_size=40)
BODIES = st.one_of(
    st.binary(max_size=400),
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=20)),
        lambda inner: st.one_of(
            st.lists(inner, max_size=4),
            st.dictionaries(st.sampled_from(["id", "error", "events", "messages", "status", "x"]), inner, max_size=4),
        ),
        max_leaves=8,
    ).map(lambda value: repr(value).replace("'", '"').encode("utf-8", "replace")),
    st.sampled_from([b"", b"null", b"[]", b"{}", b'{"id":"\xff\xfe"}', b"\x00", HUGE, DEEP, b"OK ", b"ERR "]),
)


def named(case: Any) -> str:
    """How a recorded case is called in the report."""
    detail = getattr(case, "status", getattr(getattr(case, "callback", None), "body", b""))
    return f"{case.gateway}-{case.account.id}-{str(detail)[:60]}"


def answers_of(name: str) -> list[Answered]:
    return [case for case in ANSWERS if case.gateway == name]


each_gateway = pytest.mark.parametrize("name", sorted(GATEWAYS))
each_account = pytest.mark.parametrize("name,account", ACCOUNTS, ids=[f"{name}-{acc.id}" for name, acc in ACCOUNTS])
each_authentic = pytest.mark.parametrize("called", AUTHENTIC, ids=named)


@each_gateway
def test_folder_looks_like_its_siblings(name: str) -> None:
    folder = samples.ROOT / name
    assert {file for file in FILES if not (folder / file).is_file()} == set()
    readme = (folder / "README.md").read_text("utf-8").splitlines()
    assert [line.removeprefix("## ") for line in readme if line.startswith("## ")] == HEADINGS
    assert len(readme) <= 40


@each_gateway
def test_catalogue_entry_is_what_its_facts_say(name: str) -> None:
    told = facts_of(name)
    assert (GATEWAYS[name].name, GATEWAYS[name].resend) == (name, told.resend) == (told.name, told.resend)
    assert (name in QUERYABLE, name in TRACEABLE) == (told.capabilities.lookup, told.capabilities.trace)
    assert told.resend is not Resend.QUERYABLE or told.capabilities.lookup


@pytest.mark.parametrize("sent", samples.sends(), ids=lambda sent: f"{sent.gateway}-{sent.account.id}")
def test_message_is_written_as_recorded(sent: Sent) -> None:
    assert samples.as_recorded(GATEWAYS[sent.gateway].encode(samples.MESSAGE, sent.account)) == sent.recorded


@pytest.mark.parametrize("sent", samples.lookups(), ids=lambda sent: f"{sent.gateway}-{sent.account.id}")
def test_question_is_written_as_recorded(sent: Sent) -> None:
    request = QUERYABLE[sent.gateway].encode_lookup(samples.MESSAGE.client_ref, sent.account)
    assert samples.as_recorded(request) == sent.recorded


@pytest.mark.parametrize("sent", samples.traces(), ids=lambda sent: f"{sent.gateway}-{sent.account.id}")
def test_question_by_the_providers_id_is_written_as_recorded(sent: Sent) -> None:
    gateway = TRACEABLE[sent.gateway]
    assert samples.as_recorded(gateway.encode_trace(samples.id_of(sent.gateway), sent.account)) == sent.recorded
    assert "/a%2F..%2Fb%3Fc%23d%20%25" in gateway.encode_trace("a/../b?c#d %", sent.account).url


@pytest.mark.parametrize("case", ANSWERS, ids=named)
def test_answer_means_what_is_recorded(case: Answered) -> None:
    assert GATEWAYS[case.gateway].decode(case.status, case.headers, case.body, case.account) == case.expected


@pytest.mark.parametrize("case", samples.answers("lookup"), ids=named)
def test_answer_to_a_question_means_what_is_recorded(case: Answered) -> None:
    assert QUERYABLE[case.gateway].decode_lookup(case.status, case.headers, case.body) == case.expected


@pytest.mark.parametrize("case", samples.answers("trace"), ids=named)
def test_answer_to_a_question_by_the_providers_id_means_what_is_recorded(case: Answered) -> None:
    assert TRACEABLE[case.gateway].decode_trace(case.status, case.headers, case.body, case.account) == case.expected


@pytest.mark.parametrize("name", sorted(set(TRACEABLE) - set(QUERYABLE)))
def test_who_is_asked_by_its_own_id_alone_is_blind_to_what_it_was_never_heard_of(name: str) -> None:
    can = Abilities.of(GATEWAYS[name])
    assert GATEWAYS[name].resend is not Resend.QUERYABLE
    assert not can.can_be_asked and can.tells_later("an-id") and not can.tells_later("")


@each_account
def test_stray_answer_is_never_taken_for_an_acceptance(name: str, account: Account) -> None:
    for stray, (status, body) in STRAY.items():
        outcome = GATEWAYS[name].decode(status, {"Content-Type": "text/html"}, body, account)
        described = name == "template" and account.options.get("ok_status") == str(status)
        right = OutcomeClass.CONFIGURATION if status == 302 else OutcomeClass.AMBIGUOUS
        assert outcome.kind == (OutcomeClass.ACCEPTED if described else right), stray
        assert not outcome.provider_id, stray


@pytest.mark.parametrize("name", sorted(set(GATEWAYS) - {"template"}))
def test_half_an_acceptance_is_none(name: str) -> None:
    taken = [case for case in answers_of(name) if case.expected and case.expected.kind is OutcomeClass.ACCEPTED]
    assert taken
    for case in taken:
        whole = case.body.rstrip()
        for length in range(len(whole)):
            outcome = GATEWAYS[name].decode(case.status, case.headers, whole[:length], case.account)
            assert outcome.kind is not OutcomeClass.ACCEPTED, whole[:length]


@each_gateway
def test_overlong_id_is_not_kept(name: str) -> None:
    given = [(case, case.expected.provider_id) for case in answers_of(name) if case.expected]
    for case, provider_id in given:
        if provider_id:
            body = case.body.replace(provider_id.encode(), b"7" * 129)
            outcome = GATEWAYS[name].decode(case.status, case.headers, body, case.account)
            assert not outcome.provider_id, body
            assert outcome.kind in TAKEN_OR_NOT, body


@each_gateway
def test_every_documented_status_and_error_has_a_recorded_case(name: str) -> None:
    told = facts_of(name)
    cases = [(case, case.expected) for case in ANSWERS if case.gateway == name and case.expected]
    statuses = {str(case.status) for case, _ in cases} | {f"{case.status // 100}xx" for case, _ in cases}
    words = {expected.raw_code.lower() for _, expected in cases}
    filed = "\n".join(case.body.decode().lower() for case, expected in cases if expected.raw_code not in told.errors)
    assert set(told.statuses) - statuses == set()
    assert set(told.errors) - words == set()
    assert [word for word in told.families if word not in filed] == []
    assert {expected.kind for _, expected in cases} >= {*told.statuses.values(), *told.errors.values()} | TAKEN_OR_NOT


@each_gateway
def test_every_documented_receipt_word_has_a_recorded_case(name: str) -> None:
    told = facts_of(name)
    calls = [case.callback for case in CALLBACKS if case.gateway == name]
    text = unquote_plus("\n".join(f"{call.url} {call.body.decode()}" for call in calls)).lower()
    words = {*re.findall(r"[a-z0-9_]+", text)}
    assert set(told.states) - words == set()


@each_gateway
def test_ids_have_the_form_that_is_told_or_are_noted(name: str) -> None:
    form = facts_of(name).id_format
    given = [case.expected for case in ANSWERS if case.gateway == name and case.expected and case.expected.provider_id]
    strange = [told for told in given if form and not re.fullmatch(form, told.provider_id)]
    assert {told.raw_code for told in strange} == ({judging.UNFAMILIAR_ID} if form else set())
    assert given or not form


@pytest.mark.parametrize("called", CALLBACKS, ids=named)
def test_callback_holds_the_recorded_receipts(called: Called) -> None:
    gateway = GATEWAYS[called.gateway]
    assert gateway.verify(called.callback, called.account, called.at)
    if called.expected is None:
        with pytest.raises(ValueError, match=r".+"):
            gateway.receipts(called.callback, called.account)
    else:
        assert gateway.receipts(called.callback, called.account) == called.expected


@each_account
@settings(deadline=None, max_examples=EXAMPLES)
@given(status=st.integers(-1, 1_000), headers=st.dictionaries(HEADER_TEXT, HEADER_TEXT, max_size=3), body=BODIES)
def test_whatever_a_provider_answers_has_a_class(
    name: str, account: Account, status: int, headers: dict[str, str], body: bytes
) -> None:
    outcome = GATEWAYS[name].decode(status, headers, body, account)
    assert isinstance(outcome, Outcome)
    assert len(outcome.raw_code) <= 64
    assert len(outcome.provider_id) <= 128
    if name in QUERYABLE:
        found = QUERYABLE[name].decode_lookup(status, headers, body)
        assert found is None or found.kind in TAKEN_OR_NOT
    if name in TRACEABLE:
        traced = TRACEABLE[name].decode_trace(status, headers, body, account)
        assert traced is None or traced.kind in TAKEN_OR_NOT
    if name in TELLABLE:
        heard = TELLABLE[name].decode_feedback(status, headers, body, account)
        assert heard.kind is not OutcomeClass.ACCEPTED or 200 <= status < 300


@each_account
@settings(deadline=None, max_examples=EXAMPLES)
@given(value=HEADER_TEXT, status=st.sampled_from([429, 503]))
def test_no_retry_after_can_hold_a_gateway_for_more_than_an_hour(
    name: str, account: Account, value: str, status: int
) -> None:
    for told in (value, f"Wed, 21 Oct 2026 07:28:00 {value}", value * 9):
        outcome = GATEWAYS[name].decode(status, {"retry-after": told, "date": value}, b"", account)
        assert 0 <= outcome.retry_after_ms <= 3_600_000


@each_account
@settings(deadline=None, max_examples=EXAMPLES)
@given(body=BODIES, url=HEADER_TEXT, headers=st.dictionaries(HEADER_TEXT, HEADER_TEXT, max_size=3))
def test_whatever_calls_back_is_read_or_refused(
    name: str, account: Account, body: bytes, url: str, headers: dict[str, str]
) -> None:
    callback = Callback("POST", f"https://us.example/receipts?{url}", headers, body)
    now = AUTHENTIC[0].at
    assert GATEWAYS[name].verify(callback, account, now) is False
    try:
        told = GATEWAYS[name].receipts(callback, account)
    except ValueError:
        return
    assert all(receipt.client_ref or receipt.provider_id for receipt in told)


@each_authentic
def test_forged_callback_is_refused(called: Called) -> None:
    gateway, account = GATEWAYS[called.gateway], called.account
    forgeries = list(_forgeries(called))
    assert forgeries or called.signature in BY_BODY
    assert [forged for forged in forgeries if gateway.verify(forged, account, called.at)] == []
    for changed in _changed_bodies(called):  # what a MAC over fields leaves open is how they are spelt
        if gateway.verify(changed, account, called.at):
            assert gateway.receipts(changed, account) == called.expected
    stranger = replace(account, secrets={**account.secrets, "callback": "another"})
    for nobody in (stranger, replace(account, secrets={}), replace(account, secrets={"callback": ""})):
        assert not gateway.verify(called.callback, nobody, called.at)


def _forgeries(called: Called) -> Iterator[Callback]:
    """The callback without its proof, with another one, and about another message."""
    callback, by_address = called.callback, "?" in called.callback.url
    proofs = {name: value for name, value in callback.headers.items() if name.lower() != "content-type"}
    if proofs or by_address:
        yield replace(callback, headers={}, url=callback.url.partition("?")[0])
    if proofs:
        yield replace(callback, headers={name: _turned(value) for name, value in proofs.items()})
    for name, value in forms.asked(callback):
        covered = called.signature in BY_BODY and not callback.body
        linked = called.signature is Signature.LINK and name in (links.REFERENCE, links.PROOF)
        if covered or linked or value == called.account.secrets["callback"]:
            yield replace(callback, url=callback.url.replace(f"{name}={quote_plus(value)}", f"{name}={_turned(value)}"))


def _changed_bodies(called: Called) -> Iterator[Callback]:
    body = called.callback.body
    if called.signature not in BY_BODY or not body:
        return
    for at in range(0, min(len(body), 160), 7):
        yield replace(called.callback, body=body[:at] + b"~" + body[at + 1 :])
    yield replace(called.callback, body=body + b" ")


def _turned(value: str) -> str:
    return value[:-1] + ("0" if value[-1:] != "0" else "1")


@each_authentic
def test_callback_replayed_late_or_dated_ahead_is_refused(called: Called) -> None:
    window_s = facts_of(called.gateway).capabilities.replay_window_s
    verify: Callable[..., bool] = GATEWAYS[called.gateway].verify
    late, early = called.at + timedelta(seconds=window_s + 1), called.at - timedelta(seconds=window_s + 30)
    timeless = called.signature is not Signature.BODY_AND_TIME
    assert verify(called.callback, called.account, late) == timeless
    assert verify(called.callback, called.account, early) == timeless


@each_authentic
def test_truncated_callback_tells_nothing_new(called: Called) -> None:
    gateway, body = GATEWAYS[called.gateway], called.callback.body
    for length in range(len(body)):
        cut = replace(called.callback, body=body[:length])
        if not gateway.verify(cut, called.account, called.at):
            continue
        try:
            told = gateway.receipts(cut, called.account)
        except ValueError:
            continue
        whole = {receipt.state for receipt in called.expected or ()} | {"unknown"}
        if any(receipt.reason for receipt in called.expected or ()):
            whole |= {"undelivered"}  # a reason that is cut off refines nothing
        assert {receipt.state for receipt in told} <= whole


@each_gateway
def test_callback_over_its_limit_is_refused(name: str) -> None:
    padding = b" " * facts_of(name).limits.callback_bytes_max
    for called in AUTHENTIC:
        if called.gateway == name:
            longer = replace(called.callback, body=called.callback.body + padding + b" ")
            with pytest.raises(ValueError, match=r".+"):
                GATEWAYS[name].receipts(longer, called.account)


@each_gateway
def test_answer_over_its_limit_is_never_an_acceptance_by_its_words(name: str) -> None:
    padding = b" " * facts_of(name).limits.answer_bytes_max
    for case in answers_of(name):
        outcome = GATEWAYS[name].decode(case.status, case.headers, case.body + padding + b" ", case.account)
        assert outcome.raw_code == str(case.status)
        assert not outcome.provider_id, case.body


@each_account
def test_nothing_secret_prints(name: str, account: Account) -> None:
    request = GATEWAYS[name].encode(samples.MESSAGE, account)
    called = next(islice((case for case in AUTHENTIC if case.account == account), 1))
    printed = " ".join(map(repr, (account, samples.MESSAGE, request, called.callback, GATEWAYS[name])))
    secrets = [samples.CODE, samples.NUMBER, samples.NUMBER.removeprefix("+"), *account.secrets.values()]
    assert [secret for secret in secrets if secret in printed] == []


@each_account
@settings(deadline=None, max_examples=EXAMPLES)
@given(text=st.text(max_size=300), sender=st.text(max_size=20), life_s=st.integers(-10, 10_000))
def test_account_that_serves_one_message_serves_every_message(
    name: str, account: Account, text: str, sender: str, life_s: int
) -> None:
    request = GATEWAYS[name].encode(structs.replace(samples.MESSAGE, text=text, sender=sender, life_s=life_s), account)
    assert all("!" <= letter <= "~" for letter in request.url)
    assert all(" " <= letter <= "~" for value in request.headers.values() for letter in value)


@each_account
@pytest.mark.parametrize("url", NOT_CALLABLE)
def test_account_with_an_address_nobody_can_call_is_refused(name: str, account: Account, url: str) -> None:
    with pytest.raises(ValueError, match="url"):
        GATEWAYS[name].encode(samples.MESSAGE, replace(account, url=url))


@each_account
@pytest.mark.parametrize("secret", ["", "two\r\nlines", "caf\u00e9"])
def test_account_with_an_unusable_secret_is_refused_without_telling_it(
    name: str, account: Account, secret: str
) -> None:
    spoilt = replace(account, secrets=dict.fromkeys(account.secrets, secret))
    with pytest.raises(ValueError, match="secret") as refusal:
        GATEWAYS[name].encode(samples.MESSAGE, spoilt)
    assert not secret or secret not in str(refusal.value)
