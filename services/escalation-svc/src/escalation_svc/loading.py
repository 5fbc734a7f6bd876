"""Reading what a transaction works on: customers locked in id order, then everything else in one statement.

The second statement's snapshot is younger than the locks, so what it reads cannot change until the commit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text

from escalation_svc import tables as t
from escalation_svc.book import Book
from escalation_svc.records import ApprovalRow, Case, ContactRow, Customer, RungRow
from remit_events.schedule import Window
from remit_events.session import Session
from remit_events.state import CustomerState, InvoiceState, Stage
from remit_service.bulk import insert_rows

_READ = text("SELECT * FROM customer WHERE id = ANY(CAST(:ids AS uuid[]))")
_LOCK = text("SELECT * FROM customer WHERE id = ANY(CAST(:ids AS uuid[])) ORDER BY id FOR UPDATE")

# One round trip for all that a verdict needs; most batches are small, and the trips are what they cost.
_LOAD = text("""
WITH found AS MATERIALIZED (
    SELECT * FROM escalation_case
    WHERE invoice_id = ANY(CAST(:invoices AS uuid[]))
       OR (customer_id = ANY(CAST(:customers AS uuid[])) AND status <> 'closed')
)
SELECT 'case' AS kind, to_jsonb(found) AS row FROM found
UNION ALL
SELECT 'contact', to_jsonb(c) FROM contact c JOIN found ON found.id = c.case_id
UNION ALL
SELECT 'rung', to_jsonb(r) FROM rung r JOIN found ON found.id = r.case_id WHERE found.escalated
UNION ALL
SELECT 'approval', to_jsonb(a) FROM approval a JOIN found ON found.id = a.case_id WHERE found.escalated
UNION ALL
SELECT 'ladder', jsonb_build_array(seller_id, key, version, NULL) FROM ladder_version
WHERE seller_id = ANY(CAST(:sellers AS uuid[]))
UNION ALL
SELECT 'ladder', jsonb_build_array(seller_id, key, NULL, profile) FROM ladder_assignment
WHERE seller_id = ANY(CAST(:sellers AS uuid[]))
""")
_EARLIEST = text("SELECT min(next_eval_at) FROM escalation_case")


async def lock_customers(session: Session, wanted: Mapping[UUID, UUID]) -> dict[UUID, Customer]:
    """Locks the customers (id → seller) in id order, making rows for those not heard of yet."""
    ids = sorted(wanted)
    rows = await session.fetch(_LOCK, {"ids": ids})
    if len(rows) < len(ids):
        known = {row.id for row in rows}
        fresh = [{"id": i, "seller_id": wanted[i], "version": 0} for i in ids if i not in known]
        await insert_rows(session, t.customer, fresh, on_conflict="DO NOTHING")
        rows = await session.fetch(_LOCK, {"ids": ids})
    return {row.id: customer_of(row) for row in rows}


async def load(
    session: Session, customers: dict[UUID, Customer], invoices: Iterable[UUID], whole: Sequence[UUID] = ()
) -> Book:
    """The cases of `invoices`, and all that are not closed of the customers in `whole`; their sellers' ladders."""
    sellers = {customer.seller_id for customer in customers.values()}
    given = {"invoices": list(invoices), "customers": list(whole), "sellers": list(sellers)}
    rows: dict[str, list[Any]] = {"case": [], "contact": [], "rung": [], "approval": [], "ladder": []}
    for kind, row in (await session.execute(_LOAD, given)).all():
        rows[kind].append(row)
    book = Book(customers)
    cases = {row["id"]: _case(row) for row in rows["case"]}
    book.cases = {case.invoice.id: case for case in sorted(cases.values(), key=lambda case: case.id)}
    for row in sorted(rows["contact"], key=lambda row: (row["at"], row["delivery_id"])):
        contact = _contact(row)
        cases[row["case_id"]].contacts[contact.delivery_id] = contact
    for row in sorted(rows["rung"], key=lambda row: (row["triggered_at"], row["attempt"])):
        cases[row["case_id"]].rungs.append(_rung(row))
    for row in sorted(rows["approval"], key=lambda row: str(row["id"])):
        cases[row["case_id"]].approvals.append(_approval(row))
    book.ladders = [(UUID(seller), key, version, profile) for seller, key, version, profile in rows["ladder"]]
    return book


async def read(session: Session, rows: Sequence[Any]) -> Book:
    """The working set of case rows (invoice_id, customer_id), without locks: for answers, not for decisions."""
    found = (await session.execute(_READ, {"ids": list({row.customer_id for row in rows})})).all()
    return await load(session, {row.id: customer_of(row) for row in found}, [row.invoice_id for row in rows])


async def earliest(session: Session) -> datetime | None:
    """When the next case may be looked at; one index look-up."""
    found: datetime | None = await session.scalar(_EARLIEST)
    return found


def customer_of(row: Any) -> Customer:
    state = CustomerState.model_validate(row.snapshot) if row.snapshot else None
    window = Window.model_validate(row.send_window) if row.send_window else None
    return Customer(row.id, row.seller_id, state, window)


def _case(row: dict[str, Any]) -> Case:
    return Case(
        id=UUID(row["id"]),
        seller_id=UUID(row["seller_id"]),
        customer_id=UUID(row["customer_id"]),
        invoice=InvoiceState.model_validate(row["invoice"]),
        opened_at=datetime.fromisoformat(row["opened_at"]),
        status=row["status"],
        outcome=row["outcome"],
        escalated=row["escalated"],
        ladder_key=row["ladder_key"],
        ladder_version=row["ladder_version"],
        next_eval_at=_maybe(datetime.fromisoformat, row["next_eval_at"]),
        replan=row["replan"],
    )


def _contact(row: dict[str, Any]) -> ContactRow:
    return ContactRow(
        delivery_id=UUID(row["delivery_id"]),
        touch_id=UUID(row["touch_id"]),
        at=datetime.fromisoformat(row["at"]),
        stage=Stage(row["stage"]),
        step=row["step"],
        status=row["status"],
        channel=row["channel"],
        digest=row["digest"],
        provider=row["provider"],
        provider_id=row["provider_id"],
    )


def _rung(row: dict[str, Any]) -> RungRow:
    changed = {
        "triggered_at": datetime.fromisoformat(row["triggered_at"]),
        "triggered_on": date.fromisoformat(row["triggered_on"]),
        "demand_deadline": _maybe(date.fromisoformat, row["demand_deadline"]),
        "withdrawn_at": _maybe(datetime.fromisoformat, row["withdrawn_at"]),
    }
    return RungRow(**{name: value for name, value in row.items() if name != "case_id"} | changed)


def _approval(row: dict[str, Any]) -> ApprovalRow:
    return ApprovalRow(
        id=UUID(row["id"]),
        rung=row["rung"],
        action=row["action"],
        status=row["status"],
        evidence=row["evidence"],
        evidence_sha256=row["evidence_sha256"],
        requested_at=datetime.fromisoformat(row["requested_at"]),
        decided_at=_maybe(datetime.fromisoformat, row["decided_at"]),
        decided_by=row["decided_by"],
        reason=row["reason"],
    )


def _maybe(parse: Callable[[str], Any], value: str | None) -> Any:
    return None if value is None else parse(value)
