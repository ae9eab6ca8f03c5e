"""What dispatch and receipts may rely on of gateways that keep a connection, against their recorded wire/."""

import tomllib
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from tests.contract.gateways.samples import EXPLAINED, ROOT
from watchword.gateways import facts
from watchword.gateways.catalog import ALL, GATEWAYS, QUERYABLE, SESSIONS
from watchword.gateways.contract import Account, Callback, Message, Receipt, Resend
from watchword.gateways.facts import Signature
from watchword.gateways.outcome import Outcome, OutcomeClass
from watchword.gateways.sessions import Answered, Ended, Ready, SessionGateway
from watchword.gateways.smpp.pdu import RESPONSE, Command, Pdu, decode, encode
from watchword.kernel.verification import ReceiptState

SMPP = ROOT / "smpp"
HEADINGS = ["What it calls", "Account fields", "Outcomes", "Receipts", "Signature", "Limits"]
MESSAGE = Message(
    client_ref="018f3a5c-7b10-8c21-9d3e-5a6b7c8d9e0f",
    to="+919876543210",
    text="493021 is your [Shop] code: caf\u00e9 5\u20ac.",
    sender="",
    life_s=240,
    at=datetime(2026, 1, 1, tzinfo=UTC),
    dlt_entity_id="1101456789012345678",
    dlt_template_id="1107161234567890123",
    dlt_chain_hash="ab" * 32,
)
LONG = structs.replace(MESSAGE, text=MESSAGE.text + " \u0915\u094b\u0921 \U0001f600" * 10)


def table(name: str) -> dict[str, Any]:
    return tomllib.loads((SMPP / "wire" / f"{name}.toml").read_text("utf-8"))


ACCOUNTS = {name: Account(id=name, gateway="smpp", **fields) for name, fields in table("accounts").items()}
ANSWERS = table("answers")["send"]
REPORTS = table("reports")["report"]
GATEWAY = SESSIONS["smpp"]
each_account = pytest.mark.parametrize("account", ACCOUNTS.values(), ids=ACCOUNTS)


def unit_of(case: dict[str, Any]) -> bytes:
    command = Command.DATA_SM if case.get("data_sm") else Command.DELIVER_SM
    text = case.get("text", "").encode()
    tlvs = tuple((int(tag, 16), bytes.fromhex(value)) for tag, value in case.get("parameters", {}).items())
    if command is Command.DATA_SM:
        tlvs, text = (*tlvs, (0x0424, text)), b""
    return encode(Pdu(command, fields={"esm_class": case.get("esm_class", 4), "short_message": text}, tlvs=tlvs))


def read(body: bytes, account: Account) -> list[Receipt]:
    return GATEWAY.receipts(Callback("SESSION", "/receipts/x", {}, body), account)


@pytest.mark.parametrize("name", sorted(SESSIONS))
def test_folder_and_facts_are_like_their_siblings(name: str) -> None:
    told = facts.load(ROOT / name)
    readme = (ROOT / name / "README.md").read_text("utf-8").splitlines()
    assert [line.removeprefix("## ") for line in readme if line.startswith("## ")] == HEADINGS
    assert len(readme) <= 42
    assert isinstance(SESSIONS[name], SessionGateway)
    assert (SESSIONS[name].name, SESSIONS[name].resend) == (name, told.resend) == (told.name, told.resend)
    assert (told.capabilities.lookup, told.capabilities.signature) == (False, Signature.SESSION)
    assert told.resend is Resend.BLIND


def test_a_name_is_of_one_kind() -> None:
    assert set(ALL) == set(GATEWAYS) | set(SESSIONS)
    assert not set(GATEWAYS) & set(SESSIONS)
    assert not set(QUERYABLE) & set(SESSIONS)


@each_account
def test_a_message_is_written_as_recorded(account: Account) -> None:
    recorded = (SMPP / "wire" / f"submit.{account.id}.hex").read_text("ascii").split()
    written = [unit for message in (MESSAGE, LONG) for unit in GATEWAY.encode(message, account).units]
    assert [unit.hex() for unit in written] == recorded


@each_account
def test_an_introduction_is_written_as_recorded(account: Account) -> None:
    recorded = (SMPP / "wire" / f"bind.{account.id}.hex").read_text("ascii").split()
    written = []
    for role in GATEWAY.endpoint(account).roles:
        session = GATEWAY.session(account, role)
        session.open(0.0)
        written.append(session.outgoing().hex())
    assert written == recorded


@pytest.mark.parametrize("case", ANSWERS, ids=lambda case: f"{case['status']:x}-{case.get('account', 'plain')}")
def test_a_status_means_what_is_recorded(case: dict[str, Any]) -> None:
    account = ACCOUNTS[case.get("account", "plain")]
    session = GATEWAY.session(account, GATEWAY.endpoint(account).roles[0])
    session.open(0.0)
    bind = decode(session.outgoing())
    assert session.receive(encode(Pdu(bind.command | RESPONSE, 0, bind.sequence)), 0.0) == [Ready()]
    session.submit(1, GATEWAY.encode(MESSAGE, account), 0.0)
    sequence = decode(session.outgoing()).sequence
    said = Pdu(
        Command.SUBMIT_SM | RESPONSE, case["status"], sequence, {"message_id": case.get("message_id", "").encode()}
    )
    answered = session.receive(encode(said), 0.0)[0]
    assert isinstance(answered, Answered)
    assert (answered.outcome.kind, answered.outcome.provider_id) == (case["kind"], case.get("provider_id", ""))
    assert answered.outcome.raw_code == f"{case['status']:#04x}"
    assert (answered.outcome.retry_after_ms > 0) == (case["kind"] == "throttled")


def test_every_line_of_the_tables_has_a_recorded_case() -> None:
    told = facts.load(SMPP)
    assert {int(code, 16) for code in told.statuses} <= {case["status"] for case in ANSWERS}
    possible = set(OutcomeClass) - {OutcomeClass.AMBIGUOUS, OutcomeClass.EXPIRED}
    assert {case["kind"] for case in ANSWERS} == possible
    words = "\n".join(
        f"{case.get('text', '')} {case.get('expect', {}).get('raw_code', '')}".lower() for case in REPORTS
    )
    assert [word for word in told.states if word not in words] == []


@pytest.mark.parametrize("case", REPORTS, ids=lambda case: str(case.get("text") or case.get("parameters"))[:60])
def test_a_report_says_what_is_recorded(case: dict[str, Any]) -> None:
    account = ACCOUNTS[case.get("account", "plain")]
    if case.get("refused"):
        with pytest.raises(ValueError, match="without the id"):
            read(unit_of(case), account)
        return
    expected = case.get("expect")
    receipts = [_receipt(expected)] if expected else []
    assert read(unit_of(case), account) == receipts


def _receipt(told: dict[str, Any]) -> Receipt:
    reason = OutcomeClass(told["reason"]) if "reason" in told else None
    return Receipt(**{**told, "state": ReceiptState(told["state"]), "reason": reason})


@pytest.mark.parametrize("failed", ["UNDELIV", "REJECTD"])
def test_every_reason_is_read_where_a_report_tells_it(failed: str) -> None:
    reasons = facts.load(SMPP).reasons
    assert len(reasons) > 70
    for code, reason in reasons.items():
        for told in (code, f"0{code}"):
            [receipt] = read(unit_of({"text": f"id:1 stat:{failed} err:{told}"}), ACCOUNTS["plain"])
            assert (receipt.reason, receipt.raw_code, receipt.unmapped) == (reason, told, "")
            assert receipt.state in EXPLAINED[reason]


@pytest.mark.parametrize("case", REPORTS[:12], ids=str)
def test_a_report_cut_short_tells_nothing_new(case: dict[str, Any]) -> None:
    whole = unit_of(case)
    for length in range(len(whole)):
        try:
            told = read(whole[:length], ACCOUNTS["plain"])
        except ValueError:
            continue
        assert {receipt.state for receipt in told} <= {case["expect"]["state"], "unknown"}


@each_account
@given(body=st.binary(max_size=200))
def test_whatever_is_reported_is_read_or_refused(account: Account, body: bytes) -> None:
    frame = (len(body) + 16).to_bytes(4, "big") + Command.DELIVER_SM.to_bytes(4, "big") + bytes(8) + body
    for told in (body, frame, frame[:24] + b"\0\0\0\0\0\0\0\x04" + body):
        try:
            receipts = read(told, account)
        except ValueError:
            continue
        assert all(0 < len(receipt.provider_id) <= 128 and len(receipt.raw_code) <= 64 for receipt in receipts)


@pytest.mark.parametrize("size", [0, 15, 65_537])
def test_a_unit_of_impossible_size_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="not a protocol data unit"):
        read(bytes(size), ACCOUNTS["plain"])


@each_account
@given(noise=st.binary(max_size=120))
def test_noise_ends_a_conversation_or_means_nothing(account: Account, noise: bytes) -> None:
    session = GATEWAY.session(account, GATEWAY.endpoint(account).roles[0])
    session.open(0.0)
    session.outgoing()
    events = session.receive(noise, 1.0)
    assert events == [] or isinstance(events[-1], Ended) or all(not isinstance(event, Answered) for event in events)


@each_account
def test_nothing_that_is_secret_prints(account: Account) -> None:
    submission = GATEWAY.encode(MESSAGE, account)
    session = GATEWAY.session(account, GATEWAY.endpoint(account).roles[0])
    refused = Ended("x", Outcome(OutcomeClass.ACCOUNT))
    printed = " ".join(map(repr, (account, MESSAGE, submission, session, refused, GATEWAY.endpoint(account))))
    for secret in ("493021", "9876543210", account.secrets["password"]):
        assert secret not in printed
