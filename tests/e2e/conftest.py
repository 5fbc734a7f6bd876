"""What e2e tests measured is printed at the end of the run, as some of it is part of the result."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

FIGURES: pytest.StashKey[list[str]] = pytest.StashKey()


@pytest.fixture(scope="session")
def figure(pytestconfig: pytest.Config) -> Callable[[str], None]:
    """Call it with a line to be shown after the tests."""
    lines: list[str] = pytestconfig.stash.setdefault(FIGURES, [])
    return lines.append


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    lines = config.stash.get(FIGURES, [])
    if lines:
        terminalreporter.section("figures")
        for line in lines:
            terminalreporter.line(line)


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
