"""Logs: one JSON object a line on stderr (`ts`, `level`, `event`, `worker`, …), or readable lines on a terminal.

Our own records and those of libraries go through the same processors; the last one redacts. The same error again
within ten seconds is counted instead of repeated.
"""

import logging
import sys
import time
from collections import OrderedDict
from collections.abc import Callable, MutableMapping
from typing import Any, TextIO

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from watchword.runtime.redaction import redact

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
REPEAT_WINDOW_S = 10.0
_REMEMBERED_MAX = 256
_QUIETER = {
    "aiokafka": logging.WARNING,
    "aiohttp": logging.WARNING,
    "asyncio": logging.WARNING,
    "faust": logging.WARNING,
    "faust.transport.producer": logging.ERROR,  # says with every flush that its buffer is full
    "mode": logging.ERROR,  # says with every late timer that it was late
}


class Repeats:
    """Lets the first of identical warnings and errors pass, drops those of the next ten seconds, and says with the
    first one after that how many were dropped (`repeated`)."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._seen: OrderedDict[tuple[str, ...], tuple[float, int]] = OrderedDict()

    def __call__(self, logger: WrappedLogger, method: str, record: EventDict) -> EventDict:
        """The processor. Raises structlog.DropEvent for a repeat."""
        if record.get("level") not in ("warning", "error", "critical"):
            return record
        told = tuple(str(record.get(name, "")) for name in ("level", "event", "error", "logger", "exception"))
        now = self._monotonic()
        since, dropped = self._seen.get(told, (now - REPEAT_WINDOW_S, 0))
        if now - since < REPEAT_WINDOW_S:
            self._seen[told] = (since, dropped + 1)
            raise structlog.DropEvent
        self._seen[told] = (now, 0)
        self._seen.move_to_end(told)
        if len(self._seen) > _REMEMBERED_MAX:
            self._seen.popitem(last=False)
        if dropped:
            record["repeated"] = dropped
        return record


def configure(*, level: str = "info", style: str = "auto", worker: str = "", stream: TextIO | None = None) -> None:
    """Set up logging for this process. `style` is auto, json or console; `worker` goes into every record."""
    out = sys.stderr if stream is None else stream
    console = style == "console" or (style == "auto" and out.isatty())
    shared = _shared(worker)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter]
        if console
        else [*shared, _redacting, _render],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=structlog.stdlib.LoggerFactory() if console else structlog.WriteLoggerFactory(file=out),
        cache_logger_on_first_use=True,
    )
    _configure_stdlib(shared, out, console=console, level=LEVELS[level])


def _shared(worker: str) -> list[Processor]:
    def named(logger: WrappedLogger, method: str, record: EventDict) -> EventDict:
        if worker:
            record.setdefault("worker", worker)
        return record

    return [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
        named,
        structlog.processors.format_exc_info,
        Repeats(),
    ]


def _redacting(logger: WrappedLogger, method: str, record: EventDict) -> EventDict:
    return redact(record)


def _render(logger: WrappedLogger, method: str, record: EventDict) -> str:
    return orjson.dumps(record, default=_masked).decode()


def _masked(value: object) -> str:
    """Redaction leaves nothing that orjson cannot write; should it ever, the type is all that is told."""
    return f"<{type(value).__name__}>"


def _configure_stdlib(shared: list[Processor], out: TextIO, *, console: bool, level: int) -> None:
    """Libraries log through `logging`: the same processors, the same form."""
    last: Processor = (
        structlog.dev.ConsoleRenderer(timestamp_key="ts", exception_formatter=structlog.dev.plain_traceback)
        if console
        else _render
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[_library, *shared],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _redacting, last],
    )
    handler = _Handler(out)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for name, least in _QUIETER.items():
        logging.getLogger(name).setLevel(max(level, least))


def _library(logger: WrappedLogger, method: str, record: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A library's record: its words become `message`, so that `event` stays a closed set."""
    given = record.get("_record")
    record["logger"] = given.name if given is not None else "python"
    record["message"] = record.pop("event", "")
    record["event"] = "library.logged"
    return record


class _Handler(logging.StreamHandler[TextIO]):
    """A handler for which a dropped repeat is not an error."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
        except structlog.DropEvent:
            return
        self.stream.write(f"{line}\n")
        self.stream.flush()
