"""The last check, pure: it only takes back, and what stays is asked for as it is owed now."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st
from remit_testing.notifier_samples import new_customer, new_invoice

from notifier_svc.gate import Facts, decide
from remit_events.schedule import Item
from remit_events.state import Hold, InvoiceState, Promise, Stage

CUSTOMER = new_customer()
TODAY = date(2026, 3, 2)


def item(state: InvoiceState, amount: int = 11900) -> Item:
    return Item(invoice=state, step="second", amount_minor=amount, days_overdue=10)


def facts(*states: InvoiceState, **given: Any) -> Facts:
    values: dict[str, Any] = {
        "states": {state.id: state for state in states},
        "automation_on": True,
        "today": TODAY,
        "customer": CUSTOMER,
        "reminders": {},
        "customer_holds": {},
    }
    return Facts(**(values | given))


def rule_for(stage: Stage, **changes: Any) -> str | None:
    state = new_invoice(CUSTOMER)
    return decide(stage, (item(state),), facts(state.model_copy(update=changes))).rule


def test_rules_come_in_the_order_of_the_contact_gate() -> None:
    everything = {
        "disputed_minor": 11900,
        "hold": Hold(reason="x"),
        "promise": Promise(id=UUID(int=1), on=TODAY, amount_minor=1, grace_until=TODAY),
        "payment_in_flight": True,
    }
    found = []
    while everything:
        found.append(rule_for(Stage.OVERDUE, **everything))
        everything.pop(next(iter(everything)))
    assert [*found, rule_for(Stage.OVERDUE)] == ["disputed", "held", "promise", "payment-in-flight", None]


def test_a_partial_dispute_leaves_the_rest_to_be_asked_for() -> None:
    state = new_invoice(CUSTOMER, disputed_minor=10000)
    verdict = decide(Stage.OVERDUE, (item(state),), facts(state))
    assert [kept.amount_minor for kept in verdict.kept] == [1900]


def test_the_invoice_itself_goes_though_disputed_held_or_promised() -> None:
    assert rule_for(Stage.INVOICE, disputed_minor=11900, hold=Hold(reason="x"), payment_in_flight=True) is None
    assert rule_for(Stage.INVOICE, status="paid", balance_minor=0) == "paid"
    assert rule_for(Stage.INVOICE, status="void") == "void"


def test_thanks_are_for_what_is_still_paid() -> None:
    paid = new_invoice(CUSTOMER, status="paid", balance_minor=0)
    reversed_ = new_invoice(CUSTOMER, status="issued")
    verdict = decide(Stage.THANKS, (item(reversed_, 500), item(paid, 700)), facts(paid, reversed_))
    assert (verdict.rule, [kept.amount_minor for kept in verdict.kept]) == (None, [700])
    assert decide(Stage.THANKS, (item(reversed_),), facts(reversed_)).rule == "not-paid"


def test_a_promise_holds_through_its_grace_and_a_hold_through_its_day() -> None:
    promise = Promise(id=UUID(int=1), on=date(2026, 2, 27), amount_minor=1, grace_until=date(2026, 3, 1))
    assert rule_for(Stage.OVERDUE, promise=promise) is None
    assert rule_for(Stage.OVERDUE, promise=promise.model_copy(update={"grace_until": TODAY})) == "promise"
    assert rule_for(Stage.OVERDUE, hold=Hold(reason="x", until=date(2026, 3, 1))) is None
    assert rule_for(Stage.OVERDUE, hold=Hold(reason="x", until=TODAY)) == "held"


def test_a_hold_on_the_customer_counts_as_answered_or_as_known() -> None:
    state, hold = new_invoice(CUSTOMER), Hold(reason="in talks")
    assert decide(Stage.OVERDUE, (item(state),), facts(state, customer_holds={state.id: hold})).rule == "held"
    held = CUSTOMER.model_copy(update={"hold": hold})
    assert decide(Stage.OVERDUE, (item(state),), facts(state, customer=held)).rule == "held"


def test_a_demand_counts_reminders_per_invoice() -> None:
    state = new_invoice(CUSTOMER)
    for count, rule in ((0, "fewer-than-three-reminders"), (2, "fewer-than-three-reminders"), (3, None)):
        assert decide(Stage.DEMAND, (item(state),), facts(state, reminders={state.id: count})).rule == rule


states = st.builds(
    lambda status, balance, disputed, held, flying: new_invoice(
        CUSTOMER,
        status=status if balance else "paid",
        balance_minor=balance,
        disputed_minor=min(disputed, balance),
        hold=Hold(reason="x") if held else None,
        payment_in_flight=flying,
    ),
    st.sampled_from(["issued", "partly_paid", "void", "written_off"]),
    st.integers(0, 20000),
    st.integers(0, 20000),
    st.booleans(),
    st.booleans(),
)


@settings(deadline=None)
@given(st.lists(states, min_size=1, max_size=6), st.booleans(), st.sampled_from(sorted(Stage)))
def test_what_goes_is_a_part_of_what_was_decided_and_only_what_is_owed(
    found: list[InvoiceState], automation_on: bool, stage: Stage
) -> None:
    items = tuple(item(state) for state in found)
    verdict = decide(stage, items, facts(*found, automation_on=automation_on))
    kept = [one.invoice.id for one in verdict.kept]
    assert kept == [one.invoice.id for one in items if one.invoice.id in kept]
    if not automation_on:
        assert (kept, verdict.rule) == ([one.invoice.id for one in items], "automation-off")
        return
    assert len(kept) + len(verdict.dropped) == len(items)
    if stage not in (Stage.INVOICE, Stage.THANKS):
        assert all(one.amount_minor == one.invoice.chased_minor > 0 and one.invoice.is_open for one in verdict.kept)
        assert (verdict.rule is None) == (items[0].invoice.id in kept)
    if verdict.rule is None:
        assert verdict.kept
