"""The hand-over: many at once, each resting on an answer at most 250 ms old at the moment it begins."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Coroutine, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any
from uuid import UUID

import structlog

from notifier_svc import gate, metrics
from notifier_svc.balances import Check, StillOwed, UnansweredError
from notifier_svc.hours import may_go_from
from notifier_svc.planning import Hand, Plan, facts_of
from notifier_svc.providers import Outcome, Outgoing, Result
from notifier_svc.results import Done
from remit_events import faults
from remit_service.clock import Clock
from remit_service.logs import describe

# Results are stored as they come, so that a slow peer does not keep what others accepted from being known.
FLUSH_SECONDS = 0.05
LEAST_ASKED = 32
log = structlog.get_logger(__name__)

Address = tuple[UUID, str, str]
# The addresses among the given ones that were closed since they were claimed.
ClosedSince = Callable[[Sequence[Hand]], Awaitable[set[Address]]]


@dataclass
class Round:
    """One batch on its way out, in order. What is about to go shares a check, asked again when it is too old."""

    still_owed: StillOwed
    closed_since: ClosedSince
    clock: Clock
    waiting: dict[UUID, Hand] = field(default_factory=dict)
    closed: set[Address] = field(default_factory=set)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    checks: dict[UUID, Check] = field(default_factory=dict)
    gone: int = 0  # since the last time it was asked

    async def send(self, hand: Hand) -> Done:
        try:
            outcome = await hand.way.provider.send(outgoing(hand, self.clock), lambda: self._may_go(hand))
        except Exception as error:
            # A fault of ours between the first byte and the answer: whether it went is not known.
            log.error("hand-over failed", delivery=str(hand.job.id), **describe(error))
            outcome = Outcome.unknown(type(error).__name__)
        finally:
            self.waiting.pop(hand.job.id, None)
        if outcome.result is Result.SENT:
            faults.point("notifier-svc", faults.ANSWERED)
        return Done(hand, outcome, self.clock.now())

    async def _may_go(self, hand: Hand) -> bool:
        """Asked right before the first byte: the same message must still be right to send."""
        now = self.clock.now()
        if now >= hand.claim.valid_until or may_go_from(hand.claim.customer, now) > now:
            return False
        try:
            check = await self._current(hand)
        except UnansweredError:
            return False
        if (hand.claim.seller.id, hand.job.channel.value, hand.job.recipient_sha256) in self.closed:
            return False
        if check is not hand.check:
            facts = facts_of(hand.claim, check, hand.reminders, now)
            if not gate.decide(hand.claim.stage, hand.claim.body.items, facts).same_message(hand.verdict):
                return False
            hand.check = check
        metrics.rests_on(check.age())
        self.waiting.pop(hand.job.id, None)
        self.gone += 1
        faults.point("notifier-svc", faults.SENDING)
        return True

    async def _current(self, hand: Hand) -> Check:
        check = self._check(hand)
        if check.age() > self.still_owed.max_age:
            async with self.lock:
                check = self._check(hand)
                if check.age() > self.still_owed.max_age:
                    check = await self._ask(hand)
        return check

    def _check(self, hand: Hand) -> Check:
        return self.checks.get(hand.job.id, hand.check)

    async def _ask(self, hand: Hand) -> Check:
        """About as many as went since it was asked last: for more the answer would be too old again."""
        size = max(2 * self.gone, LEAST_ASKED)
        left = [hand, *(one for one in islice(self.waiting.values(), size) if one is not hand)]
        self.gone = 0
        self.closed |= await self.closed_since(left)
        invoices = {invoice for one in left for invoice in one.claim.invoice_ids}
        check = await self.still_owed.ask(invoices, {one.claim.seller.id for one in left})
        self.checks |= {one.job.id: check for one in left}
        return check


Prepare = Callable[[], Coroutine[Any, Any, list[Plan]]]
Mark = Callable[[list[Plan]], Awaitable[list[Hand]]]


async def hand_over(round_: Round, prepare: Prepare, mark: Mark) -> AsyncIterator[list[Done]]:
    """Sends what the plans hold; gives results in portions as they come.

    `prepare` gives the next plans, none when there are no more; it is asked once those before are on their way, for
    what was asked about them grows old, and works while they land. Only what a provider can take at once is marked
    `sending`: a crash leaves no more than that unknown. What either raises is raised at the end.
    """
    waiting, in_flight, landing = deque[Plan](), dict[asyncio.Task[Done], Hand](), _Landing()
    more, coming = True, asyncio.create_task(prepare())
    failure: Exception | None = None
    try:
        while more or waiting or in_flight:
            try:
                if more and not waiting:
                    waiting.extend(await coming)
                    more = bool(waiting)
                if portion := _portion(waiting, in_flight.values()):
                    in_flight |= {landing.begin(round_.send(hand)): hand for hand in await mark(portion)}
                    if more and not waiting:
                        coming = asyncio.create_task(prepare())
            except Exception as error:
                more, failure = False, error  # no more of them; but what is under way has results of its own
                waiting.clear()
            if in_flight:
                # Half of them: while those are stored and the next are marked, the other half is under way.
                finished = await landing.of(max(len(in_flight) // 2, 1) if more or waiting else len(in_flight))
                if finished:
                    yield [task.result() for task in finished if in_flight.pop(task)]
    finally:
        coming.cancel()
        for task in in_flight:
            task.cancel()
    if failure:
        raise failure


class _Landing:
    """Tasks that have ended, in portions, so that few transactions store many results."""

    def __init__(self) -> None:
        self._ended: list[asyncio.Task[Done]] = []
        self._enough = asyncio.Event()
        self._wanted = 0

    def begin(self, sending: Coroutine[Any, Any, Done]) -> asyncio.Task[Done]:
        task = asyncio.create_task(sending)
        task.add_done_callback(self._end)
        return task

    async def of(self, wanted: int) -> list[asyncio.Task[Done]]:
        """What has ended, once so many have, and whatever has after FLUSH_SECONDS."""
        self._wanted = wanted
        self._enough.clear()
        if len(self._ended) < wanted:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(FLUSH_SECONDS):
                    await self._enough.wait()
        ended, self._ended = self._ended, []
        return ended

    def _end(self, task: asyncio.Task[Done]) -> None:
        self._ended.append(task)
        if len(self._ended) >= self._wanted:
            self._enough.set()


def _portion(waiting: deque[Plan], in_flight: Collection[Hand]) -> list[Plan]:
    """The next plans, whole touches at a time, as far as their providers have a free place."""
    taken = Counter(hand.way.provider.name for hand in in_flight)
    portion: list[Plan] = []
    for plan in [waiting.popleft() for _ in range(len(waiting))]:
        if any(taken[hand.way.provider.name] >= hand.way.provider.at_once for hand in plan.hands):
            waiting.append(plan)
        else:
            portion.append(plan)
            taken.update(hand.way.provider.name for hand in plan.hands)
    return portion


def outgoing(hand: Hand, clock: Clock) -> Outgoing:
    claim, job, said = hand.claim, hand.job, hand.rendered
    return Outgoing(
        delivery_id=job.id,
        channel=job.channel,
        recipient=hand.way.recipient,
        customer_name=claim.customer.name,
        customer_key=claim.customer.external_id,
        seller=claim.seller,
        stage=claim.stage,
        step=claim.step,
        language=said.language,
        message_id=job.message_id,
        at=clock.now(),
        subject=said.subject,
        text=said.text,
        html=said.html,
        sms=said.sms,
        letter=said.letter,
        unsubscribe_url=hand.links.url,
        unsubscribe_mailto=hand.links.mailto,
        redirected_from=job.recipient if hand.way.redirected else None,
        traceparent=claim.traceparent,
    )
