"""The sample's past goes on where it was stopped, at whatever point that was."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from remit_testing.fixtures import MakeDatabase
from remit_testing.installations import make_installation

from remit_local.agenda import Input, Poster
from remit_local.home import Home
from remit_local.sample_lapse import play_sample
from remit_local.timelapse import Timelapse


class Killed(BaseException):
    """As a kill -9 ends it: nothing more is done."""


async def test_what_was_not_posted_when_it_stopped_comes_before_what_follows(
    make_database: MakeDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path.chmod(0o755)
    installation, home = await make_installation(make_database, tmp_path), Home(tmp_path / "data").make()
    done: list[Any] = []
    post, settle = Poster.post, Timelapse.settle

    async def posting(self: Poster, inputs: Sequence[Input]) -> None:
        done.extend(one.key for one in inputs)
        await post(self, inputs)

    async def settling(self: Timelapse) -> None:
        done.append("settled")
        await settle(self)

    monkeypatch.setattr(Poster, "post", posting)
    monkeypatch.setattr(Timelapse, "settle", settling)
    instants: list[datetime] = []

    def passed(_begin: datetime, at: datetime, _end: datetime) -> None:
        instants.append(at)
        if len(instants) == 3:
            raise Killed

    with pytest.raises(Killed):
        await play_sample(installation, home, passed, asyncio.Event())
    stop = asyncio.Event()
    stop.set()
    before = set(done)
    done.clear()
    await play_sample(installation, home, passed, stop)
    assert done[-1] == "settled"
    assert set(done) - before, "what it was stopped before"
    assert len(instants) == 3, "stopped before the next instant"
