"""Events in: sellers and customers are folded, and what is to be sent becomes touches with their deliveries.

One batch is a handful of statements, however many events it holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text

from notifier_svc import contacts
from notifier_svc.contacts import Closed, Note
from notifier_svc.fallback import failed_touches
from notifier_svc.hours import earliest_local_day, may_go_from
from notifier_svc.storage import TOO_OLD, NewDelivery, NewTouch, store, take_waiting
from notifier_svc.touches import TRANSACTIONAL, Planned, planned
from remit_events.bus import Received
from remit_events.invoices import InvoiceIssued, PaymentReceived
from remit_events.notifications import ReminderFailed
from remit_events.outbox import emit
from remit_events.schedule import PaymentDue
from remit_events.session import Session
from remit_events.state import Channel, CustomerState, SellerState, Stage
from remit_service.clock import Clock
from remit_service.sellers import apply_seller_events

_SELLERS = text("SELECT id, snapshot FROM seller WHERE id = ANY(CAST(:ids AS uuid[]))")

NO_CHANNEL = "no-channel"


@dataclass(frozen=True, slots=True)
class Context:
    """What turning touches into deliveries needs to know, read once per batch."""

    customers: Mapping[UUID, CustomerState]
    sellers: Mapping[UUID, SellerState]
    closed: Closed
    now: datetime


class Handler:
    """The consumer's handle; `nudge` is called after a commit that left something to send."""

    def __init__(self, clock: Clock, nudge: Callable[[], None]) -> None:
        self._clock = clock
        self._nudge = nudge

    async def __call__(self, session: Session, received: Sequence[Received]) -> None:
        now = self._clock.now()
        await apply_seller_events(session, received)
        arrived = await contacts.fold(session, received)
        sellers = await _sellers(session, received)
        touches = [touch for one in received if (touch := planned(one, sellers, now))]
        touches += await take_waiting(session, arrived)
        if touches:
            await self._plan(session, touches, sellers, now)

    async def _plan(
        self, session: Session, touches: list[Planned], sellers: Mapping[UUID, SellerState], now: datetime
    ) -> None:
        customers = await contacts.locked(session, {touch.customer_id for touch in touches})
        closed = await contacts.closed_addresses(session, customers.values())
        context = Context(customers, sellers, closed, now)
        new = [made for touch in touches if (made := prepared(touch, context))]
        told = [failure(touch) for touch in new if touch.nobody and touch.planned.stage is not Stage.THANKS]
        for once in rounds(new):
            there = await store(session, once, now)
            failed = await failed_touches(session, there, now) if there else set()
            told += [failure(touch) for touch in once if touch.planned.id in failed]
        await emit(session, told, now=now)
        session.after_commit.append(self._nudge)


async def _sellers(session: Session, received: Iterable[Received]) -> dict[UUID, SellerState]:
    """The sellers these events are sent for: whether invoices and thank-yous go, and from which domain."""
    asked = {
        one.event.seller_id for one in received if isinstance(one.event, PaymentDue | InvoiceIssued | PaymentReceived)
    }
    if not asked:
        return {}
    rows = await session.execute(_SELLERS, {"ids": list(asked)})
    return {row.id: SellerState.model_validate(row.snapshot) for row in rows}


def rounds(touches: Sequence[NewTouch]) -> list[list[NewTouch]]:
    """In order, no touch twice in a round: a step and its fallback may come in one batch after an outage."""
    split: list[dict[UUID, NewTouch]] = []
    for touch in touches:
        free = next((one for one in split if touch.planned.id not in one), None)
        if free is None:
            split.append(free := {})
        free[touch.planned.id] = touch
    return [list(one.values()) for one in split]


def prepared(touch: Planned, context: Context) -> NewTouch | None:
    """The touch with its deliveries; None when it is too old to be mailed. Pure."""
    customer = context.customers.get(touch.customer_id)
    if customer is None:
        return NewTouch(touch, (), (), waiting=True)
    if _too_old(touch, customer):
        return NewTouch(touch, (), (Note(touch.channels[0], TOO_OLD),), waiting=False) if touch.stored else None
    addresses, notes = contacts.reach(touch.channels, touch.stage, customer, context.closed, touch.seller_id)
    if touch.first_reachable:
        addresses, notes = addresses[:1], ([] if addresses else notes)
    starts = _starts(touch, customer, context.now)
    by = context.sellers.get(touch.seller_id)
    deliveries = tuple(NewDelivery.to(address, touch.id, by, starts) for address in addresses)
    return NewTouch(touch, deliveries, tuple(notes), waiting=False)


def _too_old(touch: Planned, customer: CustomerState) -> bool:
    """An invoice issued, or a payment dated, before the day it was recorded is never mailed (domain-rules)."""
    body = touch.body
    if body.happened_on is None or body.recorded_at is None:
        return False
    return body.happened_on < earliest_local_day(customer, body.recorded_at)


def _starts(touch: Planned, customer: CustomerState, now: datetime) -> datetime:
    """Follow-ups were timed by the scheduler; the rest waits for an individual's hours."""
    return may_go_from(customer, now) if touch.stage in TRANSACTIONAL else now


def failure(touch: NewTouch) -> ReminderFailed:
    """No channel of it reaches the customer, or those that do were tried and failed."""
    planned = touch.planned
    reasons = [f"{one.address.channel}: tried before" for one in touch.deliveries]
    reasons += [f"{note.channel}: {note.why}" for note in touch.notes]
    return ReminderFailed(
        seller_id=planned.seller_id,
        customer_id=planned.customer_id,
        delivery_id=planned.id,
        touch_id=planned.id,
        stage=planned.stage,
        step=planned.step,
        channel=planned.channels[0] if planned.channels else Channel.EMAIL,
        recipient_sha256="",
        items=planned.body.items,
        reason_class=NO_CHANNEL,
        reason="; ".join(reasons) or "no channel was asked for",
        touch_failed=True,
    )
