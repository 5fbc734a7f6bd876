"""`/v1/automation`: the kill switch of a seller. Off, nothing is decided to be sent; notifier-svc asks again here."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import Query, Request, Response
from pydantic import BaseModel

from remit_events.session import Session
from remit_service.api import Body, Caller, Now, Router, SessionDep, check_if_match, etag, problem_responses, require
from remit_service.bulk import execute, fetch
from remit_service.problems import invalid
from remit_service.validation import Text
from scheduler_svc.api.wiring import WiringDep, example

router = Router(prefix="/v1/automation", tags=["automation"])

_READ = 'SELECT "on", reason, changed_by, changed_at, version FROM automation WHERE seller_id = :seller'
_WRITE = """
INSERT INTO automation (seller_id, "on", reason, changed_by, changed_at, version)
VALUES (:seller, :on, :reason, :by, :now, 1)
ON CONFLICT (seller_id) DO UPDATE SET "on" = excluded."on", reason = excluded.reason,
    changed_by = excluded.changed_by, changed_at = excluded.changed_at, version = automation.version + 1
"""
_LOOK_AT_ALL = """
UPDATE customer SET next_at = :now WHERE id IN (
    SELECT c.id FROM customer c WHERE c.seller_id = :seller AND c.snapshot IS NOT NULL
    AND EXISTS (SELECT FROM follow_up f WHERE f.customer_id = c.id AND NOT f.closed)
    ORDER BY c.id FOR UPDATE
)
"""


class Automation(BaseModel):
    """Whether messages are sent by themselves; `changed_at` null: it was never switched."""

    model_config = example(on=True, reason=None, changed_by="remit", changed_at="2026-03-02T08:00:00Z")

    on: bool
    reason: str | None
    changed_by: str | None
    changed_at: datetime | None


class Switch(Body):
    model_config = example(on=False, reason="Wrong amounts in the last import.")

    on: bool
    reason: Text(500) | None = None  # type: ignore[valid-type]


@router.get("", summary="Show the kill switch", responses=problem_responses(401, 403, 422))
async def get_automation(
    session: SessionDep,
    caller: Annotated[Caller, require("automation:read", or_internal=True)],
    response: Response,
    seller_id: Annotated[UUID | None, Query(description="For other services: whose switch.")] = None,
) -> Automation:
    seller = seller_id if caller.internal and seller_id else caller.seller_id
    if caller.internal and not seller.int:
        raise invalid("seller_id", "missing", "Name the seller whose switch is asked for.")
    found, version = await _read(session, seller)
    response.headers["ETag"] = etag(version)
    return found


@router.put("", summary="Turn all sending off or on", responses=problem_responses(401, 403, 412, 422))
async def put_automation(
    body: Switch,
    session: SessionDep,
    caller: Annotated[Caller, require("automation:write")],
    wiring: WiringDep,
    request: Request,
    response: Response,
    now: Now,
) -> Automation:
    """Off takes effect at once, for messages decided already too; on again, what was missed is caught up with."""
    _, version = await _read(session, caller.seller_id)
    check_if_match(request, version, required=False)
    await execute(session, _WRITE, seller=caller.seller_id, on=body.on, reason=body.reason, by=caller.name, now=now)
    if body.on:
        await execute(session, _LOOK_AT_ALL, seller=caller.seller_id, now=now)
    session.after_commit.append(wiring.changed)
    found, version = await _read(session, caller.seller_id)
    response.headers["ETag"] = etag(version)
    return found


async def _read(session: Session, seller: UUID) -> tuple[Automation, int]:
    rows = await fetch(session, _READ, seller=seller)
    if not rows:
        return Automation(on=True, reason=None, changed_by=None, changed_at=None), 0
    (row,) = rows
    found = Automation(on=row.on, reason=row.reason, changed_by=row.changed_by, changed_at=row.changed_at)
    return found, row.version
