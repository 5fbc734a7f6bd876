"""The embedded server under odd paths and an environment that points elsewhere."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import asyncpg
import psutil
import pytest

from remit_local import keeping, postgres
from remit_local.postgres import EmbeddedPostgres, PostgresFailedError


async def answer(server: EmbeddedPostgres, database: str) -> int:
    connection = await asyncpg.connect(server.url(database).replace("+asyncpg", ""))
    try:
        return int(await connection.fetchval("SELECT 41 + 1"))
    finally:
        await connection.close()


async def test_a_path_too_long_for_a_socket_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"PGPORT": "6543", "PGHOST": "192.0.2.1", "PGUSER": "nobody"}.items():
        monkeypatch.setenv(name, value)
    tmp_path.chmod(0o755)
    with EmbeddedPostgres(tmp_path / ("long" * 20) / "data", durable=False) as server:
        assert server.socket_dir != server.folder
        await server.create_databases("one", "two")
        await server.create_databases("one")
        assert {"one", "two"} <= await server.databases()
        assert await answer(server, "one") == 42


@pytest.mark.skipif("os.geteuid() != 0", reason="only root drops to another user")
def test_a_closed_parent_is_named(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(PostgresFailedError, match=rf"chmod o\+x {closed}"):
        EmbeddedPostgres(closed / "data").start()
    assert not (closed / "data").exists()


async def test_what_was_begun_and_left_is_begun_anew(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "data.new").mkdir()
    (tmp_path / "data.new" / "PG_VERSION").write_text("18")
    with EmbeddedPostgres(tmp_path / "data", durable=False) as server:
        await server.create_databases("one")
        assert await answer(server, "one") == 42
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def kill(server: EmbeddedPostgres) -> Path:
    """As a machine that fails: nothing is tidied up. Gives the file that names the server's process."""
    pid_file = server.folder / "postmaster.pid"
    postmaster = psutil.Process(int(pid_file.read_text().split()[0]))
    family = [postmaster, *postmaster.children(recursive=True)]
    for one in family:
        with suppress(psutil.NoSuchProcess):
            one.kill()
    psutil.wait_procs(family, timeout=10)
    return pid_file


async def test_after_a_power_failure_the_number_of_its_process_may_be_anothers(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with EmbeddedPostgres(tmp_path / "data", durable=False) as server:
        pid_file = kill(server)
        _, *rest = pid_file.read_text().splitlines()
        pid_file.write_text("\n".join([str(os.getpid()), *rest]) + "\n")
        assert not server.is_running()
        server.start()
        assert await answer(server, "postgres") == 42


async def test_recovery_may_take_longer_than_a_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp_path.chmod(0o755)
    with EmbeddedPostgres(tmp_path / "data") as server:
        kill(server)
        (server.folder / "recovery.signal").touch()
        with (server.folder / "postgresql.auto.conf").open("a") as conf:
            conf.write("restore_command = 'sleep 1; false'\nhot_standby = off\n")
        wheel = postgres._wheel().postgres_server
        run = wheel.pgexec

        def impatient(command: str, arguments: Any, timeout: float = 0.7, **options: Any) -> str:
            return run(command, arguments, timeout=min(timeout, 0.7), **options)

        monkeypatch.setattr(wheel, "pgexec", impatient)
        server.start()
        monkeypatch.undo()
        assert await answer(server, "postgres") == 42


async def test_one_that_ends_by_itself_is_started_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At last, when what keeps it from starting is gone."""
    monkeypatch.setattr(keeping, "LOOK_SECONDS", 0.1)
    tmp_path.chmod(0o755)
    stop = asyncio.Event()
    with EmbeddedPostgres(tmp_path / "data", durable=False) as server:
        task = asyncio.create_task(keeping.keep_running(server, stop))
        control = server.folder / "global" / "pg_control"
        control.rename(server.folder / "aside")
        kill(server)
        await asyncio.sleep(1)
        assert not server.is_running()
        (server.folder / "aside").rename(control)
        await postgres.wait_until_ready(server.url("postgres"))
        assert await answer(server, "postgres") == 42
        stop.set()
        await task
