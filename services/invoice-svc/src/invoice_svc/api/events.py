"""`/v1/events`: everything that happened, for internal systems; a cursor that never skips, and long poll."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import Query, Request
from pydantic import BaseModel

from invoice_svc import timeline
from invoice_svc.api.views import shown
from invoice_svc.api.wiring import EventReader
from invoice_svc.examples import AT, CUSTOMER_ID, EVENT_ID, INVOICE_ID, INVOICE_STATE, SELLER_ID
from remit_service.api import Router, SessionDep, SharedDep, problem_responses
from remit_service.problems import invalid

router = Router(prefix="/v1/events", tags=["events"])

LONGEST_WAIT = 30
LOOK_EVERY = 0.2

CLOUD_EVENT: dict[str, Any] = {
    "specversion": "1.0",
    "id": EVENT_ID,
    "source": "/invoice-svc",
    "type": "com.remit.invoice.issued.v1",
    "time": AT,
    "subject": INVOICE_ID,
    "partitionkey": CUSTOMER_ID,
    "sequence": "1",
    "datacontenttype": "application/json",
    "dataschema": "urn:remit:schema:com.remit.invoice.issued.v1",
    "data": {"seller_id": SELLER_ID, "customer_id": CUSTOMER_ID, "invoice": INVOICE_STATE},
    "cursor": "4711",
}


class CloudEvent(BaseModel):
    """CloudEvents 1.0 in JSON; `cursor` is its place in the feed."""

    model_config = shown(**CLOUD_EVENT)
    specversion: str
    id: UUID
    source: str
    type: str
    time: datetime
    subject: str
    partitionkey: str
    sequence: str
    datacontenttype: str
    dataschema: str
    data: dict[str, Any]
    cursor: str


class Feed(BaseModel):
    """The next events, and the cursor to ask with next; it is there even when nothing happened."""

    model_config = shown(data=[CLOUD_EVENT], next_cursor="4711")
    data: list[CloudEvent]
    next_cursor: str


@router.get("", summary="Read the feed of all events", responses=problem_responses(401, 403, 422))
async def feed(
    request: Request,
    session: SessionDep,
    caller: EventReader,
    service: SharedDep,
    after: Annotated[str, Query(max_length=20, description="`next_cursor` of the answer before.")] = "0",
    types: Annotated[
        str | None, Query(max_length=2000, description="Event types or class names, parted by commas.")
    ] = None,
    wait: Annotated[float, Query(ge=0, le=LONGEST_WAIT, description="Seconds to wait for something.")] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
) -> Feed:
    """Events of all four services in the order they were recorded, none skipped, each once."""
    position, wanted = _position(after), timeline.types_named(types)
    loop = asyncio.get_running_loop()
    until = loop.time() + wait
    while True:
        entries, position = await timeline.read(session, caller.seller_id, position, wanted, limit)
        left = until - loop.time()
        if entries or left <= 0 or service.health.draining or await request.is_disconnected():
            break
        await session.rollback()  # gives the connection back while waiting
        await asyncio.sleep(min(LOOK_EVERY, left))
    return Feed(data=[CloudEvent(**entry.body()) for entry in entries], next_cursor=str(position))


def _position(after: str) -> int:
    if after.isascii() and after.isdigit() and int(after) < 2**63:
        return int(after)
    raise invalid("after", "cursor", "This is no cursor of this feed; begin with 0.", after)
