"""scheduler-svc with a real bus and database, what the other services tell it, and a clock to move."""

from __future__ import annotations

from datetime import UTC, date, datetime
from hashlib import sha256
from typing import Any, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

import httpx
from sqlalchemy import text
from uuid6 import uuid7

from remit_events.bus import Bus, Record
from remit_events.catalogue import EVENT_TYPES
from remit_events.envelope import Event, Message
from remit_events.escalations import EscalationResolved, EscalationTriggered
from remit_events.invoices import (
    Allocation,
    CustomerChanged,
    InvoiceIssued,
    InvoicePaid,
    PaymentReversed,
    SellerChanged,
)
from remit_events.notifications import DroppedItem, ReminderCancelled, ReminderFailed, ReminderSent
from remit_events.schedule import PaymentDue
from remit_events.state import Channel, CustomerState, InvoiceState, SellerState
from remit_service.clock import SimulatedClock
from remit_service.service import Service, Task
from remit_testing.scheduling import make_customer, make_invoice

EventT = TypeVar("EventT", bound=Event)
START = datetime(2026, 1, 1, 12, tzinfo=UTC)


class World:
    """One seller's world: `tell` what happened, move the clock, `sweep`, and see what was published."""

    def __init__(
        self, service: Service, clock: SimulatedClock, bus: Bus, client: httpx.AsyncClient, seller: SellerState
    ) -> None:
        self.service, self.clock, self.bus, self.client, self.seller = service, clock, bus, client, seller
        self.customers: dict[UUID, CustomerState] = {}
        self.invoices: dict[UUID, InvoiceState] = {}
        self._read = 0

    def task(self, name: str) -> Task:
        return next(task for task in self.service.tasks if task.name == name)

    def at(self, local: str, zone: str = "Europe/Berlin") -> datetime:
        """Moves the clock to a time on the wall of `zone`."""
        moment = datetime.fromisoformat(local).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
        self.clock.set(moment)
        return moment

    async def tell(self, *events: Event) -> None:
        """Publishes events and has the service consume them."""
        records = [Record.of(event.topic, self.message(event)) for event in events]
        assert not [refusal for refusal in await self.bus.publish(records) if refusal]
        await self.task("scheduler-svc").run()

    def message(self, event: Event) -> Message:
        return Message(
            id=uuid7(),
            source="/tests",
            type=event.type,
            time=self.clock.now(),
            subject=str(event.subject()),
            partition_key=str(event.partition_key()),
            sequence=event.sequence(),
            data=event.model_dump_json().encode(),
        )

    async def sweep(self) -> int:
        return await self.task("sweep").run()

    async def settle(self) -> list[PaymentDue]:
        """Sweeps and has every message sent until nothing moves any more at this moment."""
        gone: list[PaymentDue] = []
        while await self.sweep():
            for due in await self.published(PaymentDue):
                gone.append(due)
                await self.tell(self.sent(due))
        return gone

    async def play(self, until: str, zone: str = "Europe/Berlin") -> list[PaymentDue]:
        """Lets time pass, jumping to what falls due next."""
        last = datetime.fromisoformat(until).replace(tzinfo=ZoneInfo(zone))
        gone = await self.settle()
        while True:
            due = await self.task("sweep").next_at()
            if due is None or due > last:
                self.clock.set(max(self.clock.now(), last.astimezone(UTC)))
                return gone
            self.clock.set(max(due, self.clock.now()))
            gone += await self.settle()

    async def published(self, kind: type[EventT]) -> list[EventT]:
        """Events of a kind written since this was last asked for any kind."""
        async with self.service.db.reading() as session:
            found = await session.execute(
                text("SELECT id, type, payload FROM outbox WHERE id > :read ORDER BY id"), {"read": self._read}
            )
            rows = found.all()
        self._read = max([self._read, *(row.id for row in rows)])
        events = [EVENT_TYPES[row.type].model_validate_json(row.payload) for row in rows]
        return [event for event in events if isinstance(event, kind)]

    async def rows(self, statement: str, **values: Any) -> list[Any]:
        async with self.service.db.reading() as session:
            return list((await session.execute(text(statement), values)).all())

    async def log(self, invoice: InvoiceState | None = None) -> list[tuple[str, str, str]]:
        """The decision log as (step, outcome, rule)."""
        chosen = "WHERE invoice_id = :id" if invoice else ""
        values = {"id": invoice.id} if invoice else {}
        rows = await self.rows(f"SELECT step, outcome, rule FROM decision {chosen} ORDER BY at, id", **values)  # noqa: S608
        return [(row.step, row.outcome, row.rule) for row in rows]

    async def seller_appears(self) -> None:
        await self.tell(SellerChanged(seller_id=self.seller.id, seller=self.seller))

    async def customer(self, external_id: str = "C1", **given: Any) -> CustomerState:
        values = {"external_id": external_id, "email": f"ap@{external_id.lower()}.example", "phone": None} | given
        return await self.customer_changes(make_customer(id=uuid7(), **values))

    async def customer_changes(self, state: CustomerState, **changes: Any) -> CustomerState:
        if changes:
            state = state.model_copy(update=changes | {"version": state.version + 1})
        self.customers[state.id] = state
        await self.tell(CustomerChanged(seller_id=self.seller.id, customer_id=state.id, customer=state))
        return state

    async def issue(
        self, customer: CustomerState, number: str = "R1", issue: str = "2026-01-02", due: str | None = "2026-02-02",
        **given: Any,
    ) -> InvoiceState:  # fmt: skip
        """Issued now; `issue` and `due` are its dates."""
        values: dict[str, Any] = {"id": uuid7(), "customer_id": customer.id, "issued_at": self.clock.now()}
        state: InvoiceState = make_invoice(number, issue, due, **(values | given))
        self.invoices[state.id] = state
        await self.tell(InvoiceIssued(seller_id=self.seller.id, customer_id=customer.id, invoice=state))
        return state

    async def followed(self, **given: Any) -> tuple[CustomerState, InvoiceState]:
        """A customer with an invoice issued on 2 January, due on 2 February 2026."""
        customer = await self.customer(**given)
        self.at("2026-01-02 08:00")
        return customer, await self.issue(customer)

    async def go(self, local: str) -> PaymentDue:
        """The one message that goes at a moment, not answered yet."""
        self.at(local)
        await self.sweep()
        (due,) = await self.published(PaymentDue)
        return due

    def about(self, invoice: InvoiceState) -> dict[str, Any]:
        return {"seller_id": self.seller.id, "customer_id": invoice.customer_id}

    async def get(self, path: str, **params: Any) -> dict[str, Any]:
        """An answer that must be good."""
        answer = await self.client.get(path, params=params)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def save_policy(self, body: dict[str, Any], **params: Any) -> dict[str, Any]:
        answer = await self.client.post(f"/v1/policies/{body['key']}/versions", json=body, params=params)
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def changed(self, state: InvoiceState, **changes: Any) -> InvoiceState:
        """The next version of an invoice."""
        newest = self.invoices[state.id]
        self.invoices[state.id] = newest.model_copy(update=changes | {"version": newest.version + 1})
        return self.invoices[state.id]

    def paid(self, state: InvoiceState, on: date) -> InvoicePaid:
        done = self.changed(state, status="paid", balance_minor=0, disputed_minor=0)
        return InvoicePaid(
            seller_id=self.seller.id,
            customer_id=state.customer_id,
            invoice=done,
            payment_id=uuid7(),
            paid_on=on,
            days_late=(on - state.due_date).days if state.due_date else None,
        )

    def reversed(self, state: InvoiceState, on: date, **changes: Any) -> PaymentReversed:
        """All that was paid of an invoice is taken back."""
        again = self.changed(state, status="issued", balance_minor=state.total_minor, **changes)
        return PaymentReversed(
            **self.about(state),
            payment_id=uuid7(),
            reference="x",
            currency=state.currency,
            amount_minor=-state.total_minor,
            received_on=on,
            allocations=(Allocation(amount_minor=-state.total_minor, invoice=again),),
            reason="chargeback",
        )

    def rung(self, invoice: InvoiceState, **given: Any) -> EscalationTriggered:
        """A rung of the ladder, a formal demand unless another is given."""
        values = self.about(invoice) | {
            "case_id": uuid7(), "invoice": self.invoices[invoice.id], "rung": "formal-demand",
            "action": "formal_demand", "approved_by": "Kim", "reminders_sent": 3, "days_overdue": 30,
            "balance_minor": 10000, "ladder_key": "default", "ladder_version": 1, "evidence_sha256": "0" * 64,
            "demand_deadline": date(2026, 3, 20),
        }  # fmt: skip
        return EscalationTriggered(**(values | given))

    def resolved(self, rung: EscalationTriggered, outcome: str) -> EscalationResolved:
        values = {"case_id": rung.case_id, "invoice_id": rung.invoice.id, "outcome": outcome}
        return EscalationResolved(**self.about(rung.invoice), **values)

    def _delivery(self, due: PaymentDue, channel: Channel) -> dict[str, Any]:
        return {
            "seller_id": due.seller_id,
            "customer_id": due.customer_id,
            "delivery_id": uuid7(),
            "touch_id": due.touch_id,
            "stage": due.stage,
            "step": due.step,
            "channel": channel,
            "recipient_sha256": sha256(str(channel).encode()).hexdigest(),
            "items": due.items,
        }

    def sent(self, due: PaymentDue, channel: Channel | None = None, **changes: Any) -> ReminderSent:
        values = self._delivery(due, channel or due.channels[0]) | {
            "sent_at": self.clock.now(),
            "tone": due.tone,
            "language": "en",
            "provider": "test",
            "provider_id": str(uuid7()),
            "digest": "0" * 64,
        }
        return ReminderSent(**(values | changes))

    def failed(self, due: PaymentDue, *, touch_failed: bool = True) -> ReminderFailed:
        values = self._delivery(due, due.channels[0])
        return ReminderFailed(**values, reason_class="refused", reason="550", touch_failed=touch_failed)

    def cancelled(self, due: PaymentDue, dropped: dict[UUID, str], *, whole: bool, rule: str = "") -> ReminderCancelled:
        refused = tuple(
            DroppedItem(item=item, rule=dropped[item.invoice.id]) for item in due.items if item.invoice.id in dropped
        )
        return ReminderCancelled(
            seller_id=due.seller_id,
            customer_id=due.customer_id,
            touch_id=due.touch_id,
            stage=due.stage,
            step=due.step,
            rule=rule or refused[0].rule,
            dropped=refused,
            kept=tuple(item for item in due.items if item.invoice.id not in dropped),
            whole=whole,
        )
