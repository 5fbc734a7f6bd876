"""Logs: JSON, with trace ids, without personal data, whoever writes them."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest

from remit_service.logs import describe, scrubbed


@pytest.mark.parametrize(
    ("message", "kept"),
    [
        ("no mail to anna@example.com today", "no mail to … today"),
        ("call +49 30 1234567 back", "call … back"),
        ("IBAN 89370400440532013000", "IBAN …"),
        ("invalid input for query argument $1: 'Anna'", "invalid input for query argument $1: …"),
        ("bad key rk_abcdefghijklmnop", "bad key …"),
        ("duplicate key\nDETAIL: Key (email)=(x@y.example) exists", "duplicate key"),
        ("port 8001 in 2026", "port 8001 in 2026"),
    ],
)
def test_messages_are_scrubbed(message, kept):
    assert scrubbed(message) == kept


def test_an_exception_is_described_without_values():
    try:
        try:
            int("hunter2@example.com")
        except ValueError as error:
            raise RuntimeError("while reading 'hunter2'") from error
    except RuntimeError as error:
        facts = describe(error)
    assert "hunter2" not in json.dumps(facts)
    assert facts["error"] == "RuntimeError: while reading …"
    assert facts["cause"].startswith("ValueError")
    assert facts["at"][-1].startswith("test_logs.py:")


SCRIPT = """
import logging, structlog
from opentelemetry import trace
from remit_service import logs, telemetry
logs.configure("info")
telemetry.configure("t")
log = structlog.get_logger("x")
log.debug("unseen")
with trace.get_tracer("t").start_as_current_span("s"):
    log.info("seen", number=1)
    logging.getLogger("lib").warning("mail %s", "anna@example.com")
    try:
        raise ValueError("'hunter2'")
    except ValueError:
        logging.getLogger("uvicorn.error").exception("failed")
logging.getLogger("httpx").info("GET http://x/?email=anna@example.com")
"""


def test_every_line_is_json_with_its_trace():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [line["event"] for line in lines] == ["seen", "mail …", "failed"]
    assert len({line["trace_id"] for line in lines}) == 1
    assert len(lines[0]["trace_id"]) == 32
    assert all(line["timestamp"].endswith("Z") and line["level"] for line in lines)
    assert lines[2]["error"] == "ValueError: …"
    assert "anna" not in done.stderr + done.stdout
    assert "hunter2" not in done.stderr + done.stdout


def test_logging_is_not_reconfigured_by_an_import():
    assert logging.getLogger("httpx").level in (logging.NOTSET, logging.WARNING)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full here")
def test_a_line_that_cannot_be_written_ends_nothing():
    script = (
        "import logging, structlog\n"
        "from remit_service import logs\n"
        "logs.configure()\n"
        "structlog.get_logger().error('not written')\n"
        "logging.getLogger('library').error('not written either')\n"
        "print('goes on')\n"
    )
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=full, text=True)
    assert done.stdout == "goes on\n"
