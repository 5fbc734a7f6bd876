"""Random histories walked day by day: what no ladder may ever do."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Literal
from uuid import UUID, uuid4

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from escalation_svc.evaluate import CaseFacts, Contact, Taken, evaluate
from escalation_svc.ladder import HARD_ACTIONS, Conditions, Ladder, Override, Rung, flaws
from remit_events.state import Hold, InvoiceState, Stage

DUE = date(2026, 3, 2)
LAST_DAY = 120
HAPPENINGS = ["remind"] * 6 + [
    "plan",
    "bounce",
    "dispute",
    "undispute",
    "hold",
    "release",
    "pay",
    "unpay",
    "demand-out",
]
happenings = st.lists(st.tuples(st.integers(-5, LAST_DAY), st.sampled_from(HAPPENINGS)), max_size=30)


@st.composite
def ladders(draw: st.DrawFn) -> Ladder:
    """Tasks, a demand, hard rungs; now and then out of order or with too few reminders, to meet the checks."""
    actions = ["task"] * draw(st.integers(0, 2)) + ["formal_demand"] * draw(st.integers(0, 1))
    actions += draw(st.lists(st.sampled_from(sorted(HARD_ACTIONS)), max_size=3))
    waits = sorted(draw(st.lists(st.integers(0, 60), min_size=len(actions), max_size=len(actions))))
    rungs = []
    for index, (action, wait) in enumerate(zip(actions, waits, strict=True)):
        when = Conditions(
            days_overdue=wait,
            reminders=draw(st.sampled_from([3, 3, 3, 4, 2])) if action == "formal_demand" else draw(st.integers(0, 4)),
            days_since_contact=draw(st.integers(0, 6)),
            days_since_demand=draw(st.none() | st.integers(0, 20)) if action in HARD_ACTIONS else None,
        )
        override = {"government": Override(reminders=draw(st.integers(2, 5)))} if draw(st.booleans()) else {}
        deadline = 10 if action == "formal_demand" else None
        rungs.append(Rung(f"r{index}", action, when, deadline_days=deadline, profiles=override))
    return Ladder("drawn", tuple(rungs))


def invoice() -> InvoiceState:
    return InvoiceState(
        id=UUID(int=1),
        customer_id=UUID(int=2),
        number="1",
        status="issued",
        currency="EUR",
        total_minor=1_000,
        balance_minor=1_000,
        issue_date=DUE - timedelta(days=30),
        due_date=DUE,
        issued_at=datetime(2026, 1, 31, tzinfo=UTC),
        version=1,
    )


def happen(facts: CaseFacts, what: str, today: date) -> CaseFacts:
    match what:
        case "remind":
            return replace(facts, contacts=(*facts.contacts, Contact(uuid4(), today, Stage.OVERDUE, "sent")))
        case "plan":
            return replace(facts, contacts=(*facts.contacts, Contact(uuid4(), today, Stage.OVERDUE, "planned")))
        case "bounce" if facts.contacts:
            return replace(facts, contacts=(*facts.contacts[:-1], replace(facts.contacts[-1], status="failed")))
        case "dispute" | "undispute":
            disputed = 1_000 if what == "dispute" else 0
            return replace(facts, invoice=facts.invoice.model_copy(update={"disputed_minor": disputed}))
        case "hold" | "release":
            return replace(facts, customer_hold=Hold(reason="x") if what == "hold" else None)
        case "demand-out" if facts.taken and not facts.demand_sent():
            return replace(facts, contacts=(*facts.contacts, Contact(uuid4(), today, Stage.DEMAND, "sent")))
        case "pay" | "unpay":
            paid = what == "pay"
            state = {"status": "paid" if paid else "issued", "balance_minor": 0 if paid else 1_000}
            return replace(facts, invoice=facts.invoice.model_copy(update=state))
    return facts


def frozen_or_paid(facts: CaseFacts) -> bool:
    return facts.invoice.fully_disputed or not facts.invoice.is_open or facts.customer_hold is not None


@settings(max_examples=200, deadline=None)
@given(ladders(), happenings, st.sampled_from(["business", "government"]), st.booleans())
def test_no_history_bends_the_rules(
    ladder: Ladder, history: list[tuple[int, str]], profile: Literal["business", "government"], at_once: bool
) -> None:
    assume(not flaws(ladder))
    facts = CaseFacts(invoice(), profile)
    expected: date | None = None
    for offset in range(-5, LAST_DAY):
        today = DUE + timedelta(days=offset)
        todays = [what for at, what in history if at == offset]
        for what in todays:
            facts = happen(facts, what, today)
        verdict = evaluate(facts, ladder, today)
        if not todays and expected is not None:
            # What an earlier day said about "not before" was right: never earlier, and at that day if nothing happened.
            assert verdict.may_take == (today >= expected)
        if verdict.may_take:
            assert verdict.rung
            facts = take(facts, ladder, verdict.rung, today, at_once)
            verdict = evaluate(facts, ladder, today)
            assert not verdict.may_take
        waits_for_time_only = verdict.not_before is not None and verdict.status == "open"
        expected = verdict.not_before if waits_for_time_only else None


def take(facts: CaseFacts, ladder: Ladder, rung: Rung, today: date, at_once: bool) -> CaseFacts:
    """Takes a rung after asserting that it may be; a demand leaves at once or, as the gate may make it, later."""
    assert not frozen_or_paid(facts)
    assert rung.key not in {taken.key for taken in facts.taken}
    assert [taken.key for taken in facts.taken] == [r.key for r in ladder.rungs[: len(facts.taken)]]
    assert ladder.rungs[len(facts.taken)] == rung
    if rung.action == "formal_demand":
        touches = {c.touch_id for c in facts.contacts if c.status == "sent" and c.on > DUE and c.stage is Stage.OVERDUE}
        assert len(touches) >= 3
    if rung.action in HARD_ACTIONS:
        assert facts.demand_sent() is not None
        assert facts.demand_sent() <= today
    contacts = facts.contacts
    if rung.action == "formal_demand" and at_once:
        contacts = (*contacts, Contact(uuid4(), today, Stage.DEMAND, "sent"))
    return replace(facts, contacts=contacts, taken=(*facts.taken, Taken(rung.key, today)))
