"""Invariant 12: nothing is chased that is paid, disputed or held; and each step has one outcome, the right one.

A state machine tells scheduler-svc and a model of a hundred lines what happens to one customer's invoices, lets time
pass, and compares every message that goes and every step's end. Events come twice, and old ones come again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import seed as seeded_by
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from remit_testing.fixtures import MakeDatabase
from remit_testing.followup_model import OPENS, Account, Debt, Message
from remit_testing.scheduler_alone import fresh, scheduler
from remit_testing.scheduler_world import World
from remit_testing.threads import Ask, in_thread, seeded
from uuid6 import uuid7

from remit_events.bus import Record
from remit_events.envelope import Event
from remit_events.escalations import ReplyAnswered
from remit_events.invoices import (
    DisputeOpened,
    DisputeResolved,
    FollowUpHeld,
    FollowUpReleased,
    InvoiceVoided,
    PromiseBroken,
    PromiseMade,
)
from remit_events.notifications import ReplyReceived
from remit_events.state import Channel, Hold, InvoiceState, Promise
from remit_service.service import Service

BERLIN = ZoneInfo("Europe/Berlin")
STEPS = {"before": -2, "first": 1, "second": 3, "third": 6}
POLICY: dict[str, Any] = {
    "key": "model",
    "steps": [
        {"key": key, "offset": offset, "tone": "neutral", "channels": ["email"], "template": "second"}
        for key, offset in STEPS.items()
    ],
    "window": {
        "days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"],
        "from": "09:00",
        "to": "17:00",
        "skip_holidays": False,
    },
    "contact_cap": None,
}
LISTED = """
SELECT f.number, d.step, d.outcome, d.rule FROM decision d JOIN follow_up f USING (invoice_id)
WHERE d.final ORDER BY d.at, d.id
"""

which, days = st.integers(0, 99), st.integers(0, 4)
seldom = st.sampled_from([False, False, False, True])


@pytest.fixture
async def service(make_database: MakeDatabase) -> AsyncIterator[Service]:
    async with scheduler(make_database) as made:
        yield made


async def test_follow_up_is_as_the_model_says(service: Service, rounds: Any, seed: int, invariant: Any) -> None:
    played: Counter[str] = Counter()
    worlds, steps = rounds(full=500, short=20), rounds(full=50, short=30)

    def play(ask: Ask) -> None:
        class Here(Machine):
            def __init__(self) -> None:
                super().__init__(service, ask, played)

        run_state_machine_as_test(seeded_by(seed)(Here), settings=seeded(worlds, stateful_step_count=steps))

    await in_thread(play)
    assert played["messages"] >= worlds
    missing = {"paid", "reversed", "disputed", "held", "promised", "broken", "outages", "again"} - set(played)
    assert not missing or worlds < 100, f"never played: {missing}"
    invariant(12, "follow-up is as its model").held(rounds=worlds, **dict(sorted(played.items())), differences=0)


class Machine(RuleBasedStateMachine):
    """What happens, told to both."""

    def __init__(self, service: Service, ask: Ask, played: Counter[str]) -> None:
        super().__init__()
        self.ask, self.played = ask, played
        self.world: World = ask(fresh(service))
        self.account = Account(1)
        self.states: dict[str, UUID] = {}
        self.told: list[Record] = []
        self.replies: list[UUID] = []
        self.messages: list[tuple[date, Message]] = []
        self.sound = False

    def teardown(self) -> None:
        """Whatever was left waiting goes on, until nothing is left."""
        try:
            if self.sound:
                self.switched(off=False)
                self.customer_held(until=None, hold=False)
                self.wrote(waits=False)
                self.time_passes(20, 10)
                self.every_step_ends_as_the_model_says()
        finally:
            self.ask(self.world.client.aclose())

    @initialize(gap=st.integers(0, 2))
    def begin(self, gap: int) -> None:
        self.account.gap = gap
        self.ask(self.world.save_policy(POLICY | {"minimum_gap_days": gap}, assign_all="true"))
        self.customer = self.ask(self.world.customer())
        for due in (2, 5):
            self.issue(due)

    @property
    def now(self) -> datetime:
        return self.world.clock.now().astimezone(BERLIN)

    @rule(due=st.integers(0, 8))
    def issue(self, due: int) -> None:
        today, number = self.now.date(), f"R-{len(self.states) + 1:04}"
        state = self.ask(self.world.issue(self.customer, number, today.isoformat(), f"{today + timedelta(days=due)}"))
        self.states[number] = state.id
        self.account.debts[number] = Debt(number, today, today + timedelta(days=due), STEPS)
        self.settle()

    @rule(count=st.integers(0, 3), hour=st.sampled_from([8, 9, 12, 16, 18]))
    def time_passes(self, count: int, hour: int) -> None:
        """With both awake: the model looks at every opening, the service when it said it would."""
        until = self._later(count, hour)
        at = self._opening_after(self.now)
        while at <= until:
            self._model(at)
            at = self._opening_after(at)
        self._gone(self.ask(self.world.play(until.replace(tzinfo=None).isoformat())), until)
        self.settle()

    @rule(count=st.integers(1, 3))
    def days_pass(self, count: int) -> None:
        self.time_passes(count, 10)

    @rule(count=st.integers(1, 9), hour=st.sampled_from([8, 10, 18]))
    def outage(self, count: int, hour: int) -> None:
        """With both asleep."""
        self.world.clock.set(self._later(count, hour))
        self.settle()
        self.played["outages"] += 1

    @rule(one=which)
    def paid(self, one: int) -> None:
        if debt := self.debt(one, open=True):
            event = self.world.paid(self.state(debt), self.now.date())
            self.tell("paid", event)
            debt.end("paid", self.now.date())
            self.settle()

    @rule(one=which)
    def reversed(self, one: int) -> None:
        debt = self.debt(one)
        if debt and debt.status == "paid":
            self.tell("reversed", self.world.reversed(self.state(debt), self.now.date()))
            debt.owed_again()
            debt.disputed = False
            self.settle()

    @rule(one=which)
    def voided(self, one: int) -> None:
        if debt := self.debt(one, open=True):
            state = self.world.changed(self.state(debt), status="void", balance_minor=0, disputed_minor=0)
            self.tell("voided", InvoiceVoided(**self.world.about(state), invoice=state, reason="wrong"))
            debt.end("void", self.now.date())
            self.settle()

    @rule(one=which, whole=st.booleans())
    def disputed(self, one: int, whole: bool) -> None:
        if (debt := self.debt(one, open=True)) and not debt.disputed:
            amount = 10_000 if whole else 4_000
            state = self.world.changed(self.state(debt), disputed_minor=amount)
            about = self.world.about(state) | {"dispute_id": uuid7(), "amount_minor": amount, "reason": "broken"}
            self.tell("disputed", DisputeOpened(**about, invoice=state))
            debt.disputed = whole
            self.settle()

    @rule(one=which)
    def resolved(self, one: int) -> None:
        if (debt := self.debt(one, open=True)) and self.state(debt).disputed_minor:
            state = self.world.changed(self.state(debt), disputed_minor=0)
            about = self.world.about(state) | {"dispute_id": uuid7(), "amount_minor": 1, "outcome": "agreed"}
            self.tell("resolved", DisputeResolved(**about, invoice=state))
            debt.disputed = False
            self.settle()

    @rule(one=which, until=st.none() | days)
    def held(self, one: int, until: int | None) -> None:
        if debt := self.debt(one, open=True):
            last = None if until is None else self.now.date() + timedelta(days=until)
            state = self.world.changed(self.state(debt), hold=Hold(reason="asked", until=last))
            self.tell("held", FollowUpHeld(**self.world.about(state), invoice=state, reason="asked", until=last))
            debt.hold = last or date.max
            self.settle()

    @rule(one=which)
    def released(self, one: int) -> None:
        if (debt := self.debt(one, open=True)) and debt.hold:
            state = self.world.changed(self.state(debt), hold=None)
            self.tell("released", FollowUpReleased(**self.world.about(state), invoice=state, reason="over"))
            debt.hold = None
            self.settle()

    @rule(until=st.none() | days, hold=seldom)
    def customer_held(self, until: int | None, hold: bool) -> None:
        last = None if until is None else self.now.date() + timedelta(days=until)
        told = Hold(reason="asked", until=last) if hold else None
        self.customer = self.ask(self.world.customer_changes(self.customer, hold=told))
        self.account.hold = (last or date.max) if hold else None
        self.settle()

    @rule(one=which, grace=days)
    def promised(self, one: int, grace: int) -> None:
        if debt := self.debt(one, open=True):
            last = self.now.date() + timedelta(days=grace)
            made = Promise(id=uuid7(), on=last, amount_minor=100, grace_until=last)
            state = self.world.changed(self.state(debt), promise=made)
            self.tell("promised", PromiseMade(**self.world.about(state), invoice=state, promise=made))
            debt.promise = last
            self.settle()

    @rule(one=which)
    def broken(self, one: int) -> None:
        """Told when the grace is over, at whatever hour that is heard."""
        debt = self.debt(one, open=True)
        if debt and debt.promise and debt.promise < self.now.date():
            before = self.state(debt)
            state = self.world.changed(before, promise=None, promises_broken=before.promises_broken + 1)
            self.tell("broken", PromiseBroken(**self.world.about(state), invoice=state, promise=before.promise))
            debt.promise, debt.broken = None, debt.broken + 1
            self.settle()

    @rule(off=seldom)
    def switched(self, off: bool) -> None:
        self.ask(self.world.client.put("/v1/automation", json={"on": not off}))
        self.account.automation = not off
        self.settle()

    @rule(waits=seldom)
    def wrote(self, waits: bool) -> None:
        """A person answers at once, or with the next one."""
        reply = uuid7()
        about = {"seller_id": self.world.seller.id, "customer_id": self.customer.id}
        self.tell("wrote", ReplyReceived(**about, reply_id=reply, channel=Channel.SMS, intent="other"))
        self.account.unanswered.add(reply)
        self.settle()
        for one in [] if waits else list(self.account.unanswered):
            self.tell("answered", ReplyAnswered(**about, reply_id=one, answered_by="Kim"))
            self.account.unanswered.remove(one)
            self.settle()

    @rule(one=which)
    def told_again(self, one: int) -> None:
        """The bus delivers at least once: an old record, its id the same, changes nothing."""
        if self.told:
            self.ask(self.again([self.told[one % len(self.told)]]))
            self.played["again"] += 1
            self.settle()

    @invariant()
    def every_step_ends_as_the_model_says(self) -> None:
        self.sound = False
        said: dict[str, dict[str, str]] = {number: {} for number in self.account.debts}
        for row in self.ask(self.world.rows(LISTED)):
            outcome = row.outcome if row.outcome in ("sent", "merged") else f"{row.outcome} {row.rule}"
            said[row.number][row.step] = outcome
        for number, debt in self.account.debts.items():
            assert self.told_of(debt, said[number]) == self.told_of(debt, debt.done), f"{number} {debt}"
        self.sound = True

    def told_of(self, debt: Debt, ends: dict[str, str]) -> dict[str, str]:
        """Without what the log keeps of payments taken back, and what may be said at either of two moments: in the
        morning of the due date, before the window opens, it is too late already."""
        morning = self.now.date() == debt.due and self.now.time() < OPENS
        return {
            step: end
            for step, end in ends.items()
            if (step in debt.done or step not in debt.reopened) and not (morning and end == "skipped too-late")
        }

    def tell(self, what: str, event: Event) -> None:
        """Twice, as one record."""
        record = Record.of(event.topic, self.world.message(event))
        self.told.append(record)
        self.ask(self.again([record, record]))
        self.played[what] += 1

    async def again(self, records: list[Record]) -> None:
        await self.world.bus.publish(records)
        await self.world.task("scheduler-svc").run()

    def settle(self) -> None:
        """Both look at this very moment."""
        self._model(self.now)
        self._gone(self.ask(self.world.settle()), self.now)

    def _model(self, at: datetime) -> None:
        if message := self.account.look(at):
            self.messages.append((at.date(), message))

    def _gone(self, touches: list[Any], now: datetime) -> None:
        gone = [(due.local_date, [(item.invoice.number, item.step) for item in due.items]) for due in touches]
        assert gone == self.messages, f"by {now}: {self.account}"
        for due in touches:
            assert not [item for item in due.items if not item.invoice.is_open or item.invoice.fully_disputed]
        self.played["messages"] += len(gone)
        self.messages = []

    def _later(self, count: int, hour: int) -> datetime:
        at = datetime.combine(self.now.date() + timedelta(days=count), time(hour), BERLIN)
        return max(at, self.now)

    def _opening_after(self, at: datetime) -> datetime:
        opening = datetime.combine(at.date(), time(9), BERLIN)
        return opening if opening > at else datetime.combine(at.date() + timedelta(days=1), time(9), BERLIN)

    def debt(self, one: int, *, open: bool = False) -> Debt | None:  # noqa: A002  # the field's word
        found = [debt for debt in self.account.debts.values() if debt.open or not open]
        return found[one % len(found)] if found else None

    def state(self, debt: Debt) -> InvoiceState:
        return self.world.invoices[self.states[debt.number]]
