"""PaymentDue on Kafka → e-mail accepted by an SMTP peer, beside a bare pool that sends pre-rendered mail to that peer.

notifier-svc, invoice-svc (what is still owed?), scheduler-svc (is automation on?) and the peer are processes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from remit_testing.api import Api
from remit_testing.installations import SELLER, make_installation
from uuid6 import uuid7

from notifier_svc.providers.signing import Dkim
from remit_bench.book import send
from remit_bench.mail import Sink, pool, sink
from remit_bench.measure import Comparison, compare
from remit_bench.process import running
from remit_bench.reminders import due, letter, make_invoices, relay
from remit_bench.stage import Stage
from remit_events.bus import Bus, Record, open_bus
from remit_events.state import SellerState
from remit_local.installation import Installation, package_of

MESSAGES, CONNECTIONS = 3_000, 32
RAW = "pooled aiosmtplib, pre-rendered"
# Only what the path needs: scheduler-svc's tasks would send reminders of their own, invoice-svc's note what was sent.
COMMANDS = {"invoice-svc": "api", "scheduler-svc": "api", "notifier-svc": "run"}


async def run(stage: Stage) -> Comparison:
    found = Comparison("PaymentDue → e-mail accepted", "messages", goals={RAW: 0.4}, least=1_000)
    found.quoted = {RAW: 2_700}
    return await measured(stage, found)


async def measured(stage: Stage, found: Comparison, signer: Dkim | None = None, **settings: Any) -> Comparison:
    """`settings` are further ones of notifier-svc; `signer` signs the pre-rendered mail."""
    messages = stage.size(MESSAGES)
    ready = letter(SellerState(id=uuid7(), version=1, **SELLER), signer)
    async with sending(stage, **settings) as (installation, peer, bus, pids), pool(peer.port, CONNECTIONS) as raw:
        issued = await make_invoices(installation, bus, messages)
        asked: list[Record] = []

        async def prepare() -> None:
            asked[:] = due(issued)

        async def path() -> int:
            until = await peer.accepted() + messages
            await send(bus, asked)
            await peer.reaches(until)
            return messages

        beside = {RAW: lambda: raw.send(ready, messages)}
        groups: dict[str, Callable[[], int]] = {name: (lambda one=one: one) for name, one in pids.items()}
        return await compare(found, stage.processes(**groups), stage.rounds, path, beside, before={"path": prepare})


@asynccontextmanager
async def sending(
    stage: Stage, commands: Mapping[str, str] = COMMANDS, **settings: Any
) -> AsyncIterator[tuple[Installation, Sink, Bus, dict[str, int]]]:
    """Services as processes, sending for real to a peer as fast as it takes; the bus, and the processes' ids."""
    async with AsyncExitStack() as stack:
        peer = await stack.enter_async_context(sink())
        extras = {
            "delivery_mode": "live",
            "smtp_host": "127.0.0.1",
            "smtp_port": peer.port,
            "smtp_security": "none",
            "smtp_rate": 1_000_000,
            "smtp_connections": CONNECTIONS,
            **settings,
        }
        installation = await make_installation(
            stage.make_database, stage.folder, events_url=stage.kafka.url, extras={"notifier-svc": extras}
        )
        pids = {"SMTP peer": peer.pid}
        for name, command in commands.items():
            port, environment = installation.addresses.ports[name], installation.environment(name)
            arguments = ["-m", package_of(name), command]
            pids[name] = stack.enter_context(running(arguments, port, environment | {"LOG_LEVEL": "warning"}))
        bus = open_bus(installation.events_url, prefix=installation.topic_prefix)
        stack.push_async_callback(bus.close)
        await relay(installation, bus)
        api = await stack.enter_async_context(Api.of(installation, patient=True))
        await api.known("notifier-svc")
        await api.put("notifier-svc", "/v1/live-mode", {"on": True, "seller_name": SELLER["name"], "by": "bench"})
        yield installation, peer, bus, pids
