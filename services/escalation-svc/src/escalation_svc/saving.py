"""Writing what one transaction changed, a statement per table."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from escalation_svc import tables as t
from escalation_svc.book import Book
from escalation_svc.records import Case, Customer, RungRow


async def save(session: AsyncSession, book: Book, *, now: datetime) -> None:
    """Writes what was changed, a statement per table."""
    if changed := [_customer_values(c) for c in book.customers.values() if c.changed]:
        await session.execute(_UPDATE_CUSTOMER, changed)
    cases = [book.cases[invoice] for invoice in sorted(book.touched)]
    if new := [_case_values(case, now) for case in cases if case.is_new]:
        await session.execute(_NEW_CASE, new)
    if old := [{"case_id": case.id, **_case_values(case, now)} for case in cases if not case.is_new]:
        await session.execute(_UPDATE_CASE, old)
    if book.new_contacts:
        rows = [{"case_id": case, **_slots(row)} for (case, _), row in sorted(book.new_contacts.items())]
        await session.execute(_PUT_CONTACT, rows)
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


_NEW_CASE, _NEW_RUNG, _NEW_TASK = insert(t.case), insert(t.rung), insert(t.task)
_UPDATE_CUSTOMER = (
    update(t.customer)
    .where(t.customer.c.id == bindparam("customer_id"))
    .values(
        snapshot=bindparam("snapshot", type_=t.customer.c.snapshot.type),
        version=bindparam("version"),
        send_window=bindparam("send_window", type_=t.customer.c.send_window.type),
    )
)
_CASE_COLUMNS = (
    "invoice",
    "invoice_version",
    "number",
    "status",
    "outcome",
    "escalated",
    "ladder_key",
    "ladder_version",
    "next_eval_at",
    "replan",
    "updated_at",
)
_UPDATE_CASE = (
    update(t.case)
    .where(t.case.c.id == bindparam("case_id"))
    .values({name: bindparam(name, type_=t.case.c[name].type) for name in _CASE_COLUMNS})
)
_CHANGE_RUNG = (
    update(t.rung)
    .where(
        t.rung.c.case_id == bindparam("of_case"),
        t.rung.c.key == bindparam("of_key"),
        t.rung.c.attempt == bindparam("of_attempt"),
    )
    .values(withdrawn_at=bindparam("withdrawn"), refused_rule=bindparam("refused"))
)
_new_contact = insert(t.contact)
_PUT_CONTACT = _new_contact.on_conflict_do_update(
    index_elements=[t.contact.c.case_id, t.contact.c.delivery_id],
    set_={
        name: _new_contact.excluded[name] for name in ("at", "status", "channel", "digest", "provider", "provider_id")
    },
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
        "customer_id": customer.id,
        "snapshot": state.model_dump(mode="json") if state else None,
        "version": state.version if state else 0,
        "send_window": window.model_dump(mode="json") if window else None,
    }


def _case_values(case: Case, now: datetime) -> dict[str, Any]:
    values: dict[str, Any] = {
        "invoice": case.invoice.model_dump(mode="json"),
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
