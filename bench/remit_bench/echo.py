"""What FastAPI alone does with the same body: `python -m remit_bench.echo PORT [DATABASE_URL]`.

With a database the body is stored as one row, in a transaction of its own.
"""

from __future__ import annotations

import asyncio
import sys

import asyncpg
import uvloop
from fastapi import FastAPI

from invoice_svc.inputs import InvoiceIn
from remit_service import serving

_TABLE = "CREATE TABLE IF NOT EXISTS body (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body jsonb NOT NULL)"


def build(pool: asyncpg.Pool | None) -> FastAPI:
    app = FastAPI(openapi_url=None)

    @app.post("/", status_code=201)
    async def post(body: InvoiceIn) -> InvoiceIn:
        if pool is not None:
            await pool.execute("INSERT INTO body (body) VALUES ($1)", body.model_dump_json())
        return body

    return app


async def main(port: int, url: str | None) -> None:
    pool = await asyncpg.create_pool(url.replace("+asyncpg", ""), min_size=10, max_size=30) if url else None
    if pool is not None:
        await pool.execute(_TABLE)
    stop = asyncio.Event()
    with serving.stopped_by_signals(stop):
        await serving.serve(build(pool), serving.listen("127.0.0.1", port), stop)


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None))
