"""The migrations build exactly the tables in code."""

from __future__ import annotations

from pathlib import Path

from remit_testing.fixtures import MakeDatabase
from remit_testing.service import make_service_database

from remit_service.migrations import check, migrations_of


async def test_migrations_and_tables_agree(make_database: MakeDatabase) -> None:
    url = await make_service_database(make_database, "notifier_svc")
    assert await check(url, migrations_of("notifier_svc")) == []


def test_no_rule_reads_a_clock_of_its_own() -> None:
    package = Path(migrations_of("notifier_svc")).parent / "src" / "notifier_svc"
    for path in package.rglob("*.py"):
        source = path.read_text()
        for forbidden in ("datetime.now(", "date.today(", "utcnow(", "func.now(", " now()", "CURRENT_TIMESTAMP"):
            assert forbidden not in source.replace("clock.now()", ""), f"{path.name}: {forbidden}"
