"""What one transaction works on: customers locked in id order, and their cases with all that hangs on them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import any_, bindparam, func, or_, select
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.dialects.postgresql import UUID as PGUUID
from sqlalchemy.ext.asyncio import AsyncSession

from escalation_svc import tables as t
from escalation_svc.records import ApprovalRow, Case, ContactRow, Customer, RungRow
from remit_events.schedule import Window
from remit_events.state import CustomerState, InvoiceState, Stage

_UUIDS = ARRAY(PGUUID(as_uuid=True))


def _ids(name: str) -> Any:
    """Membership in a bound array: one statement, whatever the number of ids."""
    return any_(bindparam(name, type_=_UUIDS))


_LOCK = select(t.customer).where(t.customer.c.id == _ids("ids")).order_by(t.customer.c.id).with_for_update()
_READ = select(t.customer).where(t.customer.c.id == _ids("ids"))
_CASES = select(t.case).where(t.case.c.invoice_id == _ids("invoices")).order_by(t.case.c.id)
_CASES_OF = (
    select(t.case)
    .where(
        or_(
            t.case.c.invoice_id == _ids("invoices"),
            (t.case.c.customer_id == _ids("customers")) & (t.case.c.status != "closed"),
        )
    )
    .order_by(t.case.c.id)
)
# In the order of ContactRow's fields, behind the case.
_CONTACT_COLUMNS = [t.contact.c.case_id, *(t.contact.c[column.name] for column in fields(ContactRow))]
_CONTACTS = (
    select(*_CONTACT_COLUMNS)
    .where(t.contact.c.case_id == _ids("ids"))
    .order_by(t.contact.c.at, t.contact.c.delivery_id)
)
_RUNGS = select(t.rung).where(t.rung.c.case_id == _ids("ids")).order_by(t.rung.c.triggered_at, t.rung.c.attempt)
_APPROVALS = select(t.approval).where(t.approval.c.case_id == _ids("ids")).order_by(t.approval.c.id)


@dataclass
class Book:
    """The working set of one transaction. What is changed is marked and written by `save`."""

    customers: dict[UUID, Customer] = field(default_factory=dict)
    cases: dict[UUID, Case] = field(default_factory=dict)  # by invoice
    touched: set[UUID] = field(default_factory=set)  # invoices whose case row changed
    new_contacts: dict[tuple[UUID, UUID], ContactRow] = field(default_factory=dict)
    new_rungs: list[tuple[Case, RungRow]] = field(default_factory=list)
    changed_rungs: list[tuple[Case, RungRow]] = field(default_factory=list)
    changed_approvals: dict[UUID, tuple[Case, ApprovalRow]] = field(default_factory=dict)
    new_tasks: list[dict[str, Any]] = field(default_factory=list)
    # (case, kind; None: all of them) → why its open tasks are over
    closed_tasks: dict[tuple[UUID, str | None], str] = field(default_factory=dict)

    def customer(self, case: Case) -> Customer:
        return self.customers[case.customer_id]

    def touch(self, case: Case) -> None:
        self.touched.add(case.invoice.id)

    def contact(self, case: Case, row: ContactRow) -> None:
        """Adds or changes a delivery of a case."""
        case.contacts[row.delivery_id] = row
        self.new_contacts[case.id, row.delivery_id] = row
        self.touch(case)

    def approve(self, case: Case, row: ApprovalRow) -> None:
        """Adds or changes an approval of a case."""
        if all(row.id != known.id for known in case.approvals):
            case.approvals.append(row)
        self.changed_approvals[row.id] = (case, row)
        self.touch(case)


async def lock_customers(session: AsyncSession, wanted: Mapping[UUID, UUID]) -> dict[UUID, Customer]:
    """Locks the customers (id → seller) in id order, making rows for those not heard of yet."""
    ids = sorted(wanted)
    rows = (await session.execute(_LOCK, {"ids": ids})).all()
    if len(rows) < len(ids):
        known = {row.id for row in rows}
        fresh = [{"id": i, "seller_id": wanted[i], "version": 0} for i in ids if i not in known]
        await session.execute(insert(t.customer).on_conflict_do_nothing(), fresh)
        rows = (await session.execute(_LOCK, {"ids": ids})).all()
    return {row.id: customer_of(row) for row in rows}


async def load(
    session: AsyncSession, customers: dict[UUID, Customer], invoices: Iterable[UUID], whole: Sequence[UUID] = ()
) -> Book:
    """The cases of `invoices`, and all that are not closed of the customers in `whole`."""
    statement, given = (_CASES_OF, {"customers": list(whole)}) if whole else (_CASES, {})
    rows = (await session.execute(statement, {"invoices": list(invoices), **given})).all()
    return await _filled(session, Book(customers), rows)


async def read(session: AsyncSession, rows: Sequence[Any]) -> Book:
    """The working set of case rows already read, without locks: for answers, not for decisions."""
    found = (await session.execute(_READ, {"ids": list({row.customer_id for row in rows})})).all()
    return await _filled(session, Book({row.id: customer_of(row) for row in found}), rows)


async def _filled(session: AsyncSession, book: Book, rows: Sequence[Any]) -> Book:
    by_id: dict[UUID, Case] = {}
    for row in rows:
        case = by_id[row.id] = _case(row)
        book.cases[row.invoice_id] = case
    if not by_id:
        return book
    for row in (await session.execute(_CONTACTS, {"ids": list(by_id)})).all():
        by_id[row.case_id].contacts[row.delivery_id] = _contact(row)
    escalated = [case.id for case in by_id.values() if case.escalated]
    if escalated:
        for row in (await session.execute(_RUNGS, {"ids": escalated})).all():
            by_id[row.case_id].rungs.append(RungRow(**_without(row, "case_id")))
        for row in (await session.execute(_APPROVALS, {"ids": escalated})).all():
            drop = ("case_id", "seller_id", "customer_id")
            by_id[row.case_id].approvals.append(ApprovalRow(**_without(row, *drop)))
    return book


_EARLIEST = select(func.min(t.case.c.next_eval_at))


async def earliest(session: AsyncSession) -> datetime | None:
    """When the next case may be looked at; one index look-up."""
    found: datetime | None = await session.scalar(_EARLIEST)
    return found


def customer_of(row: Any) -> Customer:
    state = CustomerState.model_validate(row.snapshot) if row.snapshot else None
    window = Window.model_validate(row.send_window) if row.send_window else None
    return Customer(row.id, row.seller_id, state, window)


def _case(row: Any) -> Case:
    values = _without(row, "invoice", "invoice_id", "invoice_version", "number", "updated_at")
    return Case(invoice=InvoiceState.model_validate(row.invoice), **values)


def _contact(row: Any) -> ContactRow:
    _, delivery_id, touch_id, at, stage, *rest = row
    return ContactRow(delivery_id, touch_id, at, Stage(stage), *rest)


def _without(row: Any, *names: str) -> dict[str, Any]:
    return {name: value for name, value in row._mapping.items() if name not in names}
