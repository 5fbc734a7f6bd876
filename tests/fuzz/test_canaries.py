"""Invariant 34: secrets and what is personal never get into logs, spans, metrics or errors.

The four services log everything and record every span; everything secret or personal is a word
found nowhere else. What can go wrong does: bad input, wrong keys, refusals by providers, a bus and a database that
misbehave.
"""

from __future__ import annotations

import asyncio
import io
import logging
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
import structlog
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from remit_testing.api import Api
from remit_testing.at_once import AtOnce, now
from remit_testing.fixtures import MakeDatabase
from remit_testing.installations import KEY, make_installation
from remit_testing.live import built, live
from remit_testing.smtp_peer import SmtpPeer
from remit_testing.stores import Stores
from remit_testing.twilio import SID, TOKEN, TwilioServer
from uuid6 import uuid7

from remit_events.bus import Record, open_bus
from remit_events.envelope import Message
from remit_local.installation import Installation
from remit_service import logs, telemetry

PUBLIC = "https://pay.remit.example"
PERSONAL = {
    "name": "Kanaria Zwitscher",
    "address": "Volierenweg 99",
    "email": "kanaria.zwitscher@voliere.example",
    "refused": "kanaria.refused@voliere.example",
    "phone": "+4915199988877",
    "reason": "Mauser seit Montag",
    "reference": "Hirse und Sepiaschale",
    "words": "ich zahle wenn der Kuckuck ruft",
    "file": "kanarien-liste.csv",
    "note": "ruft immer um sieben an",
}
SECRETS = {
    "key": KEY,
    "service key": "a-canary-among-service-keys-4711",
    "smtp password": "canary-smtp-password-0815",
    "twilio token": TOKEN,
    "wrong key": "rk_a-canary-that-is-no-key-000000000000000",
    "database password": "canary-of-the-database-2342",
}
CUT = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
# What a refusing server or a failing library says back may name an address in any of its forms.
FORMS = (str, str.lower, str.upper, lambda text: text.replace("@", "%40"), lambda text: text.lstrip("+"))


class Refusing(SmtpPeer):
    """Takes mail for all but one, whose address it repeats in its refusal, as servers do."""

    async def handle_RCPT(  # noqa: N802  # the library's name
        self, server: Any, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        if address == PERSONAL["refused"]:
            return f"550 5.1.1 <{address}>: no such user {PERSONAL['name']}"
        envelope.rcpt_tos.append(address)
        return "250 OK"


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """Everything that is logged, down to debug."""
    written = io.StringIO()
    with monkeypatch.context() as here:
        here.setattr(sys, "stderr", written)
        logs.configure("debug")
    structlog.configure(cache_logger_on_first_use=False)  # or they would write here for good
    yield written
    structlog.reset_defaults()
    logging.getLogger().handlers = []
    logging.getLogger().setLevel(logging.WARNING)


@pytest.fixture
def exporter() -> Iterator[InMemorySpanExporter]:
    """Every span that ends in this process."""
    exporter = InMemorySpanExporter()
    telemetry.configure("tests", record=True).add_span_processor(SimpleSpanProcessor(exporter))
    yield exporter
    # A provider keeps its processors for good, and one that was shut down complains of every later span.
    exporter.shutdown()


async def test_no_canary_is_seen(
    make_database: MakeDatabase,
    tmp_path: Path,
    told: io.StringIO,
    exporter: InMemorySpanExporter,
    invariant: Any,
) -> None:
    with Refusing() as peer:
        async with TwilioServer() as twilio:
            installation = await _installation(make_database, tmp_path, peer, twilio)
            system = await built(installation)
            for service in system.services.values():
                telemetry.trace_statements(service.db.engine)
            async with live(system), Api.of(installation) as api:
                given = await _lived(installation, api, twilio)
                given |= await _followed_a_link(api, peer)
                said = await _failed(installation, api)
                said += [(await client.get("/metrics")).text for client in api.clients.values()]
    log, spans = told.getvalue(), "\n".join(span.to_json() for span in exporter.get_finished_spans())
    assert len(peer.ledger) >= 2
    assert twilio.posts
    assert "POST /v1/customers" in spans
    assert "INSERT INTO" in spans
    assert '"route": "/v1/customers"' in log
    assert '"level": "error"' in log, "what went wrong is told"
    seen = [
        f"{what} in {where}"
        for where, text in (("logs", log), ("spans", spans), ("metrics and errors", "\n".join(said)))
        for what, word in (PERSONAL | SECRETS | given).items()
        if any(form(word) in text for form in FORMS)
    ]
    assert seen == []
    invariant(34, "canaries in logs, spans, metrics and errors").held(
        rounds=len(PERSONAL | SECRETS | given),
        log_lines=log.count("\n"),
        span_bytes=len(spans),
        answers=len(said),
        seen=0,
    )


async def _installation(
    make_database: MakeDatabase, folder: Path, peer: SmtpPeer, twilio: TwilioServer
) -> Installation:
    notifier = peer.settings | {
        "public_url": PUBLIC,
        "twilio_account_sid": SID,
        "twilio_auth_token": TOKEN,
        "twilio_base_url": twilio.url,
        "twilio_from": "+4930123456",
        "smtp_password": SECRETS["smtp password"],  # the peer asks for none; it must not be told all the same
    }
    made = await make_installation(make_database, folder, extras={"notifier-svc": notifier})
    user = f"postgres:{SECRETS['database password']}@"  # the server asks for none
    urls = {name: url.replace("postgres@", user) for name, url in made.databases.items()}
    return replace(made, service_key=SECRETS["service key"], databases=urls)


async def _lived(installation: Installation, api: Api, twilio: TwilioServer) -> dict[str, str]:
    """A debtor's life: invoice, reminder by mail and SMS, a refusal, a reply, a dispute, a hold, a payment.

    Gives the secrets that were made on the way.
    """
    at_once = AtOnce(now())
    await at_once.rules(api)
    by_sms = at_once.policy | {"key": "by-sms"}
    by_sms["steps"][0]["channels"] = ["email", "sms"]
    await api.post("scheduler-svc", "/v1/policies/by-sms/versions", by_sms, assign_all="true")
    twilio.script("code:21211")
    for number, email in (("K-1", PERSONAL["email"]), ("K-2", PERSONAL["refused"])):
        customer = {
            "external_id": f"c-{number}",
            "name": PERSONAL["name"],
            "address": PERSONAL["address"],
            "email": email,
            "phone": PERSONAL["phone"],
            "sms_consent": True,
            "country": "DE",
            "timezone": at_once.zone,
            "profile": "business",
        }
        await api.post("invoice-svc", "/v1/customers", customer)
        yesterday = at_once.today.replace(day=1) if at_once.today.day > 1 else at_once.today
        due = {"issue_date": "2026-01-01", "due_date": str(yesterday)}
        invoice = {"customer_external_id": f"c-{number}", "number": number, "amount_minor": 100, "currency": "EUR"}
        made = await api.post("invoice-svc", "/v1/invoices", invoice | due)
    async with Stores(installation) as stores:
        await stores.settled(60)
        path = f"/v1/invoices/{made['id']}"
        await api.post("invoice-svc", f"{path}/disputes", {"reason": PERSONAL["reason"], "amount_minor": 1})
        await api.post("invoice-svc", f"{path}/hold", {"reason": PERSONAL["reason"]})
        by_hand = {"customer_external_id": "c-K-1", "channel": "phone", "note": PERSONAL["note"]}
        await api.post("scheduler-svc", "/v1/contacts", by_hand)
        await api.post("invoice-svc", "/v1/imports", {"file_name": PERSONAL["file"], "rows_total": 1})
        form = {"MessageSid": "SM1", "From": PERSONAL["phone"], "To": "+4930123456", "Body": PERSONAL["words"]}
        callback = "/v1/callbacks/twilio/inbound"
        signature = twilio.signature(PUBLIC + callback, form)
        answer = await api.clients["notifier-svc"].post(callback, data=form, headers={"X-Twilio-Signature": signature})
        assert answer.status_code == 200, answer.text
        paid = {"invoice_number": "K-1", "settle": True, "reference": PERSONAL["reference"]}
        await api.post("invoice-svc", "/v1/payments", paid)
        key = await api.post("invoice-svc", "/v1/api-keys", {"name": "bookkeeping", "scopes": ["invoices:read"]})
        await stores.settled(60)
    return {"signature": signature, "new key": key["key"]}


async def _followed_a_link(api: Api, peer: SmtpPeer) -> dict[str, str]:
    """The debtor looks at the page, unsubscribes, and tries a link that was cut off; gives the links' tokens."""
    links = [str(one.message["List-Unsubscribe"]) for one in peer.ledger if one.message["List-Unsubscribe"]]
    token = re.findall(r"/v1/unsubscribe/([\w-]+)>", links[0])[0]
    client = api.clients["notifier-svc"]
    wanted = ((token, 200), (token[:-1], 404))
    for one, status in wanted:
        assert (await client.get(f"/v1/unsubscribe/{one}")).status_code == status
        answer = await client.post(f"/v1/unsubscribe/{one}", data={"List-Unsubscribe": "One-Click"})
        assert answer.status_code == status, answer.text
    return {"token": token, "token cut off": token[:-1]}


async def _failed(installation: Installation, api: Api) -> list[str]:
    """What goes wrong, and what strangers are told of it."""
    headers = {"Authorization": f"Bearer {SECRETS['wrong key']}"}
    paths = ("/v1/customers", f"/{PERSONAL['email']}", f"/v1/deliveries?customer={PERSONAL['name']}")
    urls = [url + path for url in installation.addresses.urls().values() for path in paths]
    async with httpx.AsyncClient(trust_env=False, headers=headers) as nobody:
        said = [(await nobody.post(url, json={"name": PERSONAL["name"]})).text for url in urls]
    client = api.clients["invoice-svc"]
    for body in ({"name": PERSONAL["name"], "email": PERSONAL["phone"]}, [PERSONAL["address"]], PERSONAL["reason"]):
        assert (await client.post("/v1/customers", json=body)).status_code == 422
    for path in (PERSONAL["email"], PERSONAL["phone"], "x?cursor=" + PERSONAL["name"]):
        assert (await client.get(f"/v1/customers/by-external-id/{path}")).status_code in (404, 422)
    await _poison(installation)
    await _database_away(installation, client)
    return said


async def _poison(installation: Installation) -> None:
    """A record no consumer can read: it ends as a dead letter, which a log line tells."""
    bus = open_bus(installation.events_url, prefix=installation.topic_prefix)
    data = f'{{"seller_id": "{PERSONAL["name"]}", "customer": {{"email": "{PERSONAL["email"]}"}}}}'.encode()
    kind = "com.remit.customer.changed.v1"
    bad = Message(uuid7(), "/test", kind, now(), PERSONAL["name"], str(uuid7()), 1, data)
    await bus.publish([Record.of("remit.invoices.v1", bad)])
    async with Stores(installation) as stores, asyncio.timeout(30):
        while not await stores.rows("scheduler-svc", "SELECT 1 FROM dead_letter"):  # noqa: ASYNC110  # another's table
            await asyncio.sleep(0.1)
    await bus.close()


async def _database_away(installation: Installation, client: httpx.AsyncClient) -> None:
    """Connections are cut while requests and workers use them."""
    url = installation.databases["invoice-svc"].replace("+asyncpg", "")
    connection = await asyncpg.connect(url)
    try:
        for _ in range(5):
            body = {"external_id": str(uuid7()), "name": PERSONAL["name"], "country": "DE", "email": PERSONAL["email"]}
            posts = [client.post("/v1/customers", json=body) for _ in range(10)]
            await asyncio.gather(*posts, connection.execute(CUT), return_exceptions=True)
    finally:
        await connection.close()
