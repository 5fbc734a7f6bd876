"""All four services with two sellers in them who have something of everything, alike but for their words.

async with two_sellers(make_database, folder) as world:
    world.ours, world.theirs            # a Party each: key, ids by the names of path parameters, words of their own
    world.client("invoice-svc", world.ours)
"""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import structlog
from uuid6 import uuid7

from invoice_svc import sellers
from remit_events.state import ApiKeyState, SellerState
from remit_local.home import SERVICES
from remit_service.auth import key_hash
from remit_service.clock import SimulatedClock
from remit_service.service import Service
from remit_testing.fixtures import MakeDatabase
from remit_testing.installations import KEY, make_installation
from remit_testing.lapse import Lapse, lapse
from remit_testing.twilio import SID, TOKEN, TwilioServer

START = datetime(2026, 3, 2, 7, 30, tzinfo=UTC)  # a Monday, half an hour before the window opens in Berlin
OTHER_KEY = "rk_the-key-of-another-seller-in-tests-0000000"
PUBLIC = "https://pay.remit.example"
POLICY: dict[str, Any] = {
    "steps": [
        {"key": "day-after", "offset": 1, "tone": "neutral", "channels": ["email", "sms", "letter"]},
        {"key": "second", "offset": 7, "tone": "firm", "channels": ["email"]},
    ],
    "window": {"days": "business", "from": "09:00", "to": "17:00"},
    "minimum_gap_days": 0,
}
LADDER = {
    "rungs": [
        {"key": "call", "action": "task", "days_overdue": 1},
        {"key": "visit", "action": "task", "days_overdue": 1, "approval": True},
    ]
}


@dataclass
class Party:
    """A seller. `ids`: something of theirs for each name of a path parameter; `words`: what only they have."""

    seller_id: str
    key: str
    word: str
    number: int
    ids: dict[str, str] = field(default_factory=dict)
    more: dict[str, str] = field(default_factory=dict)

    @property
    def phone(self) -> str:
        return f"+49151123456{self.number:02}"

    @property
    def words(self) -> tuple[str, ...]:
        """What must appear in no answer to anybody else; keys of policies are no secret and not unique."""
        ids = {name: one for name, one in (self.ids | self.more).items() if name not in ("key", "version", "invoice")}
        return (self.key, self.word, self.phone, *ids.values())


@dataclass
class TwoSellers:
    lapse: Lapse
    mailbox: Path
    ours: Party
    theirs: Party

    def service(self, name: str) -> Service:
        return self.lapse.system.services[name]

    def client(self, name: str, party: Party | None = None) -> httpx.AsyncClient:
        return self.lapse.system.client(name, {"Authorization": f"Bearer {party.key}"} if party else {})


@asynccontextmanager
async def two_sellers(make_database: MakeDatabase, folder: Path) -> AsyncIterator[TwoSellers]:
    """Reminders, replies, tasks and approvals come from the services themselves, on a clock that is set."""
    twilio = {"public_url": PUBLIC, "twilio_account_sid": SID, "twilio_auth_token": TOKEN}
    extras = {"notifier-svc": twilio, "escalation-svc": {"rungs_settle_seconds": 0}}
    clock = SimulatedClock(START)
    installation = await make_installation(make_database, folder, extras=extras, clock=clock)
    # Every request would be written down twice over.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    async with lapse(installation, clock) as playing:
        first = (await playing.api.get("invoice-svc", "/v1/sellers/me"))["id"]
        invoices = playing.system.services["invoice-svc"]
        parties = Party(first, KEY, "Ahlbeck", 11), await another(invoices, clock, OTHER_KEY, "Zinnowitz", 22)
        await playing.settle()
        world = TwoSellers(playing, installation.mailbox, *parties)
        for party in parties:
            await _Filled(world, party).begin()
        await playing.until(START + timedelta(days=1, hours=2))
        for party in parties:
            await _Filled(world, party).finish()
        yield world


async def another(service: Service, clock: SimulatedClock, key: str, word: str, number: int) -> Party:
    """One more seller; the other services hear of it when events are passed on."""
    made = ApiKeyState(id=uuid7(), name="test", sha256=key_hash(key), scopes=("*",))
    state = SellerState(id=uuid7(), name="Another", version=1, keys=(made,))
    async with service.db.transaction() as session:
        await sellers.create(session, state, clock.now())
    return Party(str(state.id), key, word, number)


class _Filled:
    """Gives a party something of everything."""

    def __init__(self, world: TwoSellers, party: Party) -> None:
        self.world, self.party = world, party

    async def ask(self, service: str, method: str, path: str, body: Any = None, **headers: str) -> Any:
        async with self.world.client(service, self.party) as client:
            answer = await client.request(method, path, json=body, headers=headers)
        assert answer.is_success, f"{method} {path}: {answer.text}"
        return answer.json()

    async def post(self, path: str, body: Any, service: str = "invoice-svc") -> Any:
        return await self.ask(service, "POST", path, body, **{"Idempotency-Key": str(uuid7())})

    async def begin(self) -> None:
        """What a seller's own people enter, the rules first."""
        party, word = self.party, self.party.word.lower()
        described = {
            "name": f"{party.word} Works",
            "address": f"{party.word} Street 1",
            "sender_email": f"billing@{word}.example",
            "reply_to": f"accounts@{word}.example",
            "iban": "DE89370400440532013000",
            "payment_link": f"https://{word}.example/pay",
            "sms_from": f"+49301234{party.number}",
            "account_manager": f"{party.word} Manager",
        }
        await self.ask("invoice-svc", "PUT", f"/v1/sellers/{party.seller_id}", described, **{"If-Match": "*"})
        rules = f"{word}-rules"
        policy = f"/v1/policies/{rules}/versions?assign_all=true"
        await self.post(policy, POLICY | {"key": rules}, "scheduler-svc")
        await self.post(f"/v1/ladders/{rules}/versions?assign_all=true", LADDER, "escalation-svc")
        party.ids |= {"seller_id": party.seller_id, "key": rules, "version": "1"}
        key = await self.post("/v1/api-keys", {"name": f"{party.word} books", "scopes": ["invoices:read"]})
        party.ids["key_id"] = key["id"]
        await self.customer()
        await self.money()
        await self.imported()

    async def customer(self) -> None:
        word, party = self.party.word.lower(), self.party
        described = {
            "external_id": f"{word}-open",  # as one of their invoices: ids of callers are unique per kind
            "name": f"{party.word} Customer",
            "profile": "business",
            "country": "DE",
            "email": f"ap@{word}.example",
            "phone": party.phone,
            "address": f"{party.word} Lane 2\n10115 Berlin",
            "sms_consent": True,
        }
        made = await self.post("/v1/customers", described)
        party.ids |= {"customer_id": made["id"], "customer": made["id"]}
        party.more["customer_external_id"] = described["external_id"]

    async def invoice(self, name: str, **given: Any) -> str:
        """With an external id of its own, as its number has."""
        body = {
            "customer_id": self.party.ids["customer_id"],
            "external_id": f"{self.party.word.lower()}-{name}",
            "issue_date": "2026-02-02",
            "due_date": "2026-03-01",
            "amount_minor": 11_900,
            "currency": "EUR",
        }
        body |= {} if given.get("draft") else {"number": f"{self.party.word}-{name}"}
        made = await self.post("/v1/invoices", body | given)
        self.party.more[name] = made["id"]
        return str(made["id"])

    async def money(self) -> None:
        """Invoices: one open, one in dispute, one promised, one held, one draft, one paid."""
        ids = self.party.ids
        ids["invoice_id"] = ids["invoice"] = await self.invoice("open")
        ids["external_id"] = f"{self.party.word.lower()}-open"
        disputed = await self.invoice("disputed")
        dispute = {"reason": f"{self.party.word} says broken", "deadline": "2026-04-15"}
        ids["dispute_id"] = (await self.post(f"/v1/invoices/{disputed}/disputes", dispute))["id"]
        promised = {"on": "2026-03-20"}
        await self.post(f"/v1/invoices/{await self.invoice('promised')}/promises", promised)
        held = {"reason": f"{self.party.word} asked", "until": "2026-03-31"}
        await self.post(f"/v1/invoices/{await self.invoice('held')}/hold", held)
        await self.invoice("draft", draft=True)
        payment = {
            "invoice_id": await self.invoice("paid", issue_date="2026-03-02", due_date="2026-04-01"),
            "settle": True,
            "reference": f"{self.party.word} transfer",
            "external_id": f"{self.party.word}-payment",
        }
        ids["payment_id"] = (await self.post("/v1/payments", payment))["id"]

    async def imported(self) -> None:
        """One row is taken and one refused."""
        made = await self.post("/v1/imports", {"file_name": f"{self.party.word}.csv", "rows_total": 2})
        row = {
            "line": 2,
            "customer_external_id": f"{self.party.word}-imported",
            "customer_name": f"{self.party.word} Imported",
            "country": "DE",
            "invoice_number": f"{self.party.word}-imported",
            "issue_date": "2026-03-02",
            "amount_minor": 100,
            "currency": "EUR",
        }
        rows = {"rows": [row, row | {"line": 3, "invoice_number": f"{self.party.word}-2", "due_date": "2026-01-01"}]}
        await self.post(f"/v1/imports/{made['id']}/rows", rows)
        self.party.ids["import_id"] = made["id"]

    async def finish(self) -> None:
        """Gathers what the services made of it, and what debtors did."""
        party = self.party
        by_hand = {"customer_id": party.ids["customer_id"], "channel": "phone", "note": f"{party.word} called"}
        party.more["contact"] = (await self.post("/v1/contacts", by_hand, "scheduler-svc"))["id"]
        closed = {"channel": "email", "address": f"old@{party.word.lower()}.example", "note": f"{party.word} asked"}
        party.ids["suppression_id"] = (await self.post("/v1/suppressions", closed, "notifier-svc"))["id"]
        await self.debtor_answers()
        found = {
            "delivery_id": ("notifier-svc", "/v1/deliveries?channel=letter"),
            "reply_id": ("notifier-svc", "/v1/replies"),
            "case_id": ("escalation-svc", "/v1/cases?escalated=true"),
            "approval_id": ("escalation-svc", "/v1/approvals?status=pending"),
            "task_id": ("escalation-svc", "/v1/tasks?status=open"),
        }
        for name, (service, path) in found.items():
            listed = await self.ask(service, "GET", path)
            first = listed["data"][0]
            party.ids[name] = first.get("id") or first[name]
        party.ids["token"] = self.token()

    async def debtor_answers(self) -> None:
        form = {
            "MessageSid": f"SM-{self.party.word}",
            "From": self.party.phone,
            "To": f"+49301234{self.party.number}",
            "Body": f"{self.party.word} will pay next week",
        }
        answer = await signed(self.world, "/v1/callbacks/twilio/inbound", form)
        assert answer.status_code == 200, answer.text
        await self.world.lapse.settle()

    def token(self) -> str:
        """Of the unsubscribe link in a mail to the customer."""
        address = f"ap@{self.party.word.lower()}.example"
        mails = [message_from_bytes(path.read_bytes(), policy=default) for path in self.world.mailbox.glob("*.eml")]
        links = [mail["List-Unsubscribe"] for mail in mails if address in mail["To"] and mail["List-Unsubscribe"]]
        found = re.search(r"/v1/unsubscribe/([A-Za-z0-9_-]+)", links[0])
        assert found
        return found[1]


async def signed(world: TwoSellers, path: str, form: Mapping[str, str]) -> httpx.Response:
    """A callback as Twilio sends it."""
    headers = {
        "X-Twilio-Signature": TwilioServer().signature(PUBLIC + path, dict(form)),
        "Content-Type": "application/x-www-form-urlencoded",
    }
    async with world.client("notifier-svc") as client:
        return await client.post(path, content=urlencode(form), headers=headers)


__all__ = ["PUBLIC", "SERVICES", "Party", "TwoSellers", "signed", "two_sellers"]
