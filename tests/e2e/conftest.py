"""What e2e tests share: both transports, and a folder that PostgreSQL may enter."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(params=["postgresql", "kafka"])
def events_url(request: pytest.FixtureRequest) -> str | None:
    """Both transports: the URL of the session's Kafka, or None for the event log on PostgreSQL."""
    return request.getfixturevalue("kafka_url") if request.param == "kafka" else None


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder every user may enter, as PostgreSQL started by root runs as another one; pytest's are closed."""
    with tempfile.TemporaryDirectory(prefix="remit-e2e-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)
