"""`/v1/tasks`: what rungs, and what customers wrote, ask people to do."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Query
from sqlalchemy import Select, func, select, update

from escalation_svc import tables as t
from escalation_svc.api.inputs import Name, Reason
from escalation_svc.api.views import TaskOut, example
from escalation_svc.api.wiring import CustomerQuery, InvoiceQuery, Reader, SinceQuery, Writer, about
from escalation_svc.loading import lock_customers
from remit_events.escalations import ReplyAnswered
from remit_events.outbox import emit
from remit_events.session import Session
from remit_events.state import CustomerState, InvoiceState
from remit_service.api import Body, Listing, Now, PageDep, Router, SessionDep, paginate, problem_responses
from remit_service.problems import conflict, not_found
from remit_service.sellers import find_seller

router = Router(prefix="/v1/tasks", tags=["tasks"])


class Complete(Body):
    """What came of it."""

    model_config = example(by="Mara Lind", result="reached them; they pay on Friday")

    by: Name
    result: Reason | None = None


def _tasks(seller: UUID) -> Select[Any]:
    chosen = select(t.task, t.case.c.invoice, t.customer.c.snapshot)
    chosen = chosen.outerjoin(t.case, t.case.c.id == t.task.c.case_id)
    chosen = chosen.join(t.customer, t.customer.c.id == t.task.c.customer_id)
    return chosen.where(t.task.c.seller_id == seller)


@router.get("", summary="List tasks for people", responses=problem_responses(401, 403, 422))
async def list_tasks(
    session: SessionDep,
    caller: Reader,
    page: PageDep,
    status: Annotated[Literal["open", "done"] | None, Query()] = None,
    kind: Annotated[
        str | None,
        Query(max_length=40, description="The rung's action, `demand-not-sent`, `invoice-not-sent`, or `reply`."),
    ] = None,
    customer: CustomerQuery = None,
    invoice: InvoiceQuery = None,
    updated_since: SinceQuery = None,
) -> Listing[TaskOut]:
    """Tasks, oldest first."""
    chosen = about(_tasks(caller.seller_id), customer, invoice)
    if status is not None:
        chosen = chosen.where(t.task.c.status == status)
    if kind is not None:
        chosen = chosen.where(t.task.c.kind == kind)
    if updated_since is not None:
        chosen = chosen.where(func.coalesce(t.task.c.done_at, t.task.c.created_at) >= updated_since)
    rows, next_cursor = await paginate(session, chosen, page, t.task.c.id)
    manager = await _account_manager(session, caller.seller_id)
    return Listing(data=[_out(row, manager) for row in rows], next_cursor=next_cursor)


@router.get("/{task_id}", summary="Show a task", responses=problem_responses(401, 403, 404))
async def get_task(task_id: UUID, session: SessionDep, caller: Reader) -> TaskOut:
    return await _one(session, caller.seller_id, task_id)


@router.post("/{task_id}/complete", summary="Complete a task", responses=problem_responses(401, 403, 404, 409, 422))
async def complete_task(task_id: UUID, body: Complete, session: SessionDep, caller: Writer, now: Now) -> TaskOut:
    """Marks a task as done; the ladder goes on by its own conditions, and what a reply had paused goes on now."""
    mine = t.task.c.id == task_id, t.task.c.seller_id == caller.seller_id
    done = update(t.task).where(*mine, t.task.c.status == "open")
    done = done.values(status="done", done_at=now, done_by=body.by, result=body.result)
    changed = await session.scalar(done.returning(t.task.c.id))
    task = await _one(session, caller.seller_id, task_id)
    if changed is None:
        raise conflict("task-done", f"This task was done by {task.done_by} already; nothing was changed.")
    if task.reply_id is not None:
        await lock_customers(session, {task.customer_id: caller.seller_id})
        whose = {"seller_id": caller.seller_id, "customer_id": task.customer_id}
        await emit(session, [ReplyAnswered(**whose, reply_id=task.reply_id, answered_by=body.by)], now=now)
    return task


async def _one(session: Session, seller: UUID, task_id: UUID) -> TaskOut:
    row = (await session.execute(_tasks(seller).where(t.task.c.id == task_id))).one_or_none()
    if row is None:
        raise not_found("task", task_id)
    return _out(row, await _account_manager(session, seller))


async def _account_manager(session: Session, seller: UUID) -> str | None:
    found = await find_seller(session, seller)
    return found.account_manager if found else None


def _out(row: Any, manager: str | None) -> TaskOut:
    invoice = InvoiceState.model_validate(row.invoice) if row.invoice else None
    state = CustomerState.model_validate(row.snapshot) if row.snapshot else None
    return TaskOut(
        case_id=row.case_id,
        customer_id=row.customer_id,
        customer_external_id=state.external_id if state else None,
        customer_name=state.name if state else None,
        invoice_id=invoice.id if invoice else None,
        invoice_number=invoice.number if invoice else None,
        currency=invoice.currency if invoice else None,
        balance_minor=invoice.balance_minor if invoice else None,
        due_date=invoice.due_date if invoice else None,
        id=row.id,
        kind=row.kind,
        rung=row.rung,
        reply_id=row.reply_id,
        note=row.note,
        assignee=manager,
        status=row.status,
        due_on=row.due_on,
        created_at=row.created_at,
        done_at=row.done_at,
        done_by=row.done_by,
        result=row.result,
    )
