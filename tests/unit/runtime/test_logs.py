"""Log lines: JSON, named, redacted, and not a hundred times the same."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from watchword.kernel.secret import Code, Phone
from watchword.runtime import logs


@pytest.fixture
def out() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before = (list(root.handlers), root.level, structlog.get_config())
    stream = io.StringIO()
    logs.configure(style="json", worker="codes", stream=stream)
    yield stream
    root.handlers, root.level, told = before
    structlog.configure(**told)


def lines(out: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_a_line_has_time_level_event_and_worker(out: io.StringIO) -> None:
    structlog.get_logger("fresh").info("codes.issued", lag_ms=12)
    (line,) = lines(out)
    assert line["ts"].endswith("Z")
    assert (line["level"], line["event"], line["worker"], line["lag_ms"]) == ("info", "codes.issued", "codes", 12)


def test_debug_is_left_out(out: io.StringIO) -> None:
    structlog.get_logger("fresh").debug("codes.looked")
    assert lines(out) == []


def test_secrets_are_masked_whatever_the_field(out: io.StringIO) -> None:
    structlog.get_logger("fresh").info(
        "x.tried", what=Code("493021"), whom=[Phone("+919876543210")], said="code 493021 for +91 98765 43210", n=493021
    )
    assert "493021" not in out.getvalue() and "98765" not in out.getvalue()


def test_a_traceback_is_redacted_and_shows_no_variables(out: io.StringIO) -> None:
    code = "493021"
    try:
        raise ValueError(f"wrong code {code}")
    except ValueError:
        structlog.get_logger("fresh").exception("x.failed")
    (line,) = lines(out)
    assert "ValueError: wrong code" in line["exception"] and "493021" not in out.getvalue()


def test_libraries_speak_through_the_same_processors(out: io.StringIO) -> None:
    logging.getLogger("aiokafka.conn").warning("connect to %s failed for %s", "127.0.0.1:9092", "+919876543210")
    (line,) = lines(out)
    assert (line["event"], line["logger"], line["worker"]) == ("library.logged", "aiokafka.conn", "codes")
    assert line["message"] == "connect to 127.0.0.1:9092 failed for ••••"


def test_chatty_libraries_are_heard_from_warnings_on(out: io.StringIO) -> None:
    logging.getLogger("aiokafka.conn").info("joined")
    logging.getLogger("aiohttp.access").info("GET /")
    assert lines(out) == []


def test_the_same_error_is_told_once_and_counted() -> None:
    now = [0.0]
    repeats = logs.Repeats(lambda: now[0])

    def told(event: str, level: str = "error") -> dict[str, Any] | None:
        try:
            return dict(repeats(None, level, {"event": event, "level": level}))
        except structlog.DropEvent:
            return None

    assert told("x.failed") == {"event": "x.failed", "level": "error"}
    assert [told("x.failed"), told("x.failed")] == [None, None]
    assert told("y.failed") is not None
    assert told("x.failed", "info") is not None and told("x.failed", "info") is not None
    now[0] = 10.5
    assert told("x.failed") == {"event": "x.failed", "level": "error", "repeated": 2}


def test_on_a_terminal_lines_are_for_people_and_still_redacted() -> None:
    root = logging.getLogger()
    before = (list(root.handlers), root.level, structlog.get_config())
    stream = io.StringIO()
    logs.configure(style="console", stream=stream)
    structlog.get_logger("fresh").warning("x.tried", said="code 493021")
    root.handlers, root.level, told = before
    structlog.configure(**told)
    assert "x.tried" in stream.getvalue() and "493021" not in stream.getvalue()
    with pytest.raises(json.JSONDecodeError):
        json.loads(stream.getvalue())
