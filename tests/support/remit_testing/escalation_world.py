"""escalation-svc on a real database and bus, its clock set by the test, which also plays the other services."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import text
from uuid6 import uuid7

from remit_events.bus import Bus, Record
from remit_events.envelope import CustomerEvent, Event, Message
from remit_events.escalations import EVENTS, EscalationTriggered
from remit_events.invoices import (
    Allocation,
    CustomerChanged,
    InvoiceIssued,
    InvoicePaid,
    InvoiceVoided,
    PaymentReversed,
)
from remit_events.notifications import ReminderFailed, ReminderSent
from remit_events.schedule import Item, PaymentDue, Window
from remit_events.state import Channel, CustomerState, InvoiceState, SellerState, Stage, Tone
from remit_service.clock import SimulatedClock
from remit_service.service import Service
from remit_testing.service import SellerClient

BERLIN = ZoneInfo("Europe/Berlin")
START = datetime(2026, 3, 2, 8, tzinfo=UTC)
DUE = date(2026, 3, 16)
BUSINESS = Window(days="business", opens=time(9), until=time(17))


@dataclass
class Debtor:
    """A customer of the test; `change` publishes a new snapshot."""

    world: World
    state: CustomerState
    invoices: list[Bill] = field(default_factory=list)

    async def change(self, **fields: Any) -> None:
        self.state = self.state.model_copy(update={**fields, "version": self.state.version + 1})
        await self.world.publish(
            CustomerChanged(seller_id=self.world.seller.id, customer_id=self.state.id, customer=self.state)
        )

    async def invoice(
        self, number: str = "R-1", due: date | None = DUE, amount: int = 100_000, *, settle: bool = True
    ) -> Bill:
        bill = Bill(self, self.world.invoice_state(self.state.id, number, due, amount))
        self.invoices.append(bill)
        await self.world.publish(InvoiceIssued(**self.world.keys(self), invoice=bill.state), settle=settle)
        return bill


@dataclass
class Bill:
    """An invoice of the test, and what happens to it."""

    debtor: Debtor
    state: InvoiceState

    @property
    def world(self) -> World:
        return self.debtor.world

    def after(self, **fields: Any) -> InvoiceState:
        self.state = self.state.model_copy(update={**fields, "version": self.state.version + 1})
        return self.state

    async def change(self, kind: type[Any], given: dict[str, Any] | None = None, **fields: Any) -> None:
        """Publishes an invoice event of a kind with the changed state."""
        state = self.after(**fields)
        await self.world.publish(kind(**self.world.keys(self.debtor), invoice=state, **(given or {})))

    async def paid(self) -> None:
        given = {"payment_id": uuid7(), "paid_on": self.world.today, "days_late": 1}
        await self.change(InvoicePaid, given, status="paid", balance_minor=0)

    async def reversed(self) -> None:
        """All that was paid of it is taken back."""
        state = self.after(status="issued", balance_minor=self.state.total_minor)
        await self.world.publish(
            PaymentReversed(
                **self.world.keys(self.debtor),
                payment_id=uuid7(),
                reference="x",
                currency=state.currency,
                amount_minor=-state.total_minor,
                received_on=self.world.today,
                allocations=(Allocation(amount_minor=-state.total_minor, invoice=state),),
                reason="bounced",
            )
        )

    async def void(self) -> None:
        await self.change(InvoiceVoided, {"reason": "wrong"}, status="void", balance_minor=0)

    async def remind(self, *, stage: Stage = Stage.OVERDUE, step: str = "day-after", **options: Any) -> Sent:
        return await self.world.send(self.debtor, [self], stage, step, **options)


@dataclass
class Sent:
    """A touch that was sent, one delivery per channel."""

    world: World
    deliveries: list[ReminderSent]

    async def bounce(self, index: int = 0) -> None:
        """The delivery failed after all; the touch with it when it was the only one."""
        sent = self.deliveries[index]
        fields = {name: getattr(sent, name) for name in sorted(DELIVERY_FIELDS)}
        whole = len(self.deliveries) == 1
        await self.world.publish(
            ReminderFailed(**fields, reason_class="bounce", reason="no such user", touch_failed=whole)
        )


DELIVERY_FIELDS = set(ReminderSent.model_fields) & set(ReminderFailed.model_fields)


@dataclass
class World:
    """The service under test and everything around it."""

    service: Service
    clock: SimulatedClock
    bus: Bus
    client: SellerClient
    seller: SellerState
    demands_sent: list[Sent] = field(default_factory=list)

    @property
    def today(self) -> date:
        return self.clock.now().astimezone(BERLIN).date()

    def keys(self, debtor: Debtor) -> dict[str, Any]:
        return {"seller_id": self.seller.id, "customer_id": debtor.state.id}

    def go(self, day: date, at: time = time(9), zone: str = "Europe/Berlin") -> None:
        """Sets the clock to a local time."""
        self.clock.set(datetime.combine(day, at, ZoneInfo(zone)).astimezone(UTC))

    async def customer(self, name: str = "Alster Logistik GmbH", *, settle: bool = True, **fields: Any) -> Debtor:
        values = {"profile": "business", "country": "DE", "timezone": "Europe/Berlin", **fields}
        state = CustomerState(**{"id": uuid7(), "external_id": name[:8], "name": name, "version": 1, **values})
        debtor = Debtor(self, state)
        changed = CustomerChanged(seller_id=self.seller.id, customer_id=state.id, customer=state)
        await self.publish(changed, settle=settle)
        return debtor

    def invoice_state(self, customer: UUID, number: str, due: date | None, amount: int) -> InvoiceState:
        return InvoiceState(
            id=uuid7(),
            customer_id=customer,
            number=number,
            status="issued",
            currency="EUR",
            total_minor=amount,
            balance_minor=amount,
            issue_date=START.date(),
            due_date=due,
            issued_at=START,
            version=1,
        )

    def due(
        self, debtor: Debtor, bills: list[Bill], stage: Stage, step: str, *, window: Window = BUSINESS
    ) -> PaymentDue:
        """What the scheduler would say now."""
        return PaymentDue(
            **self.keys(debtor),
            touch_id=uuid7(),
            stage=stage,
            step=step,
            tone=Tone.FIRM,
            template=step,
            channels=(Channel.EMAIL,),
            items=tuple(self.item(bill, step) for bill in bills),
            decided_at=self.clock.now(),
            local_date=self.today,
            valid_until=self.clock.now() + timedelta(hours=8),
            policy_key="business",
            policy_version=1,
            window=window,
        )

    def item(self, bill: Bill, step: str) -> Item:
        days = (self.today - bill.state.due_date).days if bill.state.due_date else 0
        return Item(invoice=bill.state, step=step, amount_minor=bill.state.chased_minor, days_overdue=days)

    def accepted(self, due: PaymentDue, channel: Channel = Channel.EMAIL) -> ReminderSent:
        """What the notifier says when the provider took it."""
        return ReminderSent(
            seller_id=due.seller_id,
            customer_id=due.customer_id,
            delivery_id=uuid7(),
            touch_id=due.touch_id,
            stage=due.stage,
            step=due.step,
            channel=channel,
            recipient_sha256="0" * 64,
            items=due.items,
            sent_at=self.clock.now(),
            tone=due.tone,
            language="de",
            provider="smtp",
            provider_id="<1@remit.test>",
            digest="1" * 64,
        )

    async def send(
        self,
        debtor: Debtor,
        bills: list[Bill],
        stage: Stage,
        step: str,
        *,
        window: Window = BUSINESS,
        channels: tuple[Channel, ...] = (Channel.EMAIL,),
    ) -> Sent:
        """A step falls due and leaves now, on every channel."""
        due = self.due(debtor, bills, stage, step, window=window)
        deliveries = [self.accepted(due, channel) for channel in channels]
        await self.publish(due, *deliveries)
        return Sent(self, deliveries)

    async def publish(self, *events: Event, settle: bool = True) -> None:
        """Puts events on the bus and lets the service fold them."""
        await self.bus.publish([Record.of(event.topic, self.message(event)) for event in events])
        if settle:
            await self.fold()

    def message(self, event: Event) -> Message:
        data = event.model_dump_json().encode()
        key = str(event.partition_key())
        return Message(
            uuid7(), "/test", event.type, self.clock.now(), str(event.subject()), key, event.sequence(), data
        )

    async def fold(self) -> None:
        """Runs the transport tasks until they are quiet, as phase 0 of an instant."""
        while sum([await task.run() for task in self.service.tasks if task.phase == 0]):
            pass

    async def rungs(self) -> int:
        """Phase 2 of an instant."""
        return sum([await task.run() for task in self.service.tasks if task.phase == 2])

    async def planned(self) -> datetime | None:
        """When the service wants to be woken."""
        return await next(task for task in self.service.tasks if task.phase == 2).next_at()

    async def live_until(self, day: date, demands: bool = True) -> None:
        """Jumps from plan to plan through `day`; the scheduler's and notifier's part in demands is played here."""
        while (moment := await self.planned()) is not None and moment.astimezone(BERLIN).date() <= day:
            self.clock.set(max(moment, self.clock.now()))
            seen = len(await self.triggered())
            await self.rungs()
            for event in (await self.triggered())[seen:]:
                if event.action == "formal_demand" and demands:
                    await self.demand(event)
        self.go(day)

    async def taken(self) -> list[tuple[str, int, str | None]]:
        """The rungs taken so far: key, days overdue, by whom approved."""
        return [(event.rung, event.days_overdue, event.approved_by) for event in await self.triggered()]

    async def remind(self, bill: Bill, *offsets: int) -> None:
        """Overdue reminders so many days after the due date, and rungs looked at after each, as an instant goes."""
        for offset in offsets:
            day = DUE + timedelta(days=offset)
            await self.live_until(day - timedelta(days=1))
            self.go(day)
            await bill.remind()
            await self.rungs()

    async def demand(self, event: EscalationTriggered) -> Sent:
        """The demand passes the gate and leaves now."""
        debtor = Debtor(self, CustomerState(id=event.customer_id, external_id="", name="", country="DE", version=0))
        sent = await self.send(debtor, [Bill(debtor, event.invoice)], Stage.DEMAND, event.rung)
        self.demands_sent.append(sent)
        return sent

    async def said(self) -> list[CustomerEvent]:
        """Everything the service has published, in order."""
        async with self.service.db.reading() as session:
            rows = (await session.execute(text("SELECT type, payload FROM outbox ORDER BY id"))).all()
        kinds = {kind.type: kind for kind in EVENTS}
        return [kinds[row.type].model_validate_json(row.payload) for row in rows]

    async def triggered(self) -> list[EscalationTriggered]:
        return [event for event in await self.said() if isinstance(event, EscalationTriggered)]

    async def get(self, path: str, **params: Any) -> Any:
        answer = await self.client.get(path, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def post(self, path: str, body: Any, status: int = 200, **params: Any) -> Any:
        answer = await self.client.post(path, json=body, params=params)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def case(self, bill: Bill) -> Any:
        listed = await self.get("/v1/cases", invoice=str(bill.state.id))
        assert len(listed["data"]) == 1
        return listed["data"][0]

    async def approval(self) -> Any:
        """The one approval that waits."""
        listed = await self.get("/v1/approvals", status="pending")
        assert len(listed["data"]) == 1, listed
        return listed["data"][0]
