"""Idempotency-Key: the first answer is stored in the transaction of its effect, and replayed for 7 days."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from fastapi import Request
from sqlalchemy import BigInteger, bindparam, delete, func, insert, select
from starlette.responses import Response

from remit_events.session import Session
from remit_service.clock import Clock
from remit_service.database import Database
from remit_service.metrics import REPLAYED
from remit_service.problems import Problem
from remit_service.shared import shared
from remit_service.tables import idempotency

HEADER = "Idempotency-Key"
KEPT = timedelta(days=7)
LONGEST_KEY = 255
PURGE_EVERY = timedelta(hours=1)
_LOCK = select(func.pg_try_advisory_xact_lock(bindparam("lock", type_=BigInteger)))
_FIND = select(idempotency.c.fingerprint, idempotency.c.status, idempotency.c.headers, idempotency.c.body).where(
    idempotency.c.seller_id == bindparam("seller"),
    idempotency.c.route == bindparam("given_route"),
    idempotency.c.key == bindparam("given_key"),
)
_KEPT_HEADERS = ("content-type", "location", "etag")


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request under a key: `fingerprint` is the SHA-256 of path, query and body."""

    seller_id: UUID
    route: str
    key: str
    fingerprint: bytes

    @property
    def lock(self) -> int:
        """A signed 64-bit number for PostgreSQL's advisory locks."""
        text = f"idempotency\n{self.seller_id}\n{self.route}\n{self.key}"
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big", signed=True)


async def attempt_of(request: Request, seller_id: UUID, route: str) -> Attempt:
    """Raises a 422 problem when the key is no key."""
    key = request.headers[HEADER]
    if not 1 <= len(key) <= LONGEST_KEY or not key.isascii() or not key.isprintable():
        detail = f"{HEADER} must be 1 to {LONGEST_KEY} printable ASCII characters; a random UUID is best."
        raise Problem("idempotency-key-invalid", 422, "Invalid Idempotency-Key", detail)
    seen = hashlib.sha256(f"{request.url.path}?{request.url.query}\n".encode())
    seen.update(await request.body())
    return Attempt(seller_id, f"{request.method} {route}", key, seen.digest())


async def earlier_answer(session: Session, attempt: Attempt, service: str) -> Response | None:
    """The stored answer, or None when this request is the first: then its key is locked until the commit.

    Raises 409 while another request with the key runs, 422 when the key was used for another request.
    """
    # Two statements: the second must see what the holder of the lock committed before it let go.
    if not await session.scalar(_LOCK, {"lock": attempt.lock}):
        detail = f"A request with this {HEADER} is still running. Ask again with the same key in a second."
        raise Problem("idempotency-in-progress", 409, "Still running", detail, headers={"Retry-After": "1"})
    asked = {"seller": attempt.seller_id, "given_route": attempt.route, "given_key": attempt.key}
    found = (await session.execute(_FIND, asked)).one_or_none()
    if found is None:
        return None
    if found.fingerprint != attempt.fingerprint:
        detail = f"This {HEADER} was used for another request within 7 days. Use a new key for a new request."
        raise Problem("idempotency-key-reused", 422, "Idempotency-Key reused", detail)
    REPLAYED.labels(service).inc()
    return Response(found.body, found.status, found.headers | {"Idempotency-Replayed": "true"})


async def keep_answer(session: Session, attempt: Attempt, response: Response, now: datetime) -> None:
    """Stores a 2xx answer; others may be tried again."""
    if not 200 <= response.status_code < 300:
        return
    headers = {name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers}
    values = {
        "seller_id": attempt.seller_id,
        "route": attempt.route,
        "key": attempt.key,
        "fingerprint": attempt.fingerprint,
        "status": response.status_code,
        "headers": headers,
        "body": bytes(response.body),
        "created_at": now,
    }
    await session.execute(insert(idempotency), values)


async def replayed(request: Request, session: Session, attempt: Attempt) -> Response | None:
    return await earlier_answer(session, attempt, shared(request).name)


async def purge(session: Session, now: datetime) -> int:
    """Deletes answers older than 7 days; gives how many."""
    gone: Any = await session.execute(delete(idempotency).where(idempotency.c.created_at < now - KEPT))
    return int(gone.rowcount)


class PurgeAnswers:
    """A task that forgets old answers once an hour; it plans nothing, so it never moves a simulated clock."""

    name = "purge-idempotency"
    phase = 0
    poll = 60.0

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db, self._clock = db, clock
        self._due: datetime | None = None

    async def run(self) -> int:
        now = self._clock.now()
        if self._due is not None and now < self._due:
            return 0
        async with self._db.transaction() as session:
            gone = await purge(session, now)
        self._due = now + PURGE_EVERY
        return gone

    async def next_at(self) -> datetime | None:
        return None
