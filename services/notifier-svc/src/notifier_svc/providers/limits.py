"""How fast and whether at all: a token bucket, a circuit breaker, and a bound on what runs at once, per provider."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

from notifier_svc import metrics
from notifier_svc.providers import Checked, Confirm, Outcome, Outgoing, Provider
from notifier_svc.tracing import conversation
from remit_service.clock import Clock

THRESHOLD = 5
FIRST_PAUSE = timedelta(seconds=30)
LONGEST_PAUSE = timedelta(minutes=15)


class Bucket:
    """At most `rate` a second on average, bursts of one second's worth."""

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self.burst = max(rate, 1.0)
        self._tokens = self.burst
        self._at: float | None = None

    async def take(self) -> None:
        """Returns when one more may go; waiters go in turn."""
        now = asyncio.get_running_loop().time()
        if self._at is not None:
            self._tokens = min(self.burst, self._tokens + (now - self._at) * self.rate)
        self._at = now
        self._tokens -= 1
        if self._tokens < 0:
            await asyncio.sleep(-self._tokens / self.rate)


class Breaker:
    """Opens after five failures in a row that speak of the provider, for 30 s, doubling up to 15 minutes."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failures = 0
        self._open_until: datetime | None = None

    def ready_at(self) -> datetime | None:
        """When it may be tried again; None: now."""
        if self._open_until is None or self._open_until <= self._clock.now():
            return None
        return self._open_until

    def record(self, *, down: bool) -> None:
        if not down:
            self._failures, self._open_until = 0, None
            return
        self._failures += 1
        # What was under way when it opened must not double the pause.
        if self._failures >= THRESHOLD and self.ready_at() is None:
            opened = min(self._failures - THRESHOLD, 10)
            self._open_until = self._clock.now() + min(FIRST_PAUSE * 2**opened, LONGEST_PAUSE)


class Guarded:
    """A provider behind its limits: `rate` messages a second, `at_once` conversations."""

    def __init__(self, provider: Provider, clock: Clock, *, rate: float | None = None, at_once: int = 1) -> None:
        self.provider = provider
        self.breaker = Breaker(clock)
        self._bucket = Bucket(rate) if rate else None
        self.at_once = at_once
        self._slots = asyncio.Semaphore(at_once)

    @property
    def name(self) -> str:
        return self.provider.name

    @property
    def per_batch(self) -> float:
        """How many of one batch it may get, so that a slow provider does not keep the others waiting."""
        return max(10.0, 2 * self._bucket.rate) if self._bucket else float("inf")

    async def send(self, outgoing: Outgoing, confirm: Confirm) -> Outcome:
        async with self._slots:
            ready_at = self.breaker.ready_at()
            if ready_at is not None:
                return Outcome.retry("provider-down", f"{self.name} has failed repeatedly and is left alone")
            if self._bucket:
                await self._bucket.take()
            with conversation(self.name, outgoing):
                outcome = await self.provider.send(outgoing, confirm)
        self.breaker.record(down=outcome.provider_down)
        metrics.left_alone(self.name, alone=self.breaker.ready_at() is not None)
        return outcome

    async def check(self) -> Checked:
        return await self.provider.check()

    async def close(self) -> None:
        await self.provider.close()
