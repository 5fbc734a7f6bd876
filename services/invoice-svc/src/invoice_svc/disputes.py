"""Disputes: the debtor contests an invoice or a part of it; only the rest is chased until it is resolved."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, select

from invoice_svc import customers, invoices
from invoice_svc.inputs import DisputeIn
from invoice_svc.invoices import Invoice
from invoice_svc.tables import dispute as table
from remit_events.invoices import DisputeOpened, DisputeResolved
from remit_events.outbox import emit
from remit_events.session import Session
from remit_service.bulk import among, insert_objects, new_id, records, update_objects
from remit_service.problems import conflict, invalid, not_found


@dataclass(slots=True, kw_only=True)
class Dispute:
    """One dispute; `whole` covers whatever is owed, `amount_minor` is what that was when it was opened."""

    id: UUID
    seller_id: UUID
    customer_id: UUID
    invoice_id: UUID
    amount_minor: int
    whole: bool
    reason: str
    deadline: date | None
    opened_at: datetime
    status: str = "open"
    outcome: str | None = None
    resolved_at: datetime | None = None

    @classmethod
    def open_on(
        cls, invoice: Invoice, amount_minor: int | None, reason: str, deadline: date | None, now: datetime
    ) -> tuple[Dispute, DisputeOpened]:
        """Contests `amount_minor`, or all of it (None). A paid invoice may be disputed too: the money is in question.

        Raises 409 for a draft, a void invoice and one disputed in full, 422 for more than is undisputed.
        """
        if invoice.status in ("draft", "void"):
            invoice.need_open("disputed")
        if invoice.disputed_whole:
            detail = f"Invoice {invoice.number} is disputed in full already: resolve that dispute first."
            raise conflict("dispute-open", detail)
        at_stake = invoice.balance_minor or invoice.total_minor
        undisputed = max(at_stake - invoice.disputed_minor, 0)
        if amount_minor is not None and amount_minor > undisputed:
            detail = f"Only {undisputed} minor units of it are undisputed; resolve an earlier dispute to contest more."
            raise invalid("/amount_minor", "more_than_undisputed", detail, amount_minor)
        invoice.dispute(amount_minor, now)
        made = cls(
            id=new_id(),
            seller_id=invoice.seller_id,
            customer_id=invoice.customer_id,
            invoice_id=invoice.id,
            amount_minor=at_stake if amount_minor is None else amount_minor,
            whole=amount_minor is None,
            reason=reason,
            deadline=deadline,
            opened_at=now,
        )
        return made, DisputeOpened(**made._about(invoice), reason=reason, deadline=deadline)

    def resolve(self, invoice: Invoice, outcome: str, now: datetime) -> DisputeResolved:
        """Ends it: what it held is chased again. 409 when it ended before."""
        if self.status != "open":
            raise conflict("dispute-resolved", f"The dispute was resolved before: {self.outcome}.")
        invoice.undispute(None if self.whole else self.amount_minor, now)
        self.close(outcome, now)
        return DisputeResolved(**self._about(invoice), outcome=outcome)

    def close(self, outcome: str, now: datetime) -> None:
        self.status, self.outcome, self.resolved_at = "resolved", outcome, now

    def ended_by_void(self, invoice: Invoice, now: datetime) -> DisputeResolved:
        """The invoice was voided: nothing is contested any more."""
        self.close("invoice void", now)
        return DisputeResolved(**self._about(invoice), outcome="invoice void")

    def _about(self, invoice: Invoice) -> dict[str, Any]:
        return {
            "seller_id": self.seller_id,
            "customer_id": self.customer_id,
            "invoice": invoice.state(),
            "dispute_id": self.id,
            "amount_minor": self.amount_minor,
        }


COLUMNS = tuple(one.name for one in fields(Dispute))
CHANGING = ("id", "status", "outcome", "resolved_at")


async def open_dispute(session: Session, seller_id: UUID, invoice_id: UUID, given: DisputeIn, now: datetime) -> Dispute:
    _, invoice = await invoices.lock_one(session, seller_id, invoice_id)
    made, event = Dispute.open_on(invoice, given.amount_minor, given.reason, given.deadline, now)
    await insert(session, [made])
    await invoices.update(session, [invoice])
    await emit(session, [event], now=now)
    return made


async def resolve(session: Session, seller_id: UUID, dispute_id: UUID, outcome: str, now: datetime) -> Dispute:
    """Raises 404 for an unknown one."""
    first = await find(session, seller_id, dispute_id)
    await customers.lock(session, seller_id, [first.customer_id])
    invoice = (await invoices.lock(session, seller_id, [first.invoice_id]))[first.invoice_id]
    one = await find(session, seller_id, dispute_id)  # as it is now that nobody else can change it
    event = one.resolve(invoice, outcome, now)
    await update(session, [one])
    await invoices.update(session, [invoice])
    await emit(session, [event], now=now)
    return one


async def find(session: Session, seller_id: UUID, dispute_id: UUID) -> Dispute:
    found = await _load(session, seller_id, table.c.id == dispute_id)
    if not found:
        raise not_found("dispute", dispute_id)
    return found[0]


async def of_invoice(session: Session, seller_id: UUID, invoice_id: UUID) -> list[Dispute]:
    """Every dispute of an invoice, oldest first."""
    return await _load(session, seller_id, table.c.invoice_id == invoice_id)


async def open_of(session: Session, seller_id: UUID, invoice_ids: Iterable[UUID]) -> list[Dispute]:
    """The open disputes of several invoices, oldest first."""
    wanted = among(table.c.invoice_id, set(invoice_ids)) & (table.c.status == "open")
    return await _load(session, seller_id, wanted)


async def insert(session: Session, made: Sequence[Dispute]) -> None:
    await insert_objects(session, table, COLUMNS, made)


async def update(session: Session, changed: Iterable[Dispute]) -> None:
    await update_objects(session, table, CHANGING, list(changed))


async def _load(session: Session, seller_id: UUID, wanted: ColumnElement[bool]) -> list[Dispute]:
    statement = select(table).where(table.c.seller_id == seller_id, wanted).order_by(table.c.opened_at, table.c.id)
    return records(Dispute, await session.execute(statement))
