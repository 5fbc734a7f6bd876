"""The embedded server under odd paths and an environment that points elsewhere."""

from __future__ import annotations

from pathlib import Path

import asyncpg
import pytest

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
