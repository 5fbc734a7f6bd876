"""What the last import said of an invoice: the next one acts only on what it says differently.

So the same file again changes nothing, whatever people recorded by hand meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import date
from uuid import UUID

from sqlalchemy import select

from invoice_svc.tables import import_stated as table
from remit_events.session import Session
from remit_service.bulk import among, insert_rows

_REPLACE = """(invoice_id) DO UPDATE SET (disputed, paid_date, open_minor, dispute_id)
= (excluded.disputed, excluded.paid_date, excluded.open_minor, excluded.dispute_id)"""


@dataclass(frozen=True, slots=True)
class Stated:
    """Without any statement an invoice counts as undisputed and open in full (`open_minor` None).

    `dispute_id` is the dispute an import opened last.
    """

    disputed: bool = False
    paid_date: date | None = None
    open_minor: int | None = None
    dispute_id: UUID | None = None


COLUMNS = tuple(one.name for one in fields(Stated))


async def load(session: Session, invoice_ids: Iterable[UUID]) -> dict[UUID, Stated]:
    """The statements there are, by invoice; the invoices are locked."""
    rows = await session.execute(select(table).where(among(table.c.invoice_id, invoice_ids)))
    return {row.invoice_id: Stated(*(getattr(row, name) for name in COLUMNS)) for row in rows}


async def save(session: Session, stated: Mapping[UUID, Stated]) -> None:
    rows = [{"invoice_id": id_} | {name: getattr(one, name) for name in COLUMNS} for id_, one in stated.items()]
    await insert_rows(session, table, rows, on_conflict=_REPLACE)
