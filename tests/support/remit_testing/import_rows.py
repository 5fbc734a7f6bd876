"""Rows and whole files as tests of imports send them; `world` is the fixture of invoice-svc's tests."""

from __future__ import annotations

from typing import Any

ROW = {
    "customer_external_id": "K-1",
    "customer_name": "Kessler KG",
    "email": "kessler@x.example",
    "profile": "business",
    "country": "DE",
    "invoice_number": "I-1",
    "issue_date": "2026-01-10",
    "due_date": "2026-02-09",
    "amount_minor": 10_000,
    "currency": "EUR",
    "disputed": False,
}


def row(line: int, **given: Any) -> dict[str, Any]:
    return ROW | {"line": line, "invoice_number": f"I-{line}"} | given


class Import:
    """One file sent to the service."""

    def __init__(self, world: Any, run: Any) -> None:
        self.world, self.run = world, run

    @classmethod
    async def begin(cls, world: Any, **given: Any) -> Import:
        opening = {"file_name": "x.csv", "rows_total": 1, "dry_run": False, "live": True} | given
        return cls(world, await world.post("/v1/imports", opening))

    async def rows(self, *rows: Any) -> list[Any]:
        return (await self.world.post(f"/v1/imports/{self.run['id']}/rows", {"rows": list(rows)}, 200))["results"]

    async def finish(self, body: Any = None) -> Any:
        return await self.world.post(f"/v1/imports/{self.run['id']}/finish", body, 200)


async def take(world: Any, *rows: Any, **given: Any) -> tuple[list[str], Any]:
    """Imports a file of those rows; gives the status of each and the summary."""
    run = await Import.begin(world, **given)
    results = await run.rows(*rows)
    return [one["status"] for one in results], (await run.finish()) | {"results": results}


async def balance(world: Any, number: str) -> tuple[str, int, int]:
    [one] = (await world.get("/v1/invoices", number=number))["data"]
    return one["status"], one["balance_minor"], one["disputed_minor"]
