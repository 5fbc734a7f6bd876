"""Writing what one transaction changed, a statement per table."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, update
from sqlalchemy.dialects.postgresql import insert

from escalation_svc import tables as t
from escalation_svc.book import Book
from escalation_svc.records import Case, Customer, RungRow
from remit_events.session import Session
from remit_service.bulk import insert_rows, update_rows


async def save(session: Session, book: Book, *, now: datetime) -> None:
    """Writes what was changed, a statement per table."""
    await update_rows(session, t.customer, [_customer_values(c) for c in book.customers.values() if c.changed])
    cases = [book.cases[invoice] for invoice in sorted(book.touched)]
    await insert_rows(session, t.case, [_case_values(case, now) for case in cases if case.is_new])
    old = [{"id": case.id, **_case_values(case, now)} for case in cases if not case.is_new]
    await update_rows(session, t.case, old)
    contacts = [{"case_id": case, **_slots(row)} for (case, _), row in sorted(book.new_contacts.items())]
    await insert_rows(session, t.contact, contacts, on_conflict=_AGAIN)
    if book.new_rungs:
        await session.execute(_NEW_RUNG, [{"case_id": case.id, **_slots(row)} for case, row in book.new_rungs])
    if book.changed_rungs:
        await session.execute(_CHANGE_RUNG, [_named(case, row) for case, row in book.changed_rungs])
    if book.changed_approvals:
        rows = [
            {"case_id": c.id, "seller_id": c.seller_id, "customer_id": c.customer_id, **_slots(row)}
            for c, row in book.changed_approvals.values()
        ]
        await session.execute(_PUT_APPROVAL, rows)
    if book.new_tasks:
        await session.execute(_NEW_TASK, book.new_tasks)
    for (case_id, kind), why in book.closed_tasks.items():
        closing = _CLOSE_TASKS if kind is None else _CLOSE_TASKS.where(t.task.c.kind == kind)
        await session.execute(closing, {"of_case": case_id, "now": now, "why": why})


_NEW_RUNG, _NEW_TASK = insert(t.rung), insert(t.task)
_CHANGE_RUNG = (
    update(t.rung)
    .where(
        t.rung.c.case_id == bindparam("of_case"),
        t.rung.c.key == bindparam("of_key"),
        t.rung.c.attempt == bindparam("of_attempt"),
    )
    .values(withdrawn_at=bindparam("withdrawn"), refused_rule=bindparam("refused"))
)
# A delivery told again, by then with another status.
_AGAIN = "(case_id, delivery_id) DO UPDATE SET " + ", ".join(
    f"{name} = excluded.{name}" for name in ("at", "status", "channel", "digest", "provider", "provider_id")
)
_new_approval = insert(t.approval)
_PUT_APPROVAL = _new_approval.on_conflict_do_update(
    index_elements=[t.approval.c.id],
    set_={name: _new_approval.excluded[name] for name in ("status", "decided_at", "decided_by", "reason")},
)
_CLOSE_TASKS = (
    update(t.task)
    .where(t.task.c.case_id == bindparam("of_case"), t.task.c.status == "open")
    .values(status="done", done_at=bindparam("now"), done_by="remit", result=bindparam("why"))
)


def _customer_values(customer: Customer) -> dict[str, Any]:
    state, window = customer.state, customer.window
    return {
        "id": customer.id,
        "snapshot": state.model_dump_json().encode() if state else None,
        "version": state.version if state else 0,
        "send_window": window.model_dump_json().encode() if window else None,
    }


def _case_values(case: Case, now: datetime) -> dict[str, Any]:
    values: dict[str, Any] = {
        "invoice": case.invoice.model_dump_json().encode(),
        "invoice_version": case.invoice.version,
        "number": case.invoice.number,
        "status": case.status,
        "outcome": case.outcome,
        "escalated": case.escalated,
        "ladder_key": case.ladder_key,
        "ladder_version": case.ladder_version,
        "next_eval_at": case.next_eval_at,
        "replan": case.replan,
        "updated_at": now,
    }
    if case.is_new:
        values |= {"id": case.id, "seller_id": case.seller_id, "customer_id": case.customer_id}
        values |= {"invoice_id": case.invoice.id, "opened_at": case.opened_at}
    return values


def _named(case: Case, row: RungRow) -> dict[str, Any]:
    names = {"of_case": case.id, "of_key": row.key, "of_attempt": row.attempt}
    return names | {"withdrawn": row.withdrawn_at, "refused": row.refused_rule}


def _slots(row: Any) -> dict[str, Any]:
    return {name: getattr(row, name) for name in row.__slots__}
