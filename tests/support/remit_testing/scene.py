"""The four services as processes under a load, to be disturbed; then all they did is reckoned up.

async with scene(make_database, folder, events_url=…, replicas=2) as on:
    async with on.busy():
        …                                   # kill, stop and restart what you like
    result = await on.reckoned(90)          # fails when anything was lost or doubled
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from remit_local.installation import Installation
from remit_testing.at_once import AtOnce, now, rungs_settle_seconds
from remit_testing.fixtures import MakeDatabase
from remit_testing.installations import make_installation
from remit_testing.reckoning import Reckoning, reckon
from remit_testing.running import Running
from remit_testing.smtp_peer import SmtpPeer
from remit_testing.stores import Stores
from remit_testing.traffic import Traffic
from remit_testing.twilio import SID, TOKEN, TwilioServer

# What a crash of notifier-svc may leave unknown: what is on its way, and as much whose answers are being stored.
CONNECTIONS = 8
TEXTS_AT_ONCE = 16
SMS_EVERY = 3
# The longest a provider takes between taking a message and saying so.
DELAY = 0.05
WAITING = """
SELECT delivery.status, delivery.error_class, delivery.error, touch.stage, touch.claim IS NOT NULL AS claimed,
    count(*) AS n, min(touch.next_at)::text AS next_at, min(delivery.next_attempt_at)::text AS next_attempt_at
FROM delivery JOIN touch ON touch.id = delivery.touch_id WHERE delivery.status IN ('pending', 'sending')
GROUP BY 1, 2, 3, 4, 5 ORDER BY n DESC LIMIT 10
"""
UNKNOWN_PER_CRASH = 2 * (CONNECTIONS + TEXTS_AT_ONCE)
UNKNOWN_TEXTS = """
SELECT delivery.recipient, content.sms FROM delivery JOIN content USING (touch_id, digest)
WHERE delivery.status = 'unknown' AND delivery.provider = 'twilio'
"""


@dataclass
class Scene:
    """`events`: how many were emitted in all, once `reckoned`."""

    installation: Installation
    running: Running
    traffic: Traffic
    peer: SmtpPeer
    twilio: TwilioServer
    events: int = 0

    @asynccontextmanager
    async def busy(self, pause: float = 0.5) -> AsyncIterator[None]:
        """Posts with hardly a pause until the block ends, and then sees to it that all was answered."""
        ended = asyncio.Event()

        async def keep_on(post: Callable[[], Awaitable[None]], seconds: float) -> None:
            while not ended.is_set():
                await post()
                await asyncio.sleep(seconds)

        async with asyncio.TaskGroup() as group:
            group.create_task(keep_on(self.traffic.round, pause))
            group.create_task(keep_on(lambda: self.traffic.approve(1), 2))
            try:
                yield
            finally:
                ended.set()

    async def settled(self, seconds: float) -> None:
        """Until nothing is on its way; fails with what is, and what the services have to say."""
        async with Stores(self.installation) as stores:
            try:
                await stores.settled(seconds)
            except AssertionError as error:
                raise AssertionError(f"{error}\n{await self._waiting(stores)}\n{self.running.said()}") from None
        self.running.check()

    async def reckoned(self, seconds: float) -> Reckoning:
        """Waits until nothing is on its way, then compares what was posted with what became of it."""
        await self.running.ready()
        await self.settled(seconds)
        async with Stores(self.installation) as stores:
            await self._reconciled(stores, seconds)
        await self.settled(seconds)
        async with Stores(self.installation) as stores:
            result = await reckon(stores, self.traffic, self.peer, self.twilio)
            self.events = len(await stores.told())
        assert result.faults == [], "\n".join(result.faults)
        return result

    async def _reconciled(self, stores: Stores, seconds: float) -> None:
        """Until no SMS is unknown that Twilio lists."""
        give_up = time.monotonic() + seconds
        while listed := {(row["recipient"], row["sms"]) for row in await stores.rows("notifier-svc", UNKNOWN_TEXTS)} & {
            (one.to, one.body) for one in self.twilio.messages
        }:
            assert time.monotonic() < give_up, f"never reconciled: {len(listed)}\n{self.running.said()}"
            await asyncio.sleep(0.5)

    async def _waiting(self, stores: Stores) -> str:
        """What deliveries that did not end wait for."""
        rows = await stores.rows("notifier-svc", WAITING)
        return f"at {now():%H:%M:%S}, deliveries: " + "; ".join(str(dict(row)) for row in rows)


@asynccontextmanager
async def scene(
    make_database: MakeDatabase,
    folder: Path,
    *,
    events_url: str | None = None,
    replicas: int = 1,
    rungs_after: float = 3_000,
) -> AsyncIterator[Scene]:
    """`rungs_after`: seconds from now until rungs are looked at, most of an hour unless the test waits for it."""
    chance = random.Random(7)  # noqa: S311  # no secret
    texts = TwilioServer(before_answer=lambda: asyncio.sleep(chance.uniform(0, DELAY)))
    with SmtpPeer(delay=DELAY) as peer:
        async with texts as twilio:
            started = now()
            installation = await make_installation(make_database, folder, events_url=events_url)
            settle = {"rungs_settle_seconds": rungs_settle_seconds(started, rungs_after)}
            account = {"twilio_account_sid": SID, "twilio_auth_token": TOKEN, "twilio_from": "+4930123456"}
            account |= {"twilio_base_url": twilio.url, "twilio_rate": 10_000}
            sending = peer.settings | {"smtp_connections": CONNECTIONS} | account
            installation = installation.with_extras({"notifier-svc": sending, "escalation-svc": settle})
            async with Running(installation, folder, replicas=replicas) as running:
                at_once = AtOnce(started, sms_every=SMS_EVERY)
                await at_once.rules(running.api)
                yield Scene(installation, running, Traffic(running.api, at_once), peer, twilio)
