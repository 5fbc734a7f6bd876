"""Whoever reads a service's OpenAPI document learns from each summary what the route does, and to what."""

from __future__ import annotations

from pathlib import Path

from remit_testing.fixtures import MakeDatabase
from remit_testing.installations import make_installation

from remit_local.home import SERVICES
from remit_local.system import System
from remit_service.clock import WallClock

LONGEST = 60


async def test_every_route_says_what_it_does(make_database: MakeDatabase, tmp_path: Path) -> None:
    installation = await make_installation(make_database, tmp_path)
    seen = 0
    async with await System.build(installation, WallClock(), in_process=True) as system:
        for service in SERVICES:
            paths = system.services[service].app.openapi()["paths"]
            said = [(spec["summary"], path) for path, methods in paths.items() for spec in methods.values()]
            seen += len(said)
            for summary, path in said:
                assert len(summary.split()) > 1, f"{service} {path}: {summary!r} names no thing"
                assert len(summary) <= LONGEST, f"{service} {path}: {summary!r}"
                # What nobody wrote is the function's name, every word with a capital.
                assert summary != summary.title(), f"{service} {path}: give the route a `summary`, not {summary!r}"
            assert len({summary for summary, _ in said}) == len(said), f"{service}: two routes with one summary"
    assert seen > 80
