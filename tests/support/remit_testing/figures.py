"""What tests measured, shown at the end of the run and written as JSON: it is part of the result.

A test's figures travel with its report, so that they also arrive from worker processes:

    def test_…(invariant): invariant(3, "order per key").held(rounds=200, events=48_000, inversions=0)
    def test_…(figure): figure("two years simulated: 104 s")
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

REPORT, ONLY = "--figures", "--invariants"
FIGURES: pytest.StashKey[list[str]] = pytest.StashKey()
INVARIANTS: pytest.StashKey[list[dict[str, Any]]] = pytest.StashKey()


@dataclass
class Invariant:
    """One of reliability.md's invariants, by its number there."""

    number: int
    name: str
    item: pytest.Item

    def held(self, *, rounds: int, **figures: Any) -> None:
        """Call it after the assertions, with what was counted: events, lost, doubled, hits per point …"""
        line = {"invariant": self.number, "name": self.name, "test": self.item.nodeid, "rounds": rounds} | figures
        self.item.user_properties.append(("invariant", line))


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Call it with a line to be shown after the tests."""
    return lambda line: request.node.user_properties.append(("figure", line))


@pytest.fixture
def invariant(request: pytest.FixtureRequest) -> Callable[[int, str], Invariant]:
    return lambda number, name: Invariant(number, name, request.node)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(REPORT, metavar="FILE", help="write what the tests measured to FILE, as JSON")
    parser.addoption(ONLY, action="store_true", help="only the tests of reliability's invariants, wherever they are")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption(ONLY):
        others = [item for item in items if "invariant" not in getattr(item, "fixturenames", ())]
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if item not in others]


def pytest_configure(config: pytest.Config) -> None:
    config.stash[FIGURES], config.stash[INVARIANTS] = [], []
    config.pluginmanager.register(_Collector(config))


class _Collector:
    def __init__(self, config: pytest.Config) -> None:
        self._figures, self._invariants = config.stash[FIGURES], config.stash[INVARIANTS]
        self._report = config.getoption(REPORT)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call":
            self._figures += [line for kind, line in report.user_properties if kind == "figure"]
            self._invariants += [line for kind, line in report.user_properties if kind == "invariant"]

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        self._invariants.sort(key=lambda line: (line["invariant"], line["test"]))
        for title, lines in (("invariants", list(map(_line, self._invariants))), ("figures", self._figures)):
            if lines:
                terminalreporter.section(title)
            for line in lines:
                terminalreporter.line(line)
        if self._report:
            content = {"invariants": self._invariants, "figures": self._figures}
            Path(self._report).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _line(found: dict[str, Any]) -> str:
    figures = ", ".join(f"{key} {value}" for key, value in found.items() if key not in ("invariant", "name", "test"))
    return f"{found['invariant']:>3}  {found['name']}: {figures}"
