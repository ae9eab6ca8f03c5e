"""`watchword fraud score`: recordings in, decisions out, and what is wrong with either."""

import json
from io import BytesIO
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

from tests.unit.fraud.facts import ALL_SIGNALS, RANGE, requested
from watchword.fraud.commands import app
from watchword.fraud.decide import observe
from watchword.fraud.decide.line import Line, Reading
from watchword.fraud.decide.recording import Recording
from watchword.fraud.decide.rules import DEFAULT
from watchword.fraud.offline import RulesetError, Skipped, Tally, load_rules, score_file
from watchword.kernel.feature import Kind

START_S = 1_772_442_900.0


def request(n: int, *, to: str = "", at_s: float = 0.0, **more: Any) -> dict[str, Any]:
    number = to or f"+99890123{n * 7919 % 10_000:04d}"
    asked = {"kind": "request", "at": START_S + at_s, "id": f"r{n}", "tenant": "shop", "to": number}
    signals = {"ip": f"10.{n % 250}.{n // 250}.9", "device": None, "purpose": "login", "price_micros": 270_000}
    return asked | signals | more


def played(lines: list[dict[str, Any]] | bytes) -> tuple[list[dict[str, Any]], list[Skipped], Tally]:
    raw = lines if isinstance(lines, bytes) else b"".join(json.dumps(each).encode() + b"\n" for each in lines)
    sink, tally = BytesIO(), Tally()
    skipped = list(score_file(BytesIO(raw), sink, Recording(DEFAULT), tally))
    return [json.loads(each) for each in sink.getvalue().splitlines()], skipped, tally


def pumping(count: int = 40) -> list[dict[str, Any]]:
    return [request(n, at_s=n * 5.0) for n in range(count)]


def test_a_pumped_range_is_blocked_from_a_cold_start_and_reasons_say_why() -> None:
    told, skipped, _ = played(pumping())
    assert [each["id"] for each in told] == [f"r{n}" for n in range(40)]
    first = [each["action"] for each in told].index("block")
    assert first <= 12
    assert all(each["action"] == "block" for each in told[first:])
    assert told[first]["reasons"][0]["code"] == "range_unverified_pileup"
    assert told[first]["reasons"][0]["value"] >= told[first]["reasons"][0]["threshold"]
    assert skipped == []


def test_another_range_of_the_country_goes_through_meanwhile() -> None:
    told, _, _ = played([*pumping(), request(900, to="+998935550001", at_s=300)])
    assert told[-1]["action"] in ("allow", "delay")


def test_a_number_that_was_verified_passes_the_block_of_its_range() -> None:
    known = [request(500, to="+998901235555", at_s=-3_000), {"kind": "verified", "at": START_S - 2_980, "id": "r500"}]
    told, _, _ = played([*known, *pumping(), request(501, to="+998901235555", at_s=400)])
    assert told[-1]["action"] == "allow"


def test_what_is_said_of_a_refused_request_is_not_believed() -> None:
    lies = [{"kind": "verified", "at": START_S + 300, "id": f"r{n}"} for n in range(20, 40)]
    told, _, _ = played([*pumping(), *lies, request(900, at_s=310)])
    assert told[-1]["action"] == "block"


def test_lines_out_of_order_are_put_right_and_repeats_change_nothing() -> None:
    lines = pumping()
    shuffled = [lines[n ^ 3] for n in range(len(lines))]
    straight, _, _ = played(lines)
    told, _, _ = played(shuffled)
    assert {each["id"]: each for each in told} == {each["id"]: each for each in straight}
    assert [each["id"] for each in told] == [each["id"] for each in shuffled]
    twice, _, _ = played([line for line in lines for _ in range(2)])
    assert twice[::2] == twice[1::2] == straight


def test_the_same_recording_gives_the_same_bytes() -> None:
    assert played(pumping())[0] == played(pumping())[0]


BAD = {
    "no JSON": b"{bad",
    "no object": b"[1]",
    "a kind nobody knows": b'{"kind":"guess","at":1,"id":"a"}',
    "no id": b'{"kind":"verified","at":1}',
    "a time that is none": b'{"kind":"request","at":-5,"id":"a","to":"+998901234567"}',
    "a time in words": b'{"kind":"request","at":"now","id":"a","to":"+998901234567"}',
    "no number": b'{"kind":"request","at":1,"id":"a"}',
    "letters for a number": b'{"kind":"request","at":1,"id":"a","to":"+99890call"}',
    "digits of another script": '{"kind":"request","at":1,"id":"a","to":"+٩٩٨٩٠١٢٣٤٥٦٧"}'.encode(),
    "an address that is none": b'{"kind":"request","at":1,"id":"a","to":"+998901234567","ip":"10.0.0.999"}',
    "bytes that are no text": b'{"kind":"request","at":1,"id":"\xff","to":"+998901234567"}',
    "a line without end": b'{"kind":"request","id":"' + b"a" * 70_000 + b'"}',
}


@pytest.mark.parametrize("case", BAD)
def test_a_line_that_says_nothing_is_named_skipped_and_counted(case: str) -> None:
    good = json.dumps(request(1)).encode()
    told, skipped, tally = played(good + b"\n\n" + BAD[case] + b"\n" + good.replace(b"r1", b"r2"))
    assert [each["id"] for each in told] == ["r1", "r2"]
    assert [each.number for each in skipped] == [3]
    assert skipped[0].reason and "998901234567" not in skipped[0].reason
    assert (tally.requests, tally.skipped) == (2, 1)


def test_countries_nobody_knows_and_signals_that_are_missing_are_no_errors() -> None:
    bare = [{"kind": "request", "at": START_S + n, "id": n, "to": f"+99999123{n:04d}"} for n in range(20)]
    told, skipped, _ = played(bare)
    assert skipped == []
    assert told[-1]["action"] == "block"


def test_a_ruleset_names_what_it_changes_and_keeps_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_text("[range]\npressure = 3.0\nshare = 0.5\n", "utf-8")
    assert load_rules(path).range.pressure == 3.0
    assert load_rules(path).series == DEFAULT.series
    assert load_rules(None) is DEFAULT


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ('{\n  "conversion": 1.5\n}', "rules.json:2: `conversion`"),
        ('{\n  "delay_s": 4,\n  "conversions": 0.5\n}', "rules.json:3: "),
        ('{\n  "range": {\n    "pressure": "high"\n  }\n}', "rules.json:3: "),
        ("{", "rules.json:1: "),
    ],
)
def test_a_ruleset_that_is_none_is_refused_with_line_and_reason(tmp_path: Path, text: str, where: str) -> None:
    path = tmp_path / "rules.json"
    path.write_text(text, "utf-8")
    with pytest.raises(RulesetError) as refused:
        load_rules(path)
    assert where in str(refused.value)
    done = CliRunner().invoke(app, ["score", "--in", "-", "--out", "-", "--ruleset", str(path)], input="")
    assert done.exit_code == 2
    assert where in done.output


def test_the_command_reads_a_file_and_writes_one(tmp_path: Path) -> None:
    source, sink = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_bytes(b"".join(msgspec.json.encode(each) + b"\n" for each in pumping()) + b"nonsense\n")
    words = ["score", "--in", str(source), "--out", str(sink)]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0
    assert "line 41: " in done.output and "1 skipped" in done.output
    assert len(sink.read_text("utf-8").splitlines()) == 40
    assert CliRunner().invoke(app, [*words, "--strict"]).exit_code == 1
    assert CliRunner().invoke(app, [*words, "--mode", "guess"]).exit_code == 2
    monitored = CliRunner().invoke(app, [*words, "--mode", "monitor"])
    assert monitored.exit_code == 0


def test_as_live_a_level_comes_into_force_half_a_second_after_its_cause(tmp_path: Path) -> None:
    source, sink = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    asked = [request(n, to=f"+99890123{n:04d}", at_s=n * 0.1) for n in range(30)]
    source.write_bytes(b"".join(msgspec.json.encode(each) + b"\n" for each in asked))
    through = []
    for words in ([], ["--as-live"]):
        assert CliRunner().invoke(app, ["score", "--in", str(source), "--out", str(sink), *words]).exit_code == 0
        refused = [each["action"] == "block" for each in map(msgspec.json.decode, sink.read_bytes().splitlines())]
        through.append(refused.index(True))
    at_once, as_live = through
    assert at_once + 2 <= as_live <= at_once + 5, "ten requests a second, half a second late"


def test_a_line_tells_what_an_event_does() -> None:
    line = msgspec.convert(request(1, device="d", account="a"), Line)
    tokens = {"owner_token": "o", "block_token": "b", "row_token": "r", "phone_token": "p", "account_token": "a"}
    live = observe.subject_of(requested(), msgspec.structs.replace(ALL_SIGNALS, **tokens))
    about, _, _ = Reading().understood(line)
    assert (about.leaf_kind, about.features.keys()) == (live.leaf_kind, live.features.keys())
    assert [kind for kind, _, _ in about.sources] == [kind for kind, _, _ in live.sources]


def test_an_event_of_an_older_version_is_judged_by_what_it_tells() -> None:
    about = observe.subject_of(requested(), ALL_SIGNALS)
    assert about.leaf == RANGE
    assert about.features.keys().isdisjoint({Kind.ASN, Kind.PHONE, Kind.ROW})
