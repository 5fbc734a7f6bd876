"""Bus to handler: at least once in, effect once.

Poll, filter by the inbox, handle, commit the database, then the offsets. What fails by itself is put aside and its
key's later events behind it; what fails for lack of infrastructure is read again later.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

import structlog

from remit_events import dead_letters, faults, inbox
from remit_events.bus import Bus, BusError, Delivered, FencedError, Received
from remit_events.dead_letters import DeadLetter
from remit_events.delivery_metrics import DEAD_LETTERS, HANDLED, LAG
from remit_events.failures import is_infrastructure
from remit_events.parsing import UnreadableError, describe, parse
from remit_events.ports import Clock, Database
from remit_events.session import Session, transaction
from remit_events.tracing import consuming
from remit_events.watchdog import Watchdog

Handler = Callable[[Session, Sequence[Received]], Awaitable[None]]

# After so many batches run() returns, so that its loop can look whether it is to stop.
ROUNDS = 20
OBSERVE_SECONDS = 5.0
LETTERS_SECONDS = 2.0

Parsed = tuple[Delivered, Received | str | None]
Aside = tuple[Delivered, str, str]

log = structlog.get_logger(__name__)


class Consumer:
    """The task that brings a group's events to `handle`, in one transaction per batch of up to `batch` events.

    `name` is the group and the inbox's consumer, such as `scheduler-svc` or `invoice-svc.timeline`; the part before
    the first dot is the service in metrics.
    """

    phase = 0

    def __init__(
        self,
        name: str,
        database: Database,
        bus: Bus,
        topics: Sequence[str],
        handle: Handler,
        clock: Clock,
        *,
        batch: int = 500,
    ) -> None:
        self.name = name
        self._service = name.partition(".")[0]
        self._database = database
        self._bus = bus
        self._topics = tuple(topics)
        self._handle = handle
        self._clock = clock
        self._batch = batch
        self._subscription = bus.subscription(name, self._topics)
        self.poll = self._subscription.interval
        # How long offsets may wait to be committed, in seconds; what is read again after a crash, the inbox knows.
        self.offsets_seconds = 0.0
        self._offsets_due = 0.0
        self._letters_open = False
        self._letters_due = 0.0
        self._observe_due = time.monotonic() + OBSERVE_SECONDS
        self._watchdog = Watchdog(name, self._subscription.close)

    @property
    def topics(self) -> tuple[str, ...]:
        """What the group reads; with `name`, how its lag is asked for."""
        return self._topics

    @property
    def wake(self) -> asyncio.Event:
        return self._subscription.wake

    async def run(self) -> int:
        """Settles what the bus has for this member; gives how many records. Raises infrastructure failures.

        Raises StalledError after a minute without progress, and StuckError when joining the group again does not help.
        """
        async with self._watchdog.working():
            await self._commit_due()  # or what an earlier run could not
            settled = await self._retry_letters()
            for _ in range(ROUNDS):
                records = await self._subscription.poll(limit=self._batch)
                if not records:
                    break
                await self._take(records)
                settled += len(records)
                self._watchdog.progress()
            await self._observe()
        return settled

    async def next_at(self) -> datetime | None:
        return None

    def healthy(self) -> bool:
        """False when records lie ahead of this member, or a run is under way, and nothing was settled for a minute."""
        return self._watchdog.healthy()

    async def close(self) -> None:
        """Leaves the group; what was not committed goes to the other members."""
        await self._subscription.close()

    async def _take(self, records: Sequence[Delivered]) -> None:
        try:
            await self._settle([(record, parse(record)) for record in records])
        except BaseException:
            with contextlib.suppress(BusError):
                await self._subscription.rewind()
            raise
        faults.point(self._service, faults.BEFORE_OFFSET)
        await self._commit_due()

    async def _commit_due(self) -> None:
        if time.monotonic() >= self._offsets_due:
            await self.commit()

    async def commit(self) -> None:
        """Commits the offsets of what was settled, where that was put off."""
        self._offsets_due = time.monotonic() + self.offsets_seconds
        try:
            await self._subscription.commit()
        except FencedError as error:
            log.warning("offsets not committed", consumer=self.name, reason=str(error))

    async def _settle(self, batch: Sequence[Parsed]) -> None:
        """All at once, else by halves down to the one that fails by itself; their order stays."""
        try:
            await self._together(batch)
        except Exception as error:
            if is_infrastructure(error):
                raise
            if len(batch) > 1:
                middle = len(batch) // 2
                await self._settle(batch[:middle])
                await self._settle(batch[middle:])
                return
            async with self._database.transaction() as session:
                await self._put_aside(session, [(batch[0][0], "dead", describe(error))])

    async def _together(self, batch: Sequence[Parsed]) -> None:
        offered = _offered(batch)
        with consuming(self.name, (received.message.traceparent for _, received in offered)):
            async with self._database.transaction() as session:
                had = await inbox.record(
                    session,
                    self.name,
                    [(received.message.id, record.key) for record, received in offered],
                    [record.key for record, _ in batch],
                )
                fresh = [received for _, received in offered if had.is_first(received.message.id)]
                if fresh:
                    await self._handle(session, fresh)
                await self._put_aside(session, _aside(batch, had.blocked))
                faults.point(self._service, faults.BEFORE_COMMIT)
        self._count(batch, len(offered), len(fresh))

    async def _put_aside(self, session: Session, letters: Sequence[Aside]) -> None:
        if not letters:
            return
        await dead_letters.put_aside(session, self.name, letters, self._clock.now())
        self._letters_open = True
        for record, status, error in letters:
            DEAD_LETTERS.labels(self._service, self.name, status).inc()
            if status == "dead":
                position = f"{record.topic}/{record.partition}/{record.offset}"
                log.error("dead letter", consumer=self.name, record=position, reason=error.partition(":")[0])

    async def _retry_letters(self) -> int:
        """Letters whose turn it is: asked for by a person, or parked with nothing left before them."""
        if not self._letters_open and time.monotonic() < self._letters_due:
            return 0
        self._letters_due = time.monotonic() + LETTERS_SECONDS
        async with transaction(self._database.engine, None) as session:
            self._letters_open = await dead_letters.any_unresolved(session, self.name)
        tried = 0
        while self._letters_open and await self._retry_next():
            tried += 1
            self._watchdog.step()
        return tried

    async def _retry_next(self) -> bool:
        letter: DeadLetter | None = None
        try:
            async with self._database.transaction() as session:
                letter = await dead_letters.next_ready(session, self.name, self._clock.now())
                if letter is not None:
                    await self._retry(session, letter)
        except Exception as error:
            if letter is None or is_infrastructure(error):
                raise
            async with self._database.transaction() as session:
                await dead_letters.failed(session, letter, describe(error), self._clock.now())
        return letter is not None

    async def _retry(self, session: Session, letter: DeadLetter) -> None:
        received = parse(letter.record)
        if isinstance(received, str):
            raise UnreadableError(received)
        if received is not None:
            event = (received.message.id, letter.record.key)
            with consuming(self.name, [received.message.traceparent]):
                had = await inbox.record(session, self.name, [event], [])
                if had.fresh:
                    await self._handle(session, [received])
        await dead_letters.succeeded(session, letter, self._clock.now())

    async def _observe(self) -> None:
        """Measures the group's lag, and whether this member's own partitions move."""
        if time.monotonic() < self._observe_due:
            return
        self._observe_due = time.monotonic() + OBSERVE_SECONDS
        lag = await self._bus.lag(self.name, self._topics)
        LAG.labels(self._service, self.name).set(lag)
        # A member without partitions has nothing ahead; but one that was stuck must get some again first.
        waits = lag > 0 and self._watchdog.rejoining and not await self._subscription.assignment()
        if waits or await self._subscription.backlog() > 0:
            await self._watchdog.behind()
        else:
            self._watchdog.progress()

    def _count(self, batch: Sequence[Parsed], offered: int, fresh: int) -> None:
        counts = {"handled": fresh, "duplicate": offered - fresh, "unknown": sum(r is None for _, r in batch)}
        for outcome, number in counts.items():
            if number:
                HANDLED.labels(self._service, self.name, outcome).inc(number)


def _offered(batch: Sequence[Parsed]) -> list[tuple[Delivered, Received]]:
    """What can be read and does not stand behind an unreadable record of its key in this batch."""
    stuck: set[str] = set()
    offered = []
    for record, parsed in batch:
        if isinstance(parsed, str):
            stuck.add(record.key)
        elif parsed is not None and (record.key not in stuck or not record.key):
            offered.append((record, parsed))
    return offered


def _aside(batch: Sequence[Parsed], blocked: set[str]) -> list[Aside]:
    """What is put aside of a batch, in order: unreadable records, and whatever stands behind one of its key."""
    stuck = set(blocked)
    aside: list[Aside] = []
    for record, parsed in batch:
        if record.key in stuck and parsed is not None:
            aside.append((record, "parked", "behind an earlier event of its key"))
        elif isinstance(parsed, str):
            aside.append((record, "dead", parsed))
            stuck |= {record.key} - {""}
    return aside
