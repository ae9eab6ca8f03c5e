"""tshark reads what we write: every recorded unit is one that a dissector written by others understands alike."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.contract.gateways.test_sessions import ACCOUNTS, LONG, MESSAGE, REPORTS, SMPP, unit_of
from tests.interop.peers import has_program, needs, output_of
from watchword.gateways.smpp.pdu import RESPONSE, Command, Pdu, Tag, decode, encode

pytestmark = [pytest.mark.interop, needs(has_program("tshark", "text2pcap"), "tshark")]
PORT = "2775"


async def dissected(units: list[bytes], directory: Path) -> list[dict[str, Any]]:
    """What tshark makes of each unit: the fields of its SMPP layer by name."""
    lines = [" ".join(["000000", *(f"{octet:02x}" for octet in unit)]) for unit in units]
    (directory / "units.txt").write_text("\n".join(lines) + "\n", "ascii")
    captured = str(directory / "units.pcap")
    await output_of("text2pcap", "-q", "-T", f"40000,{PORT}", str(directory / "units.txt"), captured)
    options = (
        "-d",
        f"tcp.port=={PORT},smpp",
        "-o",
        "tcp.analyze_sequence_numbers:FALSE",
        "-T",
        "json",
        "--no-duplicate-keys",
    )
    read = json.loads(await output_of("tshark", "-r", captured, *options))
    layers = [packet["_source"]["layers"] for packet in read]
    assert [layer for layer in layers if "_ws.malformed" in layer or "smpp" not in layer] == []
    return [_flat(layer["smpp"]) for layer in layers]


def _flat(tree: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in tree.items():
        for one in value if isinstance(value, list) else [value]:
            found |= _flat(one) if isinstance(one, dict) else {name: one}
    return found


def number(told: Any) -> int:
    return int(str(told), 0)


async def test_every_recorded_submission_is_understood(tmp_path: Path) -> None:
    units = [bytes.fromhex(line) for name in ACCOUNTS for line in _recorded(f"submit.{name}")]
    for unit, told in zip(units, await dissected(units, tmp_path), strict=True):
        ours = decode(unit)
        assert number(told["smpp.command_id"]) == Command.SUBMIT_SM
        assert number(told["smpp.command_length"]) == len(unit)
        assert told["smpp.destination_addr"].encode() == ours.text("dest") == MESSAGE.to[1:].encode()
        assert told["smpp.source_addr"].encode() == ours.text("source")
        assert number(told["smpp.source_addr_ton"]) == ours.number("source_ton")
        assert number(told["smpp.sm_length"]) == len(ours.text("short_message"))
        assert number(told["smpp.data_coding"]) == ours.number("data_coding")
        life_s = {b"": 0, b"000000000400000R": 240, b"000000000500000R": 300}[ours.text("validity")]
        assert float(told["smpp.validity_period_r"]) == life_s
        assert (Tag.SAR_NUMBER in dict(ours.tlvs)) == ("smpp.sar_segment_seqnum" in told)
    assert len(units) > 2 * len(ACCOUNTS), LONG


async def test_every_recorded_introduction_is_understood(tmp_path: Path) -> None:
    units = [bytes.fromhex(line) for name in ACCOUNTS for line in _recorded(f"bind.{name}")]
    for unit, told in zip(units, await dissected(units, tmp_path), strict=True):
        assert number(told["smpp.command_id"]) == decode(unit).command
        assert told["smpp.system_id"].encode() == decode(unit).text("system_id")
        assert told["smpp.interface_version"] in ("0x34", "52")


async def test_every_recorded_report_is_understood(tmp_path: Path) -> None:
    reports = [case for case in REPORTS if not case.get("refused")]
    units = [unit_of(case) for case in reports]
    for case, told in zip(reports, await dissected(units, tmp_path), strict=True):
        tags = case.get("parameters", {})
        assert ("smpp.receipted_message_id" in told) == ("001e" in tags)
        if "0427" in tags:
            assert number(told["smpp.message_state"]) == int(tags["0427"], 16)


async def test_every_answer_is_understood(tmp_path: Path) -> None:
    units = [
        Pdu(Command.SUBMIT_SM | RESPONSE, 0, 1, {"message_id": b"m-1"}),
        Pdu(Command.SUBMIT_SM | RESPONSE, 0x58, 2),
        Pdu(Command.DELIVER_SM | RESPONSE, 0, 3),
        Pdu(Command.DELIVER_SM | RESPONSE, 0x64, 4),
        Pdu(Command.ENQUIRE_LINK, 0, 5),
        Pdu(Command.UNBIND | RESPONSE, 0, 6),
        Pdu(Command.GENERIC_NACK, 3, 7),
    ]
    for unit, told in zip(units, await dissected([encode(unit) for unit in units], tmp_path), strict=True):
        assert number(told["smpp.command_id"]) == unit.command
        assert number(told.get("smpp.command_status", 0)) == unit.status
        assert number(told["smpp.sequence_number"]) == unit.sequence


def _recorded(name: str) -> list[str]:
    return (SMPP / "wire" / f"{name}.hex").read_text("ascii").split()
