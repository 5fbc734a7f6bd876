"""What a batch of events is about, loaded under the customers' locks, changed in memory, written back at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any
from uuid import UUID

from remit_events.envelope import CustomerEvent, Event
from remit_events.state import CustomerState
from remit_service.bulk import new_id
from scheduler_svc.days import today_of
from scheduler_svc.early import Told
from scheduler_svc.ledger import DemandDue, FinalOutcome, FollowUp, Progress, TouchItem
from scheduler_svc.outgoing import decision_event
from scheduler_svc.records import debtor
from scheduler_svc.storing import decision_values
from scheduler_svc.work import Decision, Slot


@dataclass(slots=True)
class CustomerRecord:
    id: UUID
    seller_id: UUID
    state: CustomerState | None
    version: int
    addresses: list[str]
    suppressed: list[str]
    next_at: datetime | None
    waiting: list[Told]
    changed: bool = False

    def known(self) -> CustomerState:
        """Raises LookupError while only others have spoken of this customer."""
        if self.state is None:
            raise LookupError(f"customer {self.id} is not known yet")
        return self.state

    def waits(self, told: Told) -> bool:
        """Keeps what cannot be understood before the customer is known; False when it can be folded now."""
        if self.state is not None or not told.needs_customer:
            return False
        self.waiting.append(told)
        self.changed = True
        return True

    def arrived(self) -> list[Told]:
        """What waited for the customer, once they are known."""
        if self.state is None:
            return []
        arrived, self.waiting = self.waiting, []
        return arrived

    def look_at(self, moment: datetime) -> None:
        """Has the sweep look at the customer at `moment`, if not earlier; never at one who is not known yet."""
        if self.state is not None and (self.next_at is None or moment < self.next_at):
            self.next_at, self.changed = moment, True


@dataclass(slots=True)
class FollowUpRecord:
    value: FollowUp
    seller_id: UUID
    customer_id: UUID
    new: bool = False
    changed: bool = False

    def change(self, **changes: Any) -> None:
        self.value = self.value._replace(**changes)
        self.changed = True


@dataclass(slots=True)
class DemandRecord:
    value: DemandDue
    seller_id: UUID
    customer_id: UUID
    new: bool = False
    changed: bool = False

    def change(self, **changes: Any) -> None:
        self.value = replace(self.value, **changes)
        self.changed = True


@dataclass(slots=True)
class TouchRecord:
    id: UUID
    seller_id: UUID
    customer_id: UUID
    demand_id: UUID | None
    status: str
    reached: bool
    items: Sequence[TouchItem]
    inputs: Sequence[Mapping[str, Any]]
    channels: Sequence[str]
    local_date: date
    changed: bool = False

    def become(self, status: str, *, reached: bool = False) -> None:
        self.status, self.reached, self.changed = status, self.reached or reached, True

    def slots(self, item: TouchItem) -> list[Slot]:
        """What the item stands for: its step, or the demand, and the easier steps it took along."""
        return [Slot(item.invoice_id, step, self.demand_id) for step in (item.step, *item.merged)]


@dataclass(slots=True)
class Book:
    """Everything a batch may change. `suppressions`: address → reason, None when it was opened again."""

    now: datetime
    customers: dict[UUID, CustomerRecord] = field(default_factory=dict)
    follow_ups: dict[UUID, FollowUpRecord] = field(default_factory=dict)
    demands: dict[UUID, DemandRecord] = field(default_factory=dict)
    touches: dict[UUID, TouchRecord] = field(default_factory=dict)
    suppressions: dict[tuple[UUID, str], str | None] = field(default_factory=dict)
    replies: dict[UUID, dict[str, Any]] = field(default_factory=dict)
    closed_addresses: set[tuple[UUID, str]] = field(default_factory=set)
    decisions: list[dict[str, Any]] = field(default_factory=list)
    released: list[UUID] = field(default_factory=list)
    recounted: list[TouchRecord] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    def due(self, customer_id: UUID) -> None:
        """Has the sweep decide about a customer now."""
        if customer_id in self.customers:
            self.customers[customer_id].look_at(self.now)

    def reply(self, reply_id: UUID, event: CustomerEvent) -> dict[str, Any]:
        """What is told of a reply: that it came, that it was answered, or both."""
        whose = {"id": reply_id, "seller_id": event.seller_id, "customer_id": event.customer_id}
        return self.replies.setdefault(reply_id, whose | {"received_at": None, "answered": False})

    def standing(self, slot: Slot) -> Progress | None:
        if slot.demand_id is not None:
            demand = self.demands.get(slot.demand_id)
            return demand.value.progress if demand else None
        return self.follow_ups[slot.invoice_id].value.progress.get(slot.step)

    def put(self, slot: Slot, progress: Progress | None) -> None:
        if slot.demand_id is not None:
            self.demands[slot.demand_id].change(progress=progress or Progress())
            return
        record = self.follow_ups[slot.invoice_id]
        steps = {key: kept for key, kept in record.value.progress.items() if key != slot.step}
        if progress is not None:
            steps[slot.step] = progress
        record.change(progress=steps)

    def finish(
        self,
        slot: Slot,
        outcome: FinalOutcome,
        rule: str,
        inputs: Mapping[str, Any],
        touch_id: UUID,
        at: datetime,
        *,
        reopens: bool = False,
    ) -> None:
        """The one final outcome of a step; nothing when it has one."""
        standing = self.standing(slot)
        if standing and standing.is_final:
            return
        self.put(slot, Progress(outcome=outcome, reopens=reopens))
        self._log(slot, outcome, rule, inputs, touch_id, at, reopens=reopens)

    def wait(self, slot: Slot, rule: str, inputs: Mapping[str, Any], touch_id: UUID, not_before: datetime) -> None:
        """Refused at the moment of sending for now: decided again, but not at once."""
        standing = self.standing(slot)
        if standing and standing.is_final:
            return
        self.put(slot, Progress(rule=rule, not_before=not_before))
        self._log(slot, "deferred", rule, inputs, touch_id, self.now)

    def _log(
        self,
        slot: Slot,
        outcome: Any,
        rule: str,
        inputs: Mapping[str, Any],
        touch_id: UUID,
        at: datetime,
        *,
        reopens: bool = False,
    ) -> None:
        record = self.follow_ups[slot.invoice_id]
        customer = self.customers[record.customer_id]
        state = customer.known()
        whose = debtor(record.seller_id, state, customer.addresses, customer.suppressed)
        decision = Decision(
            invoice=record.value.invoice,
            policy=record.value.policy,
            step=slot.step,
            outcome=outcome,
            rule=rule,
            inputs=inputs,
            demand_id=slot.demand_id,
            touch_id=touch_id,
            reopens=reopens,
        )
        row_id = new_id()
        self.decisions.append(decision_values(whose, decision, row_id, at, today_of(state, at)))
        if outcome != "sent":
            self.events.append(decision_event(whose, decision, row_id))
