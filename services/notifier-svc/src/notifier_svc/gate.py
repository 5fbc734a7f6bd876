"""The last check: what of a decided touch may still leave, by what invoice-svc just said. Pure.

The scheduler decided; this only takes back. Order and names of the rules: domain-rules, contact gate.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from remit_events.notifications import DroppedItem
from remit_events.schedule import Item
from remit_events.state import CustomerState, Hold, InvoiceState, Stage

FOLLOW_UP = frozenset({Stage.UPCOMING, Stage.DUE, Stage.OVERDUE, Stage.DEMAND})
DEMAND_NEEDS = 3

AUTOMATION_OFF = "automation-off"
BELOW_MINIMUM = "below-minimum"
EXPIRED = "expired"


# An item and the rule it is refused by.
Judged = tuple[Item, str | None]


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known right now: invoices as answered, the kill switch, the day at the customer's place.

    `customer_holds` are holds on the whole customer, by invoice as answered; `reminders` sent, by invoice.
    """

    states: Mapping[UUID, InvoiceState]
    automation_on: bool
    today: date
    customer: CustomerState
    reminders: Mapping[UUID, int]
    customer_holds: Mapping[UUID, Hold]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What goes (`kept`, with fresh amounts) and what not; with a `rule` nothing goes, whatever may be kept."""

    kept: tuple[Item, ...]
    dropped: tuple[DroppedItem, ...] = ()
    rule: str | None = None

    def same_message(self, other: Verdict) -> bool:
        """Whether both say the same to the customer: the same invoices with the same amounts."""
        return self.rule == other.rule and _asked(self.kept) == _asked(other.kept)


def decide(stage: Stage, items: tuple[Item, ...], facts: Facts) -> Verdict:
    """The leading item dropped, or nothing left, or the kill switch: the whole touch is off."""
    if not facts.automation_on:
        return Verdict(tuple(_fresh(stage, item, facts) for item in items), rule=AUTOMATION_OFF)
    judged = _enough([(item, _refusal(stage, item, facts)) for item in items], facts)
    dropped = tuple(DroppedItem(item=_fresh(stage, item, facts), rule=rule) for item, rule in judged if rule)
    kept = tuple(_fresh(stage, item, facts) for item, rule in judged if not rule)
    leading = judged[0][1]
    if stage is Stage.THANKS and kept:
        leading = None  # a thank-you has no leading item: it is for what stayed paid
    return Verdict(kept, dropped, rule=leading)


def _refusal(stage: Stage, item: Item, facts: Facts) -> str | None:
    state = facts.states.get(item.invoice.id)
    if state is None:
        return "unknown-invoice"
    if stage is Stage.THANKS:
        return None if state.status == "paid" else "not-paid"
    if state.status in ("void", "written_off"):
        return "void"
    if not state.is_open:
        return "paid"
    if stage is Stage.INVOICE:
        return None
    return _not_now(state, facts) or _not_enough(stage, state, facts)


def _enough(judged: list[Judged], facts: Facts) -> list[Judged]:
    """Refuses what is left that asks for less, in its currency and together, than its policy does at least."""
    if not any(item.minimum_minor for item, _ in judged):
        return judged
    left: Counter[str] = Counter()
    for item, rule in judged:
        left[item.invoice.currency] += 0 if rule else facts.states[item.invoice.id].chased_minor
    return [
        (item, BELOW_MINIMUM if rule is None and left[item.invoice.currency] < item.minimum_minor else rule)
        for item, rule in judged
    ]


def _not_now(state: InvoiceState, facts: Facts) -> str | None:
    """The rules that pause a follow-up, in the gate's order."""
    if state.fully_disputed:
        return "disputed"
    holds = (state.hold, facts.customer_holds.get(state.id), facts.customer.hold)
    if any(_holds(hold, facts.today) for hold in holds):
        return "held"
    if state.promise and facts.today <= state.promise.grace_until:
        return "promise"
    if state.payment_in_flight:
        return "payment-in-flight"
    return None


def _not_enough(stage: Stage, state: InvoiceState, facts: Facts) -> str | None:
    if stage is Stage.DEMAND and facts.reminders.get(state.id, 0) < DEMAND_NEEDS:
        return "fewer-than-three-reminders"
    return None


def _holds(hold: Hold | None, today: date) -> bool:
    return hold is not None and (hold.until is None or today <= hold.until)


def _fresh(stage: Stage, item: Item, facts: Facts) -> Item:
    """The item with the invoice as it is now, asking for what is owed now; the invoice itself states its balance."""
    state = facts.states.get(item.invoice.id)
    if state is None:
        return item
    if stage is Stage.THANKS:
        return item.model_copy(update={"invoice": state})
    amount = state.balance_minor if stage is Stage.INVOICE else state.chased_minor
    return item.model_copy(update={"invoice": state, "amount_minor": amount})


def _asked(items: tuple[Item, ...]) -> list[tuple[UUID, int]]:
    return [(item.invoice.id, item.amount_minor) for item in items]
