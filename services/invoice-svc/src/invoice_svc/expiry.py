"""Tasks of the clock: promises whose grace has ended are judged, holds whose last day has passed are lifted."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import datetime

from invoice_svc import holds, promises
from remit_events.session import Session
from remit_service.clock import Clock
from remit_service.database import Database

# Another process may have made a promise meanwhile: what is known is looked up again after so many seconds.
LOOK_AGAIN = 5.0

Expire = Callable[[Session, datetime], Awaitable[int]]
Next = Callable[[Session], Awaitable[datetime | None]]


class Expiry:
    """One kind of thing that ends by itself. Knows when the next one does, so that an idle run costs nothing."""

    phase = 0
    poll = 1.0

    def __init__(self, name: str, db: Database, clock: Clock, expire: Expire, next_expiry: Next) -> None:
        self.name = name
        self.wake = asyncio.Event()
        self._db, self._clock = db, clock
        self._expire, self._next_expiry = expire, next_expiry
        self._due: datetime | None = None
        self._known_until = 0.0
        db.wakes.append(self._on_commit)

    def note(self, ends: datetime | None) -> None:
        """Something was made that ends then; too early a note only costs a look."""
        if ends is not None and (self._due is None or ends < self._due):
            self._due = ends
            self.wake.set()

    async def run(self) -> int:
        """Ends what is due, in batches; gives how many."""
        done = 0
        while await self._is_due():
            async with self._db.transaction() as session:
                count = await self._expire(session, self._clock.now())
            done += count
            self._known_until = 0.0
            if not count:
                await self._look()
                break
        return done

    async def next_at(self) -> datetime | None:
        if time.monotonic() >= self._known_until:
            await self._look()
        return self._due

    def _on_commit(self) -> None:
        # A payment may have ended what was known to end; with nothing known, only `note` brings something.
        if self._due is not None:
            self._known_until = 0.0

    async def _is_due(self) -> bool:
        due = await self.next_at()
        return due is not None and due <= self._clock.now()

    async def _look(self) -> None:
        async with self._db.reading() as session:
            self._due = await self._next_expiry(session)
        self._known_until = time.monotonic() + LOOK_AGAIN


def promise_expiry(db: Database, clock: Clock) -> Expiry:
    return Expiry("promise-expiry", db, clock, promises.expire, promises.next_expiry)


def hold_expiry(db: Database, clock: Clock) -> Expiry:
    return Expiry("hold-expiry", db, clock, holds.expire, holds.next_expiry)
