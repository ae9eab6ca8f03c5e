"""Scores a recorded stream alone, from file to file: no Kafka, no Postgres. The rules are in `decide/recording.py`.

Lines a little out of order are put right: the earliest of the last `WINDOW` goes first. Decisions come out in the
order of their requests in the file. Memory does not grow with the file.
"""

import sys
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from heapq import heappop, heappush
from pathlib import Path
from typing import BinaryIO, cast

import msgspec

from watchword.fraud.decide.line import BadLine, Line, LineKind
from watchword.fraud.decide.recording import Decision, Recording
from watchword.fraud.decide.rules import DEFAULT, Rules

WINDOW = 512
LINE_BYTES_MAX = 65_536

_lines = msgspec.json.Decoder(Line, strict=True)
_encoder = msgspec.json.Encoder()


class RulesetError(ValueError):
    """A ruleset file that is none; the message names the line where it can, and the reason."""


@dataclass(slots=True)
class Tally:
    """What a run saw: requests by action, other lines, lines skipped with the reasons to print, `(number, reason)`."""

    requests: int = 0
    lines: int = 0
    skipped: int = 0
    by_action: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Skipped:
    """A line that was passed over, by its number from 1, and why."""

    number: int
    reason: str


class _Told(msgspec.Struct):
    code: str
    value: float
    threshold: float
    weight: float


class _Output(msgspec.Struct):
    id: str | int
    action: str
    score: int
    reasons: list[_Told]


def opened(path: Path, mode: str) -> AbstractContextManager[BinaryIO]:
    """A file, or for "-" the standard stream, which stays open. Raises OSError."""
    if str(path) == "-":
        return nullcontext(sys.stdin.buffer if mode == "rb" else sys.stdout.buffer)
    return cast(BinaryIO, path.open(mode))


def load_rules(path: Path | None) -> Rules:
    """The ruleset of a JSON or TOML file: the fields it names, the rest as published. Raises RulesetError."""
    if path is None:
        return DEFAULT
    try:
        text = path.read_bytes()
    except OSError as error:
        raise RulesetError(f"{path}: {error.strerror}") from None
    decode = msgspec.toml.decode if path.suffix == ".toml" else msgspec.json.decode
    try:
        rules = decode(text, type=Rules)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:  # another encoding is a ValueError
        raise RulesetError(f"{path}:{_line_of(text, str(error))}: {error}") from None
    wrong = rules.wrong()
    if wrong:
        raise RulesetError(f"{path}:{_line_of(text, wrong)}: {wrong}")
    return rules


def score_file(source: BinaryIO, sink: BinaryIO, recording: Recording, tally: Tally) -> Iterator[Skipped]:
    """Read `source`, write a decision a request to `sink`, count into `tally`; yields every line that is skipped."""
    waiting: list[tuple[float, int, Line]] = []
    order: deque[int] = deque()
    done: dict[int, bytes] = {}
    for number, raw in enumerate(_bounded(source), 1):
        if not raw.strip():
            continue
        tally.lines += 1
        try:
            line = _read(raw)
        except BadLine as error:
            tally.skipped += 1
            yield Skipped(number, str(error))
            continue
        if line.kind is LineKind.REQUEST:
            order.append(number)
        heappush(waiting, (line.at, number, line))
        if len(waiting) > WINDOW:
            yield from _play(waiting, recording, done, tally)
            _write(order, done, sink)
    while waiting:
        yield from _play(waiting, recording, done, tally)
    _write(order, done, sink)


def _play(
    waiting: list[tuple[float, int, Line]], recording: Recording, done: dict[int, bytes], tally: Tally
) -> Iterable[Skipped]:
    _, number, line = heappop(waiting)
    try:
        decision = recording.take(line)
    except BadLine as error:
        tally.skipped += 1
        if line.kind is LineKind.REQUEST:
            done[number] = b""
        return [Skipped(number, str(error))]
    if decision is not None:
        tally.requests += 1
        tally.by_action[decision.action.value] = tally.by_action.get(decision.action.value, 0) + 1
        done[number] = _encoded(decision)
    return ()


def _write(order: deque[int], done: dict[int, bytes], sink: BinaryIO) -> None:
    while order and order[0] in done:
        sink.write(done.pop(order.popleft()))


def _encoded(decision: Decision) -> bytes:
    reasons = [_Told(each.code, each.value, each.threshold, each.weight) for each in decision.reasons]
    return _encoder.encode(_Output(decision.id, decision.action.value, decision.score, reasons)) + b"\n"


def _read(raw: bytes) -> Line:
    if len(raw) > LINE_BYTES_MAX:
        raise BadLine(f"longer than {LINE_BYTES_MAX} bytes")
    try:
        return _lines.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadLine(str(error)) from None


def _bounded(source: BinaryIO) -> Iterator[bytes]:
    """Lines of a file, none held longer than is read; what is too long comes cut, and its rest is passed over."""
    while raw := source.readline(LINE_BYTES_MAX + 1):
        yield raw
        while len(raw) > LINE_BYTES_MAX and not raw.endswith(b"\n"):
            raw = source.readline(LINE_BYTES_MAX + 1)


def _line_of(text: bytes, message: str) -> int:
    """The line of a ruleset that a message is about: where its last named field stands, the first for none."""
    path = message.rpartition("`$.")[2].rstrip("`") if "`$." in message else ""
    name = path.rpartition(".")[2].partition("[")[0]
    fields = [name, *(part for part in message.split("`") if part and not part.startswith("$"))]
    for number, line in enumerate(text.decode("utf-8", "replace").splitlines(), 1):
        if any(each and each in line for each in fields):
            return number
    return 1
