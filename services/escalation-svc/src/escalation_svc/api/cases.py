"""`/v1/cases`: where every invoice stands on its ladder, and why it goes no further."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Query
from sqlalchemy import ColumnElement, select

from escalation_svc import tables as t
from escalation_svc.api.inputs import Name, Reason
from escalation_svc.api.views import CaseOut, MessageOut, case_values, example
from escalation_svc.api.wiring import CustomerQuery, InvoiceQuery, Reader, SinceQuery, WiringDep, Writer, about
from escalation_svc.approvals import finish
from escalation_svc.demands import reopen
from escalation_svc.ladders import shelf
from escalation_svc.loading import load, lock_customers, read
from remit_events.session import Session
from remit_service.api import Body, Listing, Now, PageDep, Router, SessionDep, paginate, problem_responses
from remit_service.problems import conflict, not_found

router = Router(prefix="/v1/cases", tags=["cases"])


class CaseDetail(CaseOut):
    """A case with every message that named its invoice and the evidence of each rung taken."""

    messages: list[MessageOut]
    evidence: dict[str, dict[str, Any]]


class Reopen(Body):
    """Why the rung may be taken again after all."""

    model_config = example(by="Mara Lind", reason="the promised payment did not come")

    by: Name
    reason: Reason


@router.get("", summary="List escalation cases", responses=problem_responses(401, 403, 422))
async def list_cases(
    session: SessionDep,
    caller: Reader,
    wiring: WiringDep,
    page: PageDep,
    now: Now,
    status: Annotated[Literal["open", "frozen", "closed"] | None, Query()] = None,
    customer: CustomerQuery = None,
    invoice: InvoiceQuery = None,
    escalated: Annotated[bool | None, Query(description="Whether a rung was taken or asked for.")] = None,
    updated_since: SinceQuery = None,
) -> Listing[CaseOut]:
    """Cases in the order they were opened; every issued invoice has one."""
    chosen = select(t.case).join(t.customer, t.customer.c.id == t.case.c.customer_id)
    chosen = about(chosen.where(t.case.c.seller_id == caller.seller_id), customer, invoice)
    if status is not None:
        chosen = chosen.where(t.case.c.status == status)
    if escalated is not None:
        chosen = chosen.where(t.case.c.escalated.is_(escalated))
    if updated_since is not None:
        chosen = chosen.where(t.case.c.updated_at >= updated_since)
    rows, next_cursor = await paginate(session, chosen, page, t.case.c.id)
    book = await read(session, rows)
    ladders = await shelf(session, book, wiring.default_ladder)
    data = [CaseOut(**case_values(book, ladders, case, now)) for case in book.cases.values()]
    return Listing(data=data, next_cursor=next_cursor)


@router.get("/{case_id}", summary="Show an escalation case", responses=problem_responses(401, 403, 404))
async def get_case(case_id: UUID, session: SessionDep, caller: Reader, wiring: WiringDep, now: Now) -> CaseDetail:
    row = (await session.execute(select(t.case).where(*_mine(caller.seller_id, case_id)))).one_or_none()
    if row is None:
        raise not_found("case", case_id)
    book = await read(session, [row])
    ladders = await shelf(session, book, wiring.default_ladder)
    case = book.cases[row.invoice_id]
    return CaseDetail(
        **case_values(book, ladders, case, now),
        messages=[MessageOut.of(message) for message in case.contacts.values()],
        evidence={row.evidence_sha256: row.evidence for row in case.rungs},
    )


@router.post(
    "/{case_id}/reopen", summary="Re-open an escalation case", responses=problem_responses(401, 403, 404, 409, 422)
)
async def reopen_case(
    case_id: UUID, body: Reopen, session: SessionDep, caller: Writer, wiring: WiringDep, now: Now
) -> CaseOut:
    """Lets a refused rung be asked for again, and a formal demand that could not be sent be ordered again."""
    customer_id, invoice_id = await _where(session, caller.seller_id, case_id)
    book = await load(session, await lock_customers(session, {customer_id: caller.seller_id}), [invoice_id])
    case = book.cases[invoice_id]
    if case.status == "closed":
        raise conflict(
            "case-closed", f"The case is closed: the invoice is {case.outcome}. There is nothing to re-open."
        )
    if not reopen(book, case, body.by, body.reason, now):
        detail = "No rung of this case was refused and its demand was not either; it goes on by itself."
        raise conflict("nothing-to-reopen", detail)
    ladders = await shelf(session, book, wiring.default_ladder)
    await finish(session, book, ladders, case, wiring.rules, now, [])
    session.after_commit.append(wiring.watch.changed)
    return CaseOut(**case_values(book, ladders, case, now))


async def _where(session: Session, seller: UUID, case_id: UUID) -> tuple[UUID, UUID]:
    found = select(t.case.c.customer_id, t.case.c.invoice_id).where(*_mine(seller, case_id))
    row = (await session.execute(found)).one_or_none()
    if row is None:
        raise not_found("case", case_id)
    return row.customer_id, row.invoice_id


def _mine(seller: UUID, case_id: UUID) -> tuple[ColumnElement[bool], ...]:
    return t.case.c.seller_id == seller, t.case.c.id == case_id
