"""`/v1/approvals`: what waits for a person, what would be sent, and the decision."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Query
from sqlalchemy import Select, func, select

from escalation_svc import tables as t
from escalation_svc.api.inputs import Digest, Name, Reason
from escalation_svc.api.preview import Preview, preview_of, render
from escalation_svc.api.views import SHA, ApprovalOut, ReasonOut, about_of, approval_of, example
from escalation_svc.api.wiring import CustomerQuery, InvoiceQuery, Reader, SinceQuery, WiringDep, Writer, about
from escalation_svc.approvals import Request, approve, objections, open_request, reject, request_of
from escalation_svc.ladders import shelf
from escalation_svc.loading import read
from remit_events.session import Session
from remit_service.api import Body, Listing, Now, PageDep, Router, SessionDep, paginate, problem_responses
from remit_service.problems import not_found

router = Router(prefix="/v1/approvals", tags=["approvals"])

Status = Literal["pending", "approved", "rejected", "expired", "reopened"]


class Approve(Body):
    """`evidence_sha256`: approve only if the facts are still those of the preview."""

    model_config = example(by="Mara Lind", reason="called twice, no answer", evidence_sha256=SHA)

    by: Name
    reason: Reason | None = None
    evidence_sha256: Digest | None = None


class Reject(Body):
    """A refusal says why; the rung is not taken until a person re-opens the case."""

    model_config = example(by="Mara Lind", reason="the customer changed banks, money is on its way")

    by: Name
    reason: Reason


@router.get("", summary="List approvals", responses=problem_responses(401, 403, 422))
async def list_approvals(
    session: SessionDep,
    caller: Reader,
    wiring: WiringDep,
    page: PageDep,
    now: Now,
    status: Annotated[Status | None, Query(description="Only those; `pending` is what waits.")] = None,
    customer: CustomerQuery = None,
    invoice: InvoiceQuery = None,
    updated_since: SinceQuery = None,
) -> Listing[ApprovalOut]:
    """Approvals, oldest first."""
    chosen: Select[Any] = select(t.approval.c.id, t.approval.c.case_id)
    chosen = chosen.join(t.case, t.case.c.id == t.approval.c.case_id)
    chosen = chosen.join(t.customer, t.customer.c.id == t.case.c.customer_id)
    chosen = about(chosen.where(t.approval.c.seller_id == caller.seller_id), customer, invoice)
    if status is not None:
        chosen = chosen.where(t.approval.c.status == status)
    if updated_since is not None:
        changed_at = func.coalesce(t.approval.c.decided_at, t.approval.c.requested_at)
        chosen = chosen.where(changed_at >= updated_since)
    rows, next_cursor = await paginate(session, chosen, page, t.approval.c.id)
    requests = await _requests(session, wiring.default_ladder, {r.id: r.case_id for r in rows}, now)
    return Listing(data=[approval_out(request) for request in requests], next_cursor=next_cursor)


@router.get("/{approval_id}", summary="Show an approval", responses=problem_responses(401, 403, 404))
async def get_approval(
    approval_id: UUID, session: SessionDep, caller: Reader, wiring: WiringDep, now: Now
) -> ApprovalOut:
    return approval_out(await _one(session, caller.seller_id, approval_id, wiring.default_ladder, now))


@router.get(
    "/{approval_id}/preview", summary="Preview what approving would send", responses=problem_responses(401, 403, 404)
)
async def preview(approval_id: UUID, session: SessionDep, caller: Reader, wiring: WiringDep, now: Now) -> Preview:
    """What approving would send and the evidence it rests on; `rendered` is null while notifier-svc does not answer."""
    request = await _one(session, caller.seller_id, approval_id, wiring.default_ladder, now)
    found = preview_of(request, approval_out(request), now)
    # Nothing is read any more: the connection goes back before another service is asked.
    await session.rollback()
    return await render(found, wiring.notifier, caller.seller_id)


@router.post("/{approval_id}/approve", summary="Approve a rung", responses=problem_responses(401, 403, 404, 409, 422))
async def approve_it(
    approval_id: UUID, body: Approve, session: SessionDep, caller: Writer, wiring: WiringDep, now: Now
) -> ApprovalOut:
    """Takes the rung, unless its conditions hold no longer: then 409 says what changed and nothing happens."""
    request = await open_request(session, caller.seller_id, approval_id, wiring.default_ladder, now)
    how: dict[str, Any] = {"by": body.by, "reason": body.reason, "expected_sha256": body.evidence_sha256}
    await approve(session, request, wiring.rules, now=now, **how)
    session.after_commit.append(wiring.watch.changed)
    return approval_out(request)


@router.post("/{approval_id}/reject", summary="Reject a rung", responses=problem_responses(401, 403, 404, 409, 422))
async def reject_it(
    approval_id: UUID, body: Reject, session: SessionDep, caller: Writer, wiring: WiringDep, now: Now
) -> ApprovalOut:
    """Refuses the rung. It stays refused, whatever happens, until the case is re-opened."""
    request = await open_request(session, caller.seller_id, approval_id, wiring.default_ladder, now)
    await reject(session, request, wiring.rules, by=body.by, reason=body.reason, now=now)
    session.after_commit.append(wiring.watch.changed)
    return approval_out(request)


async def _one(session: Session, seller: UUID, approval_id: UUID, default_ladder: str, now: Now) -> Request:
    wanted = t.approval.c.seller_id == seller, t.approval.c.id == approval_id
    case_id = await session.scalar(select(t.approval.c.case_id).where(*wanted))
    if case_id is None:
        raise not_found("approval", approval_id)
    return (await _requests(session, default_ladder, {approval_id: case_id}, now))[0]


async def _requests(session: Session, default_ladder: str, approvals: dict[UUID, UUID], now: Now) -> list[Request]:
    """Approvals (id → case) as they would be decided now; nothing is locked."""
    rows = (await session.execute(select(t.case).where(t.case.c.id.in_(set(approvals.values()))))).all()
    book = await read(session, rows)
    ladders = await shelf(session, book, default_ladder)
    cases = {case.id: case for case in book.cases.values()}
    return [
        request_of(book, ladders, cases[case_id], approval_of(cases[case_id], approval_id), now)
        for approval_id, case_id in approvals.items()
    ]


def approval_out(request: Request) -> ApprovalOut:
    row, looked = request.row, request.looked
    pending = row.status == "pending"
    against = objections(request) if pending else ()
    return ApprovalOut(
        **about_of(request.book, request.case),
        id=row.id,
        status=row.status,
        rung=row.rung,
        action=row.action,
        days_overdue=looked.verdict.days_overdue if looked else None,
        reminders_sent=looked.verdict.reminders if looked else 0,
        requested_at=row.requested_at,
        decided_at=row.decided_at,
        decided_by=row.decided_by,
        reason=row.reason,
        may_approve=pending and not against,
        reasons=[ReasonOut.of(reason) for reason in against],
        evidence_sha256=request.evidence_sha256,
        changed=request.evidence_sha256 != row.evidence_sha256,
    )
