"""A notifier-svc with everything around it a test needs: real database and bus, and the two services it asks.

world = await World.open(make_database, tmp_path)
touch = await world.remind(customer, invoice)          # a PaymentDue, delivered and handled
await world.settle()                                   # all tasks until nothing moves
[sent] = await world.told(ReminderSent)
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import httpx
from sqlalchemy import text
from uuid6 import uuid7

from notifier_svc.app import build
from notifier_svc.settings import Settings
from remit_events import catalogue
from remit_events.bus import Bus, Record, open_bus
from remit_events.envelope import Event, Message
from remit_events.invoices import CustomerChanged, SellerChanged
from remit_events.schedule import Item, PaymentDue, Window
from remit_events.state import Channel, CustomerState, Hold, InvoiceState, SellerState, Stage, Tone
from remit_service.clock import Clock, SimulatedClock
from remit_service.service import Service
from remit_testing.fixtures import MakeDatabase
from remit_testing.notifier_samples import new_customer, new_invoice, new_seller
from remit_testing.service import copy_database, make_service_database, make_settings

MONDAY = datetime(2026, 3, 2, 10, tzinfo=UTC)
WINDOW = Window(days="business", opens=time(9), until=time(17))
_EMPTY = """
TRUNCATE outbox, inbox, dead_letter, seller, api_key, idempotency, customer, touch, delivery, content, reminder,
    suppression, callback, reply, unsubscribe, live_switch, poll_cursor
"""
_bus_templates: dict[MakeDatabase, str] = {}
EventT = TypeVar("EventT", bound=Event)


@dataclass
class Peers:
    """What invoice-svc and scheduler-svc would answer; `before` runs before each answer about balances."""

    invoices: dict[UUID, InvoiceState] = field(default_factory=dict)
    customer_holds: dict[UUID, Hold] = field(default_factory=dict)
    automation: dict[UUID, bool] = field(default_factory=dict)
    invoice_svc_down: bool = False
    scheduler_svc_down: bool = False
    asked: list[list[UUID]] = field(default_factory=list)
    automation_asked: int = 0
    before: Callable[[int], Awaitable[None]] | None = None
    clock: Clock | None = None

    def client(self, name: str) -> httpx.AsyncClient:
        answer = self._balances if name == "invoice-svc" else self._automation
        return httpx.AsyncClient(transport=httpx.MockTransport(answer), base_url=f"http://{name}")

    async def _balances(self, request: httpx.Request) -> httpx.Response:
        if self.invoice_svc_down:
            raise httpx.ConnectError("refused", request=request)
        ids = [UUID(one) for one in json.loads(request.content)["invoice_ids"]]
        self.asked.append(ids)
        if self.before:
            await self.before(len(self.asked))
        assert self.clock
        found = [self._answer(self.invoices[one]) for one in ids if one in self.invoices]
        return httpx.Response(200, json={"as_of": self.clock.now().isoformat(), "invoices": found})

    def _answer(self, invoice: InvoiceState) -> dict[str, Any]:
        hold = self.customer_holds.get(invoice.customer_id)
        return invoice.model_dump(mode="json") | {"customer_hold": hold and hold.model_dump(mode="json")}

    async def _automation(self, request: httpx.Request) -> httpx.Response:
        if self.scheduler_svc_down:
            return httpx.Response(503)
        self.automation_asked += 1
        on = self.automation.get(UUID(request.url.params["seller_id"]), True)
        return httpx.Response(200, json={"on": on, "reason": None})


@dataclass
class World:
    service: Service
    bus: Bus
    clock: SimulatedClock
    peers: Peers
    seller: SellerState
    mailbox: Path

    @classmethod
    async def open(cls, make_database: MakeDatabase, folder: Path, *, seller: Any = None, **settings: Any) -> World:
        url = await make_service_database(make_database, "notifier_svc")
        return await cls.on(url, await make_bus_database(make_database), folder, seller=seller, **settings)

    @classmethod
    async def on(cls, url: str, bus_url: str, folder: Path, *, seller: Any = None, **settings: Any) -> World:
        """On databases that exist: a second world on the same ones is a second process."""
        bus = open_bus(bus_url)
        given = make_settings(Settings, url, bus_url, mailbox_folder=folder / "mailbox", **settings)
        clock = SimulatedClock(MONDAY)
        peers = Peers(clock=clock)
        service = await build(given, clock=clock, bus=bus, http=peers.client)
        await service.start()
        world = cls(service, bus, clock, peers, seller or new_seller(), folder / "mailbox")
        await world.publish(SellerChanged(seller_id=world.seller.id, seller=world.seller))
        return world

    async def close(self) -> None:
        await self.service.stop()
        await self.bus.close()

    async def reset(self) -> None:
        """As new, for the next test: another seller, empty tables and mailbox, Monday again."""
        await self.settle()
        async with self.service.db.transaction() as session:
            await session.execute(text(_EMPTY))
        for path in self.files():
            path.unlink()
        vars(self.clock)["_now"] = MONDAY
        vars(self.peers).update(vars(Peers(clock=self.clock)))
        self.seller = new_seller()
        self.task("deliveries").nudge()
        await self.publish(SellerChanged(seller_id=self.seller.id, seller=self.seller))

    async def publish(self, *events: Event) -> None:
        """Puts events on the bus as another service would."""
        await self.bus.publish([self.record(event) for event in events])

    def record(self, event: Event, traceparent: str | None = None) -> Record:
        message = Message(
            id=uuid7(),
            source="/test",
            type=event.type,
            time=self.clock.now(),
            subject=str(event.subject()),
            partition_key=str(event.partition_key()),
            sequence=event.sequence(),
            data=event.model_dump_json().encode(),
            traceparent=traceparent,
        )
        return Record.of(event.topic, message)

    async def settle(self, rounds: int = 50) -> None:
        """Runs the tasks until nothing moves, as a simulation does."""
        for _ in range(rounds):
            if not sum([await task.run() for task in self.service.tasks]):
                return
        raise AssertionError("it never comes to rest")

    def task(self, name: str) -> Any:
        return next(task for task in self.service.tasks if task.name == name)

    async def customer(self, **given: Any) -> CustomerState:
        """A new customer, told to the notifier."""
        state = new_customer(**given)
        await self.publish(CustomerChanged(seller_id=self.seller.id, customer_id=state.id, customer=state))
        return state

    def invoice(self, customer: CustomerState, **given: Any) -> InvoiceState:
        """A new open invoice of 119.00 EUR, 10 days overdue, that invoice-svc knows."""
        state = new_invoice(customer, **given)
        self.peers.invoices[state.id] = state
        return state

    def change(self, invoice: InvoiceState, **changes: Any) -> InvoiceState:
        """invoice-svc knows it differently from now on."""
        state = invoice.model_copy(update={"version": invoice.version + 1, **changes})
        self.peers.invoices[state.id] = state
        return state

    def due(self, customer: CustomerState, *invoices: InvoiceState, **given: Any) -> PaymentDue:
        """A decided touch about the invoices."""
        today = self.clock.now().date()
        items = tuple(
            Item(
                invoice=invoice,
                step="second",
                amount_minor=invoice.chased_minor,
                days_overdue=(today - invoice.due_date).days if invoice.due_date else 0,
            )
            for invoice in invoices
        )
        values: dict[str, Any] = {
            "seller_id": self.seller.id,
            "customer_id": customer.id,
            "touch_id": uuid7(),
            "stage": Stage.OVERDUE,
            "step": "second",
            "tone": Tone.NEUTRAL,
            "template": "second",
            "channels": (Channel.EMAIL,),
            "items": items,
            "decided_at": self.clock.now(),
            "local_date": today,
            "valid_until": self.clock.now() + timedelta(hours=6),
            "policy_key": "business",
            "policy_version": 1,
            "window": WINDOW,
        }
        return PaymentDue(**(values | given))

    async def remind(self, customer: CustomerState, *invoices: InvoiceState, **given: Any) -> PaymentDue:
        event = self.due(customer, *invoices, **given)
        await self.publish(event)
        return event

    async def told(self, kind: type[EventT]) -> list[EventT]:
        """The events of that type notifier-svc has emitted, in order."""
        async with self.service.db.reading() as session:
            rows = await session.execute(
                text("SELECT payload FROM outbox WHERE type = :type ORDER BY id"), {"type": kind.type}
            )
            return [kind.model_validate_json(row.payload) for row in rows]

    async def all_told(self) -> list[str]:
        """The names of all events emitted, in order."""
        async with self.service.db.reading() as session:
            rows = await session.execute(text("SELECT type FROM outbox ORDER BY id"))
            return [catalogue.EVENT_TYPES[row.type].__name__ for row in rows]

    async def rows(self, statement: str, **values: Any) -> list[Any]:
        async with self.service.db.reading() as session:
            return list((await session.execute(text(statement), values)).all())

    async def execute(self, statement: str, **values: Any) -> None:
        async with self.service.db.transaction() as session:
            await session.execute(text(statement), values)

    async def suppress(self, channel: str, kind: str = "full") -> None:
        """Closes that channel of all customers without telling anybody."""
        await self.execute(
            "INSERT INTO suppression (id, seller_id, channel, address_sha256, kind, reason, created_at) "
            "SELECT gen_random_uuid(), seller_id, :channel, CASE :channel WHEN 'email' THEN email_sha256 "
            "WHEN 'sms' THEN phone_sha256 ELSE letter_sha256 END, :kind, 'by-hand', CAST(:now AS timestamptz) "
            "FROM customer",
            channel=channel,
            kind=kind,
            now=self.clock.now(),
        )

    async def statuses(self) -> dict[str, str]:
        """Per channel the status of the deliveries there are."""
        return {row.channel: row.status for row in await self.rows("SELECT channel, status FROM delivery ORDER BY id")}

    def files(self, pattern: str = "*") -> list[Path]:
        return sorted(path for path in self.mailbox.glob(pattern) if path.is_file())


async def make_bus_database(make_database: MakeDatabase) -> str:
    """A fresh event log with its topics, copied from one that is made once."""
    if make_database not in _bus_templates:
        url = await make_database()
        bus = open_bus(url)
        await bus.ensure_topics()
        await bus.close()
        _bus_templates[make_database] = url
    return await copy_database(_bus_templates[make_database])
