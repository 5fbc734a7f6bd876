"""What reviews decided, into the database: one statement per table for a whole batch, and the events with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, TypeVar
from uuid import UUID

from remit_events.envelope import Event
from remit_events.outbox import emit
from remit_events.session import Session
from remit_service.bulk import execute, insert_rows, new_id, update_rows
from scheduler_svc import records
from scheduler_svc import tables as t
from scheduler_svc.days import today_of
from scheduler_svc.ledger import Debtor, DemandDue, FollowUp, Ledger
from scheduler_svc.outgoing import events_of
from scheduler_svc.review import Review
from scheduler_svc.work import Decision, NewId, Touch

_RELEASE = "DELETE FROM contact WHERE touch_id = ANY(CAST(:touches AS uuid[]))"
_GIVE_UP = "UPDATE touch SET status = 'given_up' WHERE id = ANY(CAST(:touches AS uuid[]))"
Kept = TypeVar("Kept", FollowUp, DemandDue)


@dataclass(slots=True)
class Outcome:
    """Rows and events of a batch, collected customer by customer."""

    now: datetime
    new_id: NewId = new_id
    decisions: list[dict[str, Any]] = field(default_factory=list)
    touches: list[dict[str, Any]] = field(default_factory=list)
    again: list[dict[str, Any]] = field(default_factory=list)
    contacts: list[dict[str, Any]] = field(default_factory=list)
    released: list[UUID] = field(default_factory=list)
    given_up: list[UUID] = field(default_factory=list)
    follow_ups: list[dict[str, Any]] = field(default_factory=list)
    demands: list[dict[str, Any]] = field(default_factory=list)
    customers: list[dict[str, Any]] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    def add(self, before: Ledger, result: Review) -> None:
        """Takes over what a review of `before` decided."""
        debtor = before.debtor
        today = today_of(debtor, self.now)
        ids = [self.new_id() for _ in result.decisions]
        self.decisions += [
            decision_values(debtor, one, i, self.now, today) for one, i in zip(result.decisions, ids, strict=True)
        ]
        self.events += events_of(debtor, result, ids, self.now)
        for touch in result.touches:
            self._add_touch(debtor, before, touch)
        self.released += result.released
        self.given_up += result.given_up
        changed = _changed(before.follow_ups, result.ledger.follow_ups)
        self.follow_ups += [records.reviewed_values(one, self.now) for one in changed]
        self.demands += [demand_values(one) for one in _changed(before.demands, result.ledger.demands)]
        self.customers.append({"id": debtor.id, "next_at": result.next_at})

    def _add_touch(self, debtor: Debtor, before: Ledger, touch: Touch) -> None:
        items = [records.touch_item_values(one, inputs) for one, inputs in zip(touch.items, touch.inputs, strict=True)]
        row = {"id": touch.id, "status": "pending", "items": items, "local_date": touch.local_date}
        row |= {"channels": list(touch.channels), "decided_at": self.now}
        if touch.again:
            tried = next(one.tried for one in before.failed if one.id == touch.id)
            self.again.append(row | {"channels": [*tried, *touch.channels]})
            self.released.append(touch.id)  # its contact moves to the day it now goes
        else:
            row |= {"seller_id": debtor.seller_id, "customer_id": debtor.id, "step": touch.step, "reached": False}
            self.touches.append(row | {"demand_id": touch.demand_id})
        self.contacts.append(
            {
                "id": self.new_id(),
                "seller_id": debtor.seller_id,
                "customer_id": debtor.id,
                "on_date": touch.local_date,
                "touch_id": touch.id,
                "kind": "touch",
                "addresses": records.contact_keys(debtor.addresses, touch.channels),
                "recorded_at": self.now,
            }
        )

    async def store(self, session: Session) -> None:
        """Writes it all; the caller holds the customers' locks."""
        await insert_rows(session, t.decision, self.decisions)
        await insert_rows(session, t.touch, self.touches)
        await update_rows(session, t.touch, self.again)
        if self.released:
            await execute(session, _RELEASE, touches=self.released)
        if self.given_up:
            await execute(session, _GIVE_UP, touches=self.given_up)
        await insert_rows(session, t.contact, self.contacts)
        await update_rows(session, t.follow_up, self.follow_ups, key="invoice_id")
        await update_rows(session, t.demand, self.demands)
        await update_rows(session, t.customer, self.customers)
        await emit(session, self.events, now=self.now)


def decision_values(debtor: Debtor, one: Decision, row_id: UUID, at: datetime, on: date) -> dict[str, Any]:
    return {
        "id": row_id,
        "seller_id": debtor.seller_id,
        "at": at,
        "on_date": on,
        "customer_id": debtor.id,
        "invoice_id": one.invoice.id,
        "invoice_number": one.invoice.number,
        "step": one.step,
        "outcome": one.outcome,
        "rule": one.rule,
        "inputs": one.inputs,
        "until": one.until,
        "policy_key": one.policy.key,
        "policy_version": one.policy.version,
        "touch_id": one.touch_id,
        "demand_id": one.demand_id,
        "final": one.outcome != "deferred",
        "reopens": one.reopens,
    }


def demand_values(one: DemandDue) -> dict[str, Any]:
    return {
        "id": one.id,
        "withdrawn": one.withdrawn,
        "progress": records.progress_values(one.progress),
        "closed": one.progress.is_final,
        "next_at": one.next_at,
    }


def _changed(before: tuple[Kept, ...], after: tuple[Kept, ...]) -> list[Kept]:
    known = {one.id: one for one in before}
    return [one for one in after if known[one.id] is not one]
