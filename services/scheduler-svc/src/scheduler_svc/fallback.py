"""A touch all of whose channels certainly failed: the same touch on the next reachable channel, or given up. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from remit_events.state import Channel
from scheduler_svc.channels import Reach, fallback
from scheduler_svc.due import standing
from scheduler_svc.gate import about_invoice, about_moment
from scheduler_svc.ledger import NOTHING_OWED, FailedTouch, Progress, TouchItem
from scheduler_svc.messages import DEMAND_CHANNELS, add_touch, demand_touch, item, moment, stage_on
from scheduler_svc.policy import Step
from scheduler_svc.work import Slot, Touch, Work

UNDELIVERABLE = "undeliverable"


def retry(work: Work, failed: FailedTouch) -> None:
    """Sends it again if its leading item still may be chased; what is left of it is decided anew otherwise."""
    kept = [one for one in failed.items if _still(work, failed, one)]
    overtaken = failed.reached and any(contact.on > failed.on for contact in work.contacts)
    if failed.items[0] not in kept or overtaken or _removed(work, failed):
        for one in kept:
            _forget(work, failed, one)
        work.give_up(failed.id, reached=failed.reached)
        return
    found = fallback(work.debtor, failed.tried, _allowed(work, failed))
    if not found.channels:
        inputs = {"tried": list(failed.tried), "noted": found.noted}
        for slot in _slots(failed, kept):
            work.finish(slot, "suppressed", UNDELIVERABLE, inputs)
        work.give_up(failed.id, reached=failed.reached)
        return
    follow_up = work.follow_ups[failed.items[0].invoice_id]
    ruling = about_moment(moment(work, follow_up, without=failed.id))
    if ruling is None:
        _send_again(work, failed, kept, found)
        return
    for slot in _slots(failed, kept):
        current = work.standing(slot)
        if current is None or not current.is_final:
            work.defer(slot, ruling, touch_id=failed.id)


def _leading_step(work: Work, failed: FailedTouch) -> Step | None:
    """The policy's step of the leading item; None when the follow-up was moved to a policy without it."""
    return next((step for step in _steps(work, failed) if step.key == failed.items[0].step), None)


def _steps(work: Work, failed: FailedTouch) -> Iterable[Step]:
    """Those of the leading item's policy as it is now."""
    return work.policy_of(work.follow_ups[failed.items[0].invoice_id]).steps


def _removed(work: Work, failed: FailedTouch) -> bool:
    return failed.demand_id is None and _leading_step(work, failed) is None


def _allowed(work: Work, failed: FailedTouch) -> Iterable[Channel]:
    """A demand has its channels; a reminder e-mail, letter, and text messages where its policy has any."""
    if failed.demand_id is not None:
        return DEMAND_CHANNELS
    of_policy = (channel for step in _steps(work, failed) for channel in step.channels)
    return {Channel.EMAIL, Channel.LETTER, *of_policy}


def _still(work: Work, failed: FailedTouch, one: TouchItem) -> bool:
    """Whether the item may go on; ends or frees its steps if not."""
    follow_up = work.follow_ups[one.invoice_id]
    ruling = about_invoice(standing(work, follow_up, demand=failed.demand_id is not None))
    if ruling is None:
        return True
    if ruling.outcome == "suppressed":
        for slot in _slots(failed, [one]):
            work.finish(slot, "suppressed", ruling.rule, ruling.inputs, reopens=ruling.rule in NOTHING_OWED)
    else:
        _forget(work, failed, one)
    return False


def _forget(work: Work, failed: FailedTouch, one: TouchItem) -> None:
    """The steps are decided again as if this touch had not been."""
    forgotten = False
    for slot in _slots(failed, [one]):
        current = work.standing(slot)
        if current and not current.is_final:
            work.put(slot, work.follow_ups[one.invoice_id].anew(work.now))
            forgotten = True
    if one.harder and forgotten:
        work.change(one.invoice_id, harder_used=max(work.follow_ups[one.invoice_id].harder_used - 1, 0))


def _slots(failed: FailedTouch, items: list[TouchItem]) -> list[Slot]:
    return [Slot(one.invoice_id, step, failed.demand_id) for one in items for step in (one.step, *one.merged)]


def _send_again(work: Work, failed: FailedTouch, kept: list[TouchItem], found: Reach) -> None:
    inputs = {"fallback_after": list(failed.tried), "channels": list(found.channels), "noted": found.noted}
    if failed.demand_id is not None:
        touch = demand_touch(work, work.demands[failed.demand_id], found.channels, inputs, again=failed.id)
    else:
        touch = _again(work, failed, kept, found.channels, inputs)
    for slot in _slots(failed, kept):
        current = work.standing(slot)
        if current and not current.is_final:
            work.put(slot, Progress(touch_id=failed.id))
    work.contacts = [contact for contact in work.contacts if contact.touch_id != failed.id]
    add_touch(work, touch)


def _again(
    work: Work,
    failed: FailedTouch,
    kept: list[TouchItem],
    channels: tuple[Channel, ...],
    inputs: Mapping[str, Any],
) -> Touch:
    lead, step = work.follow_ups[kept[0].invoice_id], _leading_step(work, failed)
    assert step is not None  # noqa: S101  # without it the touch was given up
    days = work.days_of(lead)
    today = days.local_date(work.now)
    due_date = lead.invoice.due_date
    assert due_date is not None  # noqa: S101  # without one nothing falls due
    return Touch(
        id=failed.id,
        again=True,
        stage=stage_on(today, due_date),
        step=step.key,
        tone=step.tone,
        template=step.template_key,
        channels=channels,
        items=tuple(kept),
        content=tuple(item(work, work.follow_ups[one.invoice_id], one.step) for one in kept),
        policies=tuple(work.follow_ups[one.invoice_id].policy for one in kept),
        inputs=tuple(inputs for _ in kept),
        local_date=today,
        valid_until=min(work.days_of(work.follow_ups[one.invoice_id]).closing(today) for one in kept),
        window=days.window,
    )
