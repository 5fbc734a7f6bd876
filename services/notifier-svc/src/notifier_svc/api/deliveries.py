"""`/v1/deliveries`: what was sent to whom, what waits, what failed, and what nobody knows."""

from __future__ import annotations

from base64 import b64encode
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Query, Response
from pydantic import AwareDatetime, BaseModel
from sqlalchemy import Select, Uuid, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.sql.expression import cast

from notifier_svc import ledger
from notifier_svc import tables as t
from notifier_svc.api.inputs import Name, Remark
from notifier_svc.api.views import DeliveryOut, deliveries
from notifier_svc.api.wiring import Reader, WiringDep, Writer, example
from remit_events.outbox import emit
from remit_events.session import Session
from remit_events.state import Channel, Stage
from remit_service.api import Body, Listing, Now, PageDep, Router, SessionDep, paginate, problem_responses
from remit_service.problems import Problem, conflict, not_found

router = Router(prefix="/v1/deliveries", tags=["deliveries"])

Status = Literal["pending", "sending", "sent", "failed", "unknown", "cancelled"]


class Content(BaseModel):
    """What was said. `letter_base64` is the PDF as it went to the printer."""

    model_config = example(
        language="en",
        subject="Reminder: invoice R-1042 over €119.00 is 10 days overdue",
        text="Dear Muster & Söhne,\n…",
        html="<!doctype html>…",
        sms=None,
        letter_base64=None,
        digest="9f2c…",
    )

    language: str
    subject: str
    text: str
    html: str
    sms: str | None
    letter_base64: str | None
    digest: str


class Resolution(Body):
    """What a person found out about a message whose outcome is unknown, and who they are."""

    model_config = example(outcome="sent", by="Mara Lind", note="The customer confirmed on the phone that it came.")

    outcome: Literal["sent", "not_sent"]
    by: Name
    note: Remark


@router.get("", summary="List deliveries", responses=problem_responses(401, 403, 422))
async def list_deliveries(
    session: SessionDep,
    caller: Reader,
    page: PageDep,
    status: Annotated[Status | None, Query()] = None,
    customer: Annotated[str | None, Query(max_length=200, description="The customer's id or external id.")] = None,
    invoice: Annotated[str | None, Query(max_length=200, description="The invoice's id or number.")] = None,
    channel: Annotated[Channel | None, Query()] = None,
    stage: Annotated[Stage | None, Query()] = None,
    touch: Annotated[UUID | None, Query()] = None,
    updated_since: Annotated[AwareDatetime | None, Query()] = None,
    newest_first: Annotated[bool, Query()] = False,
) -> Listing[DeliveryOut]:
    """In the order they were decided, or the other way round."""
    d = t.delivery.c
    chosen = deliveries().where(d.seller_id == caller.seller_id)
    equal = [(d.status, status), (d.channel, channel), (t.touch.c.stage, stage), (d.touch_id, touch)]
    for column, wanted in equal:
        if wanted is not None:
            chosen = chosen.where(column == wanted)
    if updated_since is not None:
        chosen = chosen.where(d.updated_at >= updated_since)
    chosen = _about(chosen, customer, invoice)
    rows, next_cursor = await paginate(session, chosen, page, d.id, descending=newest_first)
    return Listing(data=[DeliveryOut.of(row) for row in rows], next_cursor=next_cursor)


def _about(chosen: Select[Any], customer: str | None, invoice: str | None) -> Select[Any]:
    if customer is not None:
        known = _uuid(customer)
        named = t.customer.c.snapshot["external_id"].astext == customer
        chosen = chosen.where(t.delivery.c.customer_id == known if known else named)
    if invoice is not None:
        known = _uuid(invoice)
        if known:
            chosen = chosen.where(t.touch.c.invoice_ids.contains(cast([known], ARRAY(Uuid))))
        else:
            chosen = chosen.where(t.touch.c.body.contains({"items": [{"invoice": {"number": invoice}}]}))
    return chosen


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


@router.get("/{delivery_id}", summary="Show a delivery", responses=problem_responses(401, 403, 404))
async def get_delivery(delivery_id: UUID, session: SessionDep, caller: Reader) -> DeliveryOut:
    return await _one(session, caller.seller_id, delivery_id)


@router.get("/{delivery_id}/content", summary="Show a message as it left", responses=problem_responses(401, 403, 404))
async def get_content(delivery_id: UUID, session: SessionDep, caller: Reader) -> Content:
    """The rendered message, kept as it left; 404 until it was rendered for sending."""
    row = await _content(session, caller.seller_id, delivery_id)
    letter = b64encode(row.letter).decode() if row.letter else None
    fields = {name: value for name, value in row._mapping.items() if name in Content.model_fields}
    return Content(**fields, letter_base64=letter)


@router.get(
    "/{delivery_id}/letter",
    summary="Download a letter as PDF",
    responses={200: {"content": {"application/pdf": {}}}, **problem_responses(401, 403, 404)},
    response_class=Response,
)
async def get_letter(delivery_id: UUID, session: SessionDep, caller: Reader) -> Response:
    """The letter as PDF."""
    row = await _content(session, caller.seller_id, delivery_id)
    if not row.letter:
        raise not_found("letter of delivery", delivery_id)
    return Response(bytes(row.letter), media_type="application/pdf")


@router.post(
    "/{delivery_id}/resolve",
    summary="Settle a delivery of unknown outcome",
    responses=problem_responses(401, 403, 404, 409, 422),
)
async def resolve(
    delivery_id: UUID, body: Resolution, session: SessionDep, caller: Writer, wiring: WiringDep, now: Now
) -> DeliveryOut:
    """Ends an unknown outcome by what a person found out; `not_sent` counts as a certain failure."""
    await _one(session, caller.seller_id, delivery_id)
    [stored] = await ledger.locked(session, [delivery_id])
    if stored.status != "unknown":
        detail = f"This delivery is {stored.status}. Only one whose outcome is unknown can be resolved by a person."
        raise conflict("not-unknown", detail, "Not unknown")
    note = f"{body.by}: {body.note}"
    if body.outcome == "sent":
        told = await ledger.sent(session, stored, stored.sending_at or now, now, note=note)
    else:
        told = await ledger.failed(session, stored, "not-sent", "a person found that it was not sent", now, note=note)
    await emit(session, told, now=now)
    session.after_commit.append(wiring.nudge)
    return await _one(session, caller.seller_id, delivery_id)


async def _one(session: Session, seller_id: UUID, delivery_id: UUID) -> DeliveryOut:
    mine = deliveries().where(t.delivery.c.seller_id == seller_id, t.delivery.c.id == delivery_id)
    row = (await session.execute(mine)).one_or_none()
    if row is None:
        raise not_found("delivery", delivery_id)
    return DeliveryOut.of(row)


async def _content(session: Session, seller_id: UUID, delivery_id: UUID) -> Any:
    d, c = t.delivery.c, t.content.c
    statement = (
        select(d.id, c.language, c.subject, c.text, c.html, c.sms, c.letter, c.digest)
        .select_from(t.delivery.outerjoin(t.content, (c.touch_id == d.touch_id) & (c.digest == d.digest)))
        .where(d.seller_id == seller_id, d.id == delivery_id)
    )
    row = (await session.execute(statement)).one_or_none()
    if row is None:
        raise not_found("delivery", delivery_id)
    if row.digest is None:
        detail = "It has not been rendered yet; `POST /v1/templates/preview` shows what a planned message will say."
        raise Problem("not-rendered", 404, "Not rendered yet", detail)
    return row
