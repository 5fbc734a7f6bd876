"""`/v1/suppressions`: closed addresses, and closing and opening them by hand."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from fastapi import Query
from pydantic import AwareDatetime, BaseModel, model_validator
from sqlalchemy import and_, or_, select

from notifier_svc import contacts
from notifier_svc import tables as t
from notifier_svc.api.inputs import Address, Remark, Word
from notifier_svc.api.views import ID
from notifier_svc.api.wiring import Reader, Writer, example
from notifier_svc.contacts import address_of
from notifier_svc.suppressions import Closing, close_addresses, customers_of, open_address
from remit_events.addresses import address_hash
from remit_events.outbox import emit
from remit_events.state import Channel
from remit_service.api import Body, Listing, Now, PageDep, Router, SessionDep, paginate, problem_responses
from remit_service.problems import conflict, invalid, not_found

router = Router(prefix="/v1/suppressions", tags=["suppressions"])


class Suppression(BaseModel):
    """A closed address, by the SHA-256 of it; `kind` courtesy: required notices still go, by letter."""

    model_config = example(id=ID, channel="email", address_sha256="5d41…", kind="full", reason="hard-bounce", note=None)

    id: UUID
    channel: Channel
    address_sha256: str
    kind: Literal["full", "courtesy"]
    reason: str
    note: str | None
    created_at: datetime


class NewSuppression(Body):
    """An address, or the one a customer has on that channel."""

    model_config = example(channel="email", address="ap@muster.example", reason="asked by phone", kind="full")

    channel: Channel
    address: Address | None = None
    customer_id: UUID | None = None
    kind: Literal["full", "courtesy"] = "full"
    reason: Word = "by-hand"
    note: Remark | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.address is None) == (self.customer_id is None):
            raise ValueError("name either an address or a customer_id")
        if self.kind == "courtesy" and self.channel is not Channel.EMAIL:
            raise ValueError("only e-mail can be closed for courtesy messages alone")
        return self


@router.get("", summary="List closed addresses", responses=problem_responses(401, 403, 422))
async def list_suppressions(
    session: SessionDep,
    caller: Reader,
    page: PageDep,
    channel: Annotated[Channel | None, Query()] = None,
    address: Annotated[
        str | None, Query(max_length=500, description="Only this address; without `channel` on any.")
    ] = None,
    updated_since: Annotated[AwareDatetime | None, Query()] = None,
) -> Listing[Suppression]:
    s = t.suppression.c
    chosen = select(t.suppression).where(s.seller_id == caller.seller_id)
    if channel is not None:
        chosen = chosen.where(s.channel == channel)
    if address is not None:
        # Which way an address is written, and so its hash, hangs on the channel.
        here = [and_(s.channel == one, s.address_sha256 == address_hash(one, address)) for one in Channel]
        chosen = chosen.where(or_(*here))
    if updated_since is not None:
        chosen = chosen.where(s.created_at >= updated_since)
    rows, next_cursor = await paginate(session, chosen, page, s.id)
    data = [Suppression.model_validate(row, from_attributes=True) for row in rows]
    return Listing(data=data, next_cursor=next_cursor)


@router.post("", summary="Close an address", status_code=201, responses=problem_responses(401, 403, 404, 409, 422))
async def close(body: NewSuppression, session: SessionDep, caller: Writer, now: Now) -> Suppression:
    """Nothing goes there from now on; the messages that wait are refused when their turn comes."""
    sha256 = await _address(body, session, caller.seller_id)
    customers = await customers_of(session, caller.seller_id, body.channel, sha256) or [UUID(int=0)]
    closing = [
        Closing(caller.seller_id, customer_id, body.channel, sha256, body.kind, body.reason, body.note)
        for customer_id in customers
    ]
    told = await close_addresses(session, closing, now)
    if not told:
        raise conflict("already-suppressed", "This address is closed already; delete the suppression to change it.")
    await emit(session, [event for event in told if event.customer_id.int], now=now)
    s = t.suppression.c
    mine = select(t.suppression).where(
        s.seller_id == caller.seller_id, s.channel == body.channel, s.address_sha256 == sha256
    )
    return Suppression.model_validate((await session.execute(mine)).one(), from_attributes=True)


async def _address(body: NewSuppression, session: SessionDep, seller_id: UUID) -> str:
    if body.address is not None:
        return address_hash(body.channel, body.address)
    assert body.customer_id is not None  # noqa: S101  # one of both, checked
    customer = await contacts.find(session, seller_id, body.customer_id)
    if customer is None:
        raise not_found("customer", body.customer_id)
    address = address_of(customer, body.channel)
    if address is None:
        raise invalid("/channel", "no-address", f"The customer has no address for {body.channel}.", body.channel)
    return address.sha256


@router.delete(
    "/{suppression_id}",
    summary="Open a closed address again",
    status_code=204,
    responses=problem_responses(401, 403, 404),
)
async def reopen(suppression_id: UUID, session: SessionDep, caller: Writer, now: Now) -> None:
    """Opens the address again, from the next message on."""
    s = t.suppression.c
    mine = select(s.channel, s.address_sha256).where(s.id == suppression_id, s.seller_id == caller.seller_id)
    row = (await session.execute(mine)).one_or_none()
    if row is None:
        raise not_found("suppression", suppression_id)
    channel = Channel(row.channel)
    customers = await customers_of(session, caller.seller_id, channel, row.address_sha256)
    told = await open_address(session, caller.seller_id, customers, channel, row.address_sha256, "by-hand")
    await emit(session, told, now=now)
