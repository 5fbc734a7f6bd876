"""Migrations: found, applied, compared, one at a time."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest
from remit_testing.service import make_service_database
from sqlalchemy import text

from remit_service import migrations
from remit_service.database import Database

TABLES = """
from sqlalchemy import Column, Integer, MetaData, Table, Text
metadata = MetaData()
gadget = Table("gadget", metadata, Column("id", Integer, primary_key=True), Column("name", Text, nullable=False))
"""


@pytest.fixture(scope="module")
async def package(make_database, tmp_path_factory):
    """A service package with a first migration, written by the tool from its tables."""
    root = tmp_path_factory.mktemp("gadget-svc")
    source = root / "src" / "gadget_svc"
    source.mkdir(parents=True)
    (source / "__init__.py").write_text("")
    (source / "tables.py").write_text(TABLES)
    sys.path.insert(0, str(root / "src"))
    assert migrations.initialise("gadget_svc") == root / "migrations"
    await migrations.revise(await make_database(), root / "migrations", "first tables")
    yield root / "migrations"
    sys.path.remove(str(root / "src"))


async def tables_of(url: str) -> set[str]:
    db = Database(url)
    async with db.reading() as session:
        found = set(await session.scalars(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")))
    await db.close()
    return found


async def test_a_migration_is_written_and_applied(make_database, package):
    (written,) = (package / "versions").glob("*.py")
    assert "first_tables" in written.name
    url = await make_database()
    await migrations.run_migrations(url, "gadget_svc")
    assert {"gadget", "outbox", "inbox", "seller", "api_key", "idempotency", "alembic_version"} <= await tables_of(url)
    assert await migrations.check(url, package) == []
    await migrations.run_migrations(url, "gadget_svc")


async def test_a_database_knows_when_it_is_behind(make_database, package):
    url = await make_database()
    behind = await migrations.pending(url, package)
    assert behind
    await migrations.upgrade(url, package)
    assert await migrations.pending(url, package) is None


async def test_drift_is_found(make_database, package):
    url = await make_service_database(make_database, package)
    db = Database(url)
    async with db.transaction() as session:
        await session.execute(text("ALTER TABLE gadget ADD COLUMN colour text"))
    await db.close()
    (difference,) = await migrations.check(url, package)
    assert "colour" in difference


async def test_partitions_made_by_the_service_are_no_drift(make_database, package):
    url = await make_service_database(make_database, package)
    db = Database(url)
    async with db.transaction() as session:
        await session.execute(text("CREATE TABLE parted (n int) PARTITION BY LIST (n)"))
        await session.execute(text("CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1)"))
    await db.close()
    found = await migrations.check(url, package)
    assert "parted" in str(found)
    assert "parted_1" not in str(found)


async def test_two_at_once_wait_for_each_other(make_database, package):
    url = await make_database()
    await asyncio.gather(*(migrations.upgrade(url, package) for _ in range(4)))
    assert await migrations.pending(url, package) is None


async def test_a_migration_gives_up_on_a_locked_table(make_database, package, monkeypatch):
    """It must not queue behind a long transaction and block everyone behind itself."""
    monkeypatch.setattr(migrations, "LOCK_TIMEOUT", "100ms")
    url = await make_service_database(make_database, package)
    later = package / "versions" / "zz_later.py"
    (first,) = (package / "versions").glob("*first_tables.py")
    down = first.name.split("_")[0]
    later.write_text(
        f"revision = 'zz'\ndown_revision = '{down}'\nfrom alembic import op\n"
        "def upgrade():\n    op.execute('ALTER TABLE gadget ADD COLUMN x int')\ndef downgrade():\n    pass\n"
    )
    db = Database(url)
    try:
        async with db.transaction() as session:
            await session.execute(text("SELECT * FROM gadget"))
            with pytest.raises(Exception, match="lock timeout"):
                await migrations.upgrade(url, package)
        await migrations.upgrade(url, package)
    finally:
        later.unlink()
        await db.close()


def test_a_folder_is_found_beside_the_source_or_by_its_variable(package, monkeypatch, tmp_path):
    assert migrations.migrations_of("gadget_svc") == package
    monkeypatch.setenv("MIGRATIONS_DIR", str(package))
    assert migrations.migrations_of("gadget_svc") == package
    (tmp_path / "gadget_svc").mkdir()
    (tmp_path / "gadget_svc" / "env.py").write_text("")
    monkeypatch.setenv("MIGRATIONS_DIR", str(tmp_path))
    assert migrations.migrations_of("gadget_svc") == tmp_path / "gadget_svc"


def test_a_missing_folder_says_what_to_set(monkeypatch):
    monkeypatch.setenv("MIGRATIONS_DIR", "/nowhere")
    with pytest.raises(FileNotFoundError, match="set MIGRATIONS_DIR"):
        migrations.migrations_of("gadget_svc")
    monkeypatch.delenv("MIGRATIONS_DIR")
    with pytest.raises(FileNotFoundError, match="not installed"):
        migrations.migrations_of("no_such_svc")


def test_what_is_there_is_not_overwritten(package: Path):
    (package / "env.py").write_text((package / "env.py").read_text() + "# mine\n")
    migrations.initialise("gadget_svc")
    assert (package / "env.py").read_text().endswith("# mine\n")
