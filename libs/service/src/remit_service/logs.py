"""JSON logs by structlog: event, facts, trace id; never bodies, addresses or secrets."""

from __future__ import annotations

import io
import logging
import re
import sys
import traceback
from contextlib import suppress
from typing import Any, TextIO, cast

import structlog
from opentelemetry import trace
from structlog.typing import EventDict, WrappedLogger

_EMAIL = re.compile(r"[^\s@'\"<>]+@[^\s@'\"<>]+")
_DIGITS = re.compile(r"\+?\d[\d \-/]{5,}\d")
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
_KEY = re.compile(r"\b(?:rk|Bearer)[_ ][A-Za-z0-9_\-]{8,}")


def configure(level: str = "info") -> None:
    """One JSON object per line on standard error, for structlog and for the standard library's loggers."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _trace_ids,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.WriteLoggerFactory(file=cast("TextIO", Lines(sys.stderr))),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(Lines(sys.stderr))
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[
                structlog.processors.add_log_level,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                _trace_ids,
                _describe_foreign,
            ],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(max(logging.INFO, getattr(logging, level.upper())))
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs whole URLs
    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("uvicorn.access").disabled = True  # so does it
    for name in ("uvicorn", "uvicorn.error"):
        logging.getLogger(name).handlers = []
        logging.getLogger(name).propagate = True


class Lines(io.TextIOBase):
    """Writes to a stream; what a full disk or a reader that went away keeps from being written is dropped.

    A line of the log is worth less than the work it tells of, which would end with the error.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, line: str) -> int:
        with suppress(OSError):
            self._stream.write(line)
        return len(line)

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()


def describe(error: BaseException) -> dict[str, Any]:
    """An exception as facts for a log line: its type, its message without personal data, where it was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    cause = error.__cause__ or error.__context__
    facts: dict[str, Any] = {
        "error": f"{type(error).__name__}: {scrubbed(str(error))}".removesuffix(": "),
        "at": [f"{_file(frame.filename)}:{frame.lineno} {frame.name}" for frame in frames[-12:]],
    }
    if cause is not None and cause is not error:
        facts["cause"] = f"{type(cause).__name__}: {scrubbed(str(cause))}"
    return facts


def scrubbed(message: str) -> str:
    """The first line of a message without what may be personal: quoted values, addresses, numbers, keys."""
    first = message.split("\n", 1)[0]
    for pattern in (_KEY, _EMAIL, _QUOTED, _DIGITS):
        first = pattern.sub("…", first)
    return first[:500]


def _trace_ids(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        event["trace_id"] = f"{context.trace_id:032x}"
        event["span_id"] = f"{context.span_id:016x}"
    return event


def _describe_foreign(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """A library's record: its exception without values, its message scrubbed."""
    failure = event.pop("exc_info", None)
    error = failure[1] if isinstance(failure, tuple) else None
    event["event"] = scrubbed(str(event.get("event", "")))
    if error is not None:
        event.update(describe(error))
    return event


def _file(path: str) -> str:
    """The part of a path that says which module; the machine's folders are nobody's business."""
    for folder in ("site-packages/", "/src/"):
        if folder in path:
            return path.rsplit(folder, 1)[-1]
    return path.rsplit("/", 1)[-1]
