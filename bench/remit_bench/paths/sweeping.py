"""Due follow-ups → decided, PaymentDue in the outbox, next step planned: beside a bare claim-and-update loop."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import asyncpg
from remit_testing.notifier import make_bus_database
from remit_testing.service import make_service_database, make_settings

from remit_bench.book import changed, customers, invoices, issued, publish
from remit_bench.measure import Comparison, compare
from remit_bench.stage import Stage
from remit_events.bus import open_bus
from remit_events.consumer import Consumer
from remit_events.state import CustomerState
from remit_service.clock import SimulatedClock
from remit_service.service import Service
from scheduler_svc.app import NAME, build
from scheduler_svc.settings import Settings
from scheduler_svc.sweep import Sweep

OPEN, DUE, EACH = 1_000_000, 100_000, 4  # invoices open, customers due in all rounds together, invoices per customer
CLAIM = 1_000
PLANNED = datetime(2026, 3, 2, 8, tzinfo=UTC)
# The courtesy note of what falls due seven days later; the customers' other invoices fall due later.
NOW = datetime(2026, 3, 16, 9, tzinfo=UTC)
DUE_ON, LATER = date(2026, 3, 23), date(2026, 5, 29)

_CUSTOMERS = """
WITH made AS (SELECT gen_random_uuid() AS id, n FROM generate_series(1, $2) AS n)
INSERT INTO customer SELECT (jsonb_populate_record(c, jsonb_build_object(
    'id', made.id, 'external_id', 'C-' || made.n, 'next_at', NULL,
    'snapshot', c.snapshot || jsonb_build_object('id', made.id, 'external_id', 'C-' || made.n),
    'addresses', ARRAY['email:' || encode(sha256(made.id::text::bytea), 'hex')]))).*
FROM customer c, made WHERE c.id = $1
"""
_FOLLOW_UPS = """
WITH made AS (
    SELECT gen_random_uuid() AS id, f.invoice_id AS of, c.id AS customer_id
    FROM follow_up f, customer c WHERE f.customer_id = $1 AND c.id <> $1
)
INSERT INTO follow_up SELECT (jsonb_populate_record(f, jsonb_build_object(
    'invoice_id', made.id, 'customer_id', made.customer_id,
    'snapshot', f.snapshot || jsonb_build_object('id', made.id, 'customer_id', made.customer_id)))).*
FROM made JOIN follow_up f ON f.invoice_id = made.of
"""
_FALL_DUE = """
UPDATE customer SET next_at = $1 WHERE id IN (
    SELECT id FROM customer WHERE next_at IS NULL AND id <> $3 LIMIT $2
)
"""
_BARE = """
CREATE TABLE bare (id uuid PRIMARY KEY, body jsonb NOT NULL, next_at timestamptz) WITH (fillfactor = 80);
CREATE INDEX ON bare (next_at) WHERE next_at IS NOT NULL;
INSERT INTO bare SELECT invoice_id, snapshot FROM follow_up;
"""
_BARE_DUE = "UPDATE bare SET next_at = $1 WHERE id IN (SELECT id FROM bare WHERE next_at IS NULL LIMIT $2)"
_CLAIM_BARE = """
WITH claimed AS (SELECT id FROM bare WHERE next_at <= $1 ORDER BY next_at LIMIT $2 FOR UPDATE SKIP LOCKED)
UPDATE bare SET next_at = $3 FROM claimed WHERE bare.id = claimed.id
"""


async def run(stage: Stage) -> Comparison:
    url = await make_service_database(stage.make_database, "scheduler_svc")
    bus_url = await make_bus_database(stage.make_database)
    bus, clock = open_bus(bus_url), SimulatedClock(PLANNED)
    service = await build(make_settings(Settings, url, bus_url), clock=clock, bus=bus)
    sweep = next(task for task in service.tasks if isinstance(task, Sweep))
    plain = await asyncpg.connect(url.replace("+asyncpg", ""))
    each = stage.size(DUE) // (stage.rounds + 1)
    try:
        one = await _template(service)
        await _multiply(plain, one, stage.size(OPEN) // EACH)
        clock.set(NOW)

        async def fall_due() -> None:
            await plain.execute(_FALL_DUE, NOW, each, one.id)
            sweep.changed()

        async def bare_due() -> None:
            await plain.execute(_BARE_DUE, NOW, each)

        async def bare() -> int:
            claimed = CLAIM
            while claimed:
                done = await plain.execute(_CLAIM_BARE, NOW, CLAIM, NOW + timedelta(days=7))
                claimed = int(done.rpartition(" ")[2])
            return each

        found = Comparison(
            f"sweep: {stage.size(DUE):,} due among {stage.size(OPEN):,} open",
            "follow-ups",
            goals={"bare claim and update": 0.4},
            quoted={"bare claim and update": 55_000},
        )
        before = {"path": fall_due, "bare claim and update": bare_due}
        await compare(found, stage.processes(), stage.rounds, sweep.run, {"bare claim and update": bare}, before=before)
        sent = await plain.fetchval("SELECT count(*) FROM outbox WHERE type LIKE '%payment.due%'")
        assert sent == each * (stage.rounds + 1), f"{sent} messages were asked for"
        return found
    finally:
        await plain.close()
        await service.stop()
        await bus.close()


async def _template(service: Service) -> CustomerState:
    """A customer whose invoices have come in and are planned, as the service itself has it."""
    (one,) = customers(1)
    found = invoices([one], EACH)
    due = [DUE_ON, *[LATER] * (EACH - 1)]
    found = [invoice.model_copy(update={"due_date": day}) for invoice, day in zip(found, due, strict=True)]
    await publish(service.bus, [*changed([one]), *issued(found)])
    consumer = next(task for task in service.tasks if isinstance(task, Consumer) and task.name == NAME)
    handled = 0
    while handled < 1 + EACH:
        handled += await consumer.run()
    return one


async def _multiply(plain: asyncpg.Connection, one: CustomerState, count: int) -> None:
    await plain.execute(_CUSTOMERS, one.id, count)
    await plain.execute(_FOLLOW_UPS, one.id)
    await plain.execute(_BARE)
    await plain.execute("UPDATE customer SET next_at = NULL WHERE id = $1", one.id)
    await plain.execute("VACUUM ANALYZE")
