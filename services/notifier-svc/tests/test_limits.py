"""A provider that fails is left alone for a while; none gets more than it may."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from remit_testing.notifier_samples import outgoing

from notifier_svc.providers import Checked, Confirm, Outcome, Outgoing, Result
from notifier_svc.providers.limits import LONGEST_PAUSE, THRESHOLD, Breaker, Bucket, Guarded
from remit_service.clock import SimulatedClock

START = datetime(2026, 3, 2, tzinfo=UTC)


class Fake:
    """A provider that answers what it is told and counts how many talk to it at once."""

    name = "fake"

    def __init__(self, outcome: Outcome) -> None:
        self.outcome, self.at_once, self.most, self.calls = outcome, 0, 0, 0

    async def send(self, outgoing: Outgoing, confirm: Confirm) -> Outcome:
        self.calls += 1
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        await asyncio.sleep(0.001)
        self.at_once -= 1
        return self.outcome

    async def check(self) -> Checked:
        return Checked(self.name, True, "")

    async def close(self) -> None: ...


async def yes() -> bool:
    return True


def test_a_breaker_opens_after_failures_in_a_row_and_waits_longer_each_time() -> None:
    clock = SimulatedClock(START)
    breaker = Breaker(clock)
    for _ in range(THRESHOLD - 1):
        breaker.record(down=True)
    assert breaker.ready_at() is None
    breaker.record(down=True)
    pauses = []
    for _ in range(8):
        ready_at = breaker.ready_at()
        assert ready_at is not None
        breaker.record(down=True)  # what was under way does not count twice
        assert breaker.ready_at() == ready_at
        pauses.append(ready_at - clock.now())
        clock.set(ready_at)
        assert breaker.ready_at() is None
        breaker.record(down=True)
    assert pauses[0] == timedelta(seconds=30)
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_PAUSE
    clock.set(clock.now() + LONGEST_PAUSE)
    breaker.record(down=False)
    breaker.record(down=True)
    assert breaker.ready_at() is None


async def test_a_bucket_lets_through_what_the_rate_allows() -> None:
    bucket = Bucket(200)
    loop = asyncio.get_running_loop()
    started = loop.time()
    await asyncio.gather(*(bucket.take() for _ in range(240)))
    assert loop.time() - started >= 40 / 200 * 0.9


async def test_no_more_talk_at_once_than_allowed() -> None:
    fake = Fake(Outcome.sent("x"))
    guarded = Guarded(fake, SimulatedClock(START), at_once=3)
    await asyncio.gather(*(guarded.send(outgoing(), yes) for _ in range(12)))
    assert (fake.calls, fake.most) == (12, 3)


async def test_an_open_breaker_hands_nothing_over() -> None:
    fake = Fake(Outcome.retry("not-connected", "refused", down=True))
    guarded = Guarded(fake, SimulatedClock(START), at_once=1)
    outcomes = [await guarded.send(outgoing(), yes) for _ in range(THRESHOLD + 3)]
    assert fake.calls == THRESHOLD
    assert {outcome.result for outcome in outcomes} == {Result.RETRY}
    assert outcomes[-1].reason_class == "provider-down"


def test_reasons_carry_no_addresses() -> None:
    said = Outcome.refused("x", "550 5.1.1 <Some.One@muster.example>: unknown; call +49 30 123456 78").reason
    assert "muster" not in said
    assert "123456" not in said
    assert said.startswith("550 5.1.1")
