"""`/v1/replies`: what debtors answered, as they wrote it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Query
from pydantic import AwareDatetime, BaseModel
from sqlalchemy import Select, select

from notifier_svc import tables as t
from notifier_svc.api.views import ID
from notifier_svc.api.wiring import Reader, example
from remit_events.state import Channel
from remit_service.api import Listing, PageDep, Router, SessionDep, paginate, problem_responses
from remit_service.bulk import as_uuid
from remit_service.problems import not_found

router = Router(prefix="/v1/replies", tags=["replies"])

Intent = Literal["stop", "start", "other"]


class ReplyOut(BaseModel):
    """A debtor's message. Without a customer it came from a number no customer has."""

    model_config = example(
        id=ID,
        customer_id=ID,
        customer_external_id="C-17",
        customer_name="Muster & Söhne",
        channel="sms",
        sender="+4917612345678",
        text="I paid yesterday.",
        intent="other",
        provider_id="SM5d41…",
        received_at="2026-03-02T10:00:00Z",
    )

    id: UUID
    customer_id: UUID | None
    customer_external_id: str | None
    customer_name: str | None
    channel: Channel
    sender: str
    text: str
    intent: Intent
    provider_id: str
    received_at: datetime


def _replies(seller_id: UUID) -> Select[Any]:
    r, customer = t.reply.c, t.customer.c
    return (
        select(
            t.reply,
            customer.snapshot["external_id"].astext.label("customer_external_id"),
            customer.snapshot["name"].astext.label("customer_name"),
        )
        .outerjoin(t.customer, customer.id == r.customer_id)
        .where(r.seller_id == seller_id)
    )


@router.get("", summary="List what debtors replied", responses=problem_responses(401, 403, 422))
async def list_replies(
    session: SessionDep,
    caller: Reader,
    page: PageDep,
    customer: Annotated[str | None, Query(max_length=200, description="The customer's id or external id.")] = None,
    intent: Annotated[Intent | None, Query(description="`other` is what a person must read.")] = None,
    updated_since: Annotated[AwareDatetime | None, Query()] = None,
    newest_first: Annotated[bool, Query()] = False,
) -> Listing[ReplyOut]:
    """In the order they came, or the other way round."""
    chosen = _replies(caller.seller_id)
    if customer is not None:
        known = as_uuid(customer)
        named = t.customer.c.snapshot["external_id"].astext == customer
        chosen = chosen.where(t.reply.c.customer_id == known if known else named)
    if intent is not None:
        chosen = chosen.where(t.reply.c.intent == intent)
    if updated_since is not None:
        chosen = chosen.where(t.reply.c.received_at >= updated_since)
    rows, next_cursor = await paginate(session, chosen, page, t.reply.c.id, descending=newest_first)
    return Listing(data=[_out(row) for row in rows], next_cursor=next_cursor)


@router.get("/{reply_id}", summary="Show a debtor's reply", responses=problem_responses(401, 403, 404))
async def get_reply(reply_id: UUID, session: SessionDep, caller: Reader) -> ReplyOut:
    row = (await session.execute(_replies(caller.seller_id).where(t.reply.c.id == reply_id))).one_or_none()
    if row is None:
        raise not_found("reply", reply_id)
    return _out(row)


def _out(row: Any) -> ReplyOut:
    return ReplyOut.model_validate(row, from_attributes=True)
