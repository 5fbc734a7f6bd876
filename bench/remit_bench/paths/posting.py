"""Single POST /v1/invoices by 32 callers at once, beside what FastAPI alone does with the same body."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

from remit_testing.api import Api
from remit_testing.installations import KEY, make_installation
from remit_testing.ports import free_port

from remit_bench.caller import Caller
from remit_bench.measure import Comparison, compare
from remit_bench.process import running
from remit_bench.stage import Stage
from remit_local.installation import Installation

CALLERS, POSTS, CUSTOMERS = 32, 5_000, 500
SERVICE = "invoice-svc"
ECHO, ROW, SERIES = "FastAPI echo", "FastAPI and one row committed", "with Remit's own gap-free number"


async def run(stage: Stage) -> Comparison:
    installation = await make_installation(stage.make_database, stage.folder, events_url=stage.kafka.url)
    posts, given = stage.size(POSTS), 0
    echo, row = free_port(), free_port()
    found = Comparison("POST /v1/invoices, 32 callers", "invoices", goals={ECHO: 0.25}, quoted={ECHO: 7_650})
    async with AsyncExitStack() as stack:
        pids = {
            ECHO: stack.enter_context(running(["-m", "remit_bench.echo", str(echo)], echo)),
            ROW: stack.enter_context(running(["-m", "remit_bench.echo", str(row), await stage.make_database()], row)),
        }
        caller, pid = await stack.enter_async_context(service(installation))
        peers = {
            name: await stack.enter_async_context(Caller(port, CALLERS)) for name, port in ((ECHO, echo), (ROW, row))
        }

        def bodies(*, numbered: bool) -> list[bytes]:
            nonlocal given
            given += posts
            return [_body(n, numbered=numbered) for n in range(given - posts, given)]

        def turn(on: Caller, path: str, *, numbered: bool = True) -> Callable[[], object]:
            return lambda: on.post(path, bodies(numbered=numbered))

        beside = {name: turn(on, "/") for name, on in peers.items()}
        beside[SERIES] = turn(caller, "/v1/invoices", numbered=False)
        processes = stage.processes(service=lambda: pid, **{name: (lambda one=one: one) for name, one in pids.items()})
        return await compare(found, processes, stage.rounds, turn(caller, "/v1/invoices"), beside, before={})


@asynccontextmanager
async def service(installation: Installation) -> AsyncIterator[tuple[Caller, int]]:
    """invoice-svc's API as a process of its own, with customers C-0 to C-499, and its callers."""
    port = int(installation.addresses.urls()[SERVICE].rpartition(":")[2])
    headers = [("Authorization", f"Bearer {KEY}")]
    with running(["-m", "invoice_svc", "api"], port, installation.environment(SERVICE)) as pid:
        async with Api.of(installation) as api:
            made = [{"external_id": f"C-{n}", "name": f"Customer {n}", "country": "DE"} for n in range(CUSTOMERS)]
            await api.post(SERVICE, "/v1/customers/batch", {"customers": made})
        async with Caller(port, CALLERS, headers) as caller:
            yield caller, pid


def _body(n: int, *, numbered: bool) -> bytes:
    body = {
        "customer_external_id": f"C-{n % CUSTOMERS}",
        "amount_minor": 11_900 + n,
        "currency": "EUR",
        "issue_date": "2026-03-02",
        "due_date": "2026-04-01",
    }
    return json.dumps(body | ({"number": f"B-{n:08}"} if numbered else {})).encode()
