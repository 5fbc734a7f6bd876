"""From what is due to the messages that go: merging, consolidation, and the rest of the gate. Pure.

The hardest leads: greatest offset, then oldest due date, then invoice number. A formal demand goes by itself, and
before anything else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from remit_events.schedule import Demand, Item
from remit_events.state import Channel, Stage, Tone
from scheduler_svc.channels import Reach, in_order, reach
from scheduler_svc.due import Due, defer, led, standing, suppress
from scheduler_svc.gate import Moment, Ruling, about_invoice, about_moment, below_minimum, no_channel, withdrawn
from scheduler_svc.ledger import Contact, DemandDue, FollowUp, Progress, TouchItem
from scheduler_svc.work import Slot, Touch, Work

DEMAND_CHANNELS = (Channel.EMAIL, Channel.LETTER)
DEMAND_TEMPLATE = "demand"
DEMAND_DAYS = 14  # when whoever triggered it named no deadline


@dataclass(frozen=True, slots=True)
class Going:
    """Something due with the channels it goes on."""

    due: Due
    reach: Reach


def send(work: Work, dues: Sequence[Due]) -> None:
    """Sends what the gate lets go, one message per customer where policies consolidate; defers the rest."""
    together = sorted((due for due in dues if due.policy.consolidate), key=lambda due: due.hardness)
    groups = ([together] if together else []) + [[due] for due in dues if not due.policy.consolidate]
    for group in sorted(groups, key=lambda group: group[0].hardness):
        reached = [going for due in _enough(work, group) if (going := _reachable(work, due))]
        ready = [going for going in reached if _in_time(work, going)]
        if ready:
            _go(work, sorted(ready, key=lambda going: going.due.hardness))


def send_demand(work: Work, demand: DemandDue) -> None:
    """A formal demand through the same gate."""
    follow_up = work.follow_ups[demand.invoice_id]
    policy, invoice = work.policy_of(follow_up), follow_up.invoice
    found = reach(work.debtor, DEMAND_CHANNELS, required=True)
    ruling = (
        withdrawn(demand.withdrawn)
        or about_invoice(standing(work, follow_up, demand=True))
        or below_minimum(policy, invoice.currency, invoice.chased_minor, 1)
        or (None if found.channels else no_channel(found.noted))
        or about_moment(moment(work, follow_up))
    )
    slot = Slot(invoice.id, demand.rung, demand.id)
    if ruling and ruling.outcome == "suppressed":
        work.finish(slot, "suppressed", ruling.rule, ruling.inputs)
    elif ruling:
        work.defer(slot, ruling)
    else:
        touch = demand_touch(work, demand, found.channels, {"noted": found.noted})
        work.put(slot, Progress(touch_id=touch.id))
        add_touch(work, touch)


def demand_touch(
    work: Work, demand: DemandDue, channels: Sequence[Channel], inputs: Mapping[str, Any], again: UUID | None = None
) -> Touch:
    """The message of a formal demand as it goes now; its deadline moves with it, so the time to pay stays whole."""
    follow_up = work.follow_ups[demand.invoice_id]
    today = work.today(follow_up)
    deadline = demand.deadline or demand.triggered_on + timedelta(DEMAND_DAYS)
    return Touch(
        id=again or work.new_id(),
        again=again is not None,
        stage=Stage.DEMAND,
        step=demand.rung,
        tone=Tone.FINAL,
        template=DEMAND_TEMPLATE,
        channels=tuple(channels),
        items=(TouchItem(demand.invoice_id, demand.rung),),
        content=(item(work, follow_up, demand.rung),),
        policies=(follow_up.policy,),
        inputs=({**inputs, "reminders_sent": demand.reminders_sent, "approved_by": demand.approved_by},),
        local_date=today,
        valid_until=work.days_of(follow_up).closing(today),
        window=work.days_of(follow_up).window,
        demand_id=demand.id,
        demand=Demand(
            case_id=demand.case_id,
            reminders_sent=demand.reminders_sent,
            approved_by=demand.approved_by,
            deadline=deadline + max(today - demand.triggered_on, timedelta(0)),
        ),
    )


def moment(work: Work, follow_up: FollowUp, *, without: UUID | None = None) -> Moment:
    """What window, gap and cap look at; `without` leaves out the contact of one touch."""
    contacts = [contact for contact in work.contacts if without is None or contact.touch_id != without]
    policy = work.policy_of(follow_up)
    return Moment(policy, work.debtor.profile, work.days_of(follow_up), contacts, work.now)


def item(work: Work, follow_up: FollowUp, step: str) -> Item:
    invoice = follow_up.invoice
    today = work.today(follow_up)
    late = (today - invoice.due_date).days if invoice.due_date else 0
    return Item(
        invoice=invoice,
        step=step,
        amount_minor=invoice.chased_minor,
        days_overdue=late,
        minimum_minor=work.policy_of(follow_up).minimum_balance.get(invoice.currency, 0),
    )


def stage_on(today: date, due_date: date) -> Stage:
    """Of a follow-up: the sending day against the leading item's due date."""
    if today < due_date:
        return Stage.UPCOMING
    return Stage.DUE if today == due_date else Stage.OVERDUE


def add_touch(work: Work, touch: Touch) -> None:
    work.touches.append(touch)
    work.contacts.append(Contact(touch.local_date, touch.id))


def _enough(work: Work, group: Sequence[Due]) -> list[Due]:
    """Drops what asks for less, in its currency and together, than its policy's minimum balance."""
    if not any(due.policy.minimum_balance for due in group):
        return list(group)
    totals: Counter[str] = Counter()
    invoices: Counter[str] = Counter()
    for due in group:
        totals[due.follow_up.invoice.currency] += due.follow_up.invoice.chased_minor
        invoices[due.follow_up.invoice.currency] += 1
    kept = []
    for due in group:
        currency = due.follow_up.invoice.currency
        ruling = below_minimum(due.policy, currency, totals[currency], invoices[currency])
        if ruling:
            suppress(work, due.follow_up, due.steps, ruling)
        else:
            kept.append(due)
    return kept


def _reachable(work: Work, due: Due) -> Going | None:
    """The due step that goes: the hardest with a channel to go on; the harder ones end here."""
    while True:
        found = reach(work.debtor, due.lead.channels, required=due.lead.offset > 0)
        if found.channels:
            return Going(due, found)
        left = [one for one in due.steps if one.step != due.lead]
        if len(left) < len(due.steps):
            (gone,) = (one for one in due.steps if one.step == due.lead)
            suppress(work, due.follow_up, [gone], no_channel(found.noted))
        if not left:
            return None
        due = led(due.follow_up, due.policy, left, due.shifts_from)


def _in_time(work: Work, going: Going) -> bool:
    ruling: Ruling | None = about_moment(moment(work, going.due.follow_up))
    if ruling:
        defer(work, going.due.follow_up, going.due.steps, ruling)
    return ruling is None


def _go(work: Work, group: Sequence[Going]) -> None:
    """One touch for all of `group`, hardest first."""
    lead = group[0].due
    days = work.days_of(lead.follow_up)
    today = work.today(lead.follow_up)
    due_date = lead.follow_up.invoice.due_date
    assert due_date is not None  # noqa: S101  # without one nothing falls due
    touch = Touch(
        id=work.new_id(),
        again=False,
        stage=stage_on(today, due_date),
        step=lead.lead.key,
        tone=lead.lead.tone,
        template=lead.lead.template_key,
        channels=in_order(channel for going in group for channel in going.reach.channels),
        items=tuple(TouchItem(one.due.follow_up.id, one.due.lead.key, one.due.takes, one.due.harder) for one in group),
        content=tuple(item(work, one.due.follow_up, one.due.lead.key) for one in group),
        policies=tuple(one.due.follow_up.policy for one in group),
        inputs=tuple(_sent_inputs(one, lead) for one in group),
        local_date=today,
        valid_until=min(work.days_of(one.due.follow_up).closing(today) for one in group),
        window=days.window,
    )
    for one in group:
        _put_in_flight(work, one.due, touch.id)
    add_touch(work, touch)


def _put_in_flight(work: Work, due: Due, touch_id: UUID) -> None:
    invoice_id = due.follow_up.id
    for step in (due.lead.key, *due.takes):
        work.put(Slot(invoice_id, step), Progress(touch_id=touch_id))
    if not (due.shift_days or due.harder):
        return
    standing_now = work.follow_ups[invoice_id]
    work.change(
        invoice_id,
        shift_days=standing_now.shift_days + due.shift_days,
        harder_used=due.follow_up.invoice.promises_broken if due.harder else standing_now.harder_used,
    )


def _sent_inputs(going: Going, lead: Due) -> Mapping[str, Any]:
    """What the item's `sent` row will say."""
    due = going.due
    planned = next((dict(one.inputs) for one in due.steps if one.step == due.lead), {})
    planned |= {"channels": list(going.reach.channels), "noted": going.reach.noted}
    if due.takes:
        planned["merged"] = list(due.takes)
    if due.harder:
        planned["harder"] = True
    if going.reach.rerouted:
        planned["rerouted"] = True
    if due is not lead:
        planned["with"] = {"invoice": lead.follow_up.invoice.number, "step": lead.lead.key}
    return planned
