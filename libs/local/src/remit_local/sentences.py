"""One plain sentence per row of the decision log, from the rule and the inputs it looked at; pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from remit_service.money import from_minor
from remit_service.wording import counted

Inputs = Mapping[str, Any]

WEEKDAYS = {
    "mon": "a Monday",
    "tue": "a Tuesday",
    "wed": "a Wednesday",
    "thu": "a Thursday",
    "fri": "a Friday",
    "sat": "a Saturday",
    "sun": "a Sunday",
}
HAPPENED = {
    "sent": "was sent",
    "merged": "went along with another",
    "suppressed": "was not sent",
    "skipped": "was passed over",
    "deferred": "waits",
}
CHANNEL_WHY = {
    "no-address": "no address is known",
    "no-consent": "there is no consent",
    "suppressed": "the address is closed",
    "not-allowed": "no message of this kind goes by it",
}


def sentence(decision: Mapping[str, Any]) -> str:
    """Why the step went or not: `decision` is a row of GET /v1/decisions."""
    until = decision.get("until")
    later = f" It is decided again at {moment(until, decision.get('timezone'))}." if until else ""
    return f"Step {decision['step']} {HAPPENED[decision['outcome']]}: {because(decision)}.{later}"


def because(decision: Mapping[str, Any]) -> str:
    """The rule in words, with what it looked at."""
    inputs: Inputs = decision.get("inputs") or {}
    return RULES.get(decision["rule"], _plainly)(inputs)


def headline(decision: Mapping[str, Any], zone: str | None) -> str:
    """When, about which invoice, under which policy."""
    policy = f"policy {decision['policy_key']} v{decision['policy_version']}"
    return f"{moment(decision['at'], zone)} · {decision['invoice_number']} · {policy}"


def moment(iso: str, zone: str | None) -> str:
    """A moment as a wall time at the customer's place; in UTC where that is not known."""
    local = datetime.fromisoformat(iso).astimezone(ZoneInfo(zone) if zone else UTC)
    return f"{local:%a %Y-%m-%d %H:%M} {local:%Z}"


def day(iso: Any) -> str:
    """A date with its weekday."""
    return f"{date.fromisoformat(str(iso)):%a %Y-%m-%d}" if iso else "an unknown day"


def days(count: int) -> str:
    return counted(count, "day")


def standing(invoice: Mapping[str, Any], customer: Mapping[str, Any]) -> Iterator[str]:
    """What holds an invoice back at present, as invoice-svc knows it: a dispute, a promise, holds."""
    if invoice["disputed_minor"]:
        yield f"{money(invoice['disputed_minor'], invoice['currency'])} of it is disputed."
    if promise := invoice["promise"]:
        yield f"{money(promise['amount_minor'], invoice['currency'])} is promised for {promise['on']}."
    for what, hold in (("It", invoice["hold"]), ("Its customer", customer.get("hold"))):
        if hold:
            until = f" until {hold['until']}" if hold["until"] else ""
            yield f"{what} is held{until}: {hold['reason']}."


def money(minor: Any, currency: str | None) -> str:
    if minor is None or not currency:
        return str(minor)
    return f"{from_minor(int(minor), currency):,} {currency}"


def _sent(inputs: Inputs) -> str:
    parts = []
    if "due_date" in inputs and "offset" in inputs:
        parts.append(_planned(inputs))
    if inputs.get("fallback_after"):
        tried = " and ".join(inputs["fallback_after"])
        parts.append(f"{tried} had failed, so it went by {' and '.join(inputs.get('channels', []))}")
    elif inputs.get("channels"):
        parts.append(f"it went by {' and '.join(inputs['channels'])}")
    if inputs.get("harder"):
        parts.append("a broken promise made it one step harder")
    noted = inputs.get("noted") or inputs.get("skipped_channels")
    if isinstance(noted, Mapping) and noted:
        parts.append("not by " + _channels(noted))
    return "; ".join(parts) or "nothing stood against it"


def _planned(inputs: Inputs) -> str:
    """The day a step goes by its offset, and what moved it there."""
    if "offset" not in inputs or "due_date" not in inputs:
        return f"it is planned for {day(inputs.get('planned_on'))}"
    offset = int(inputs["offset"])
    where = (
        "on the due date" if offset == 0 else f"{days(abs(offset))} {'after' if offset > 0 else 'before'} the due date"
    )
    text = f"it is planned {where}, {day(inputs['due_date'])}"
    if inputs.get("shifted_from"):
        moved = f"{day(inputs['shifted_from'])} is {day_off(inputs.get('day_off'))}"
        text += f"; {moved}, so it moved to {day(inputs.get('planned_on'))}"
    return text


def day_off(why: Any) -> str:
    """What keeps a day off, a weekday as `sun` or a holiday by its name."""
    return WEEKDAYS.get(str(why), f"a day off ({why})") if why else "no day for it"


def _merged(inputs: Inputs) -> str:
    harder = inputs.get("harder_step") or inputs.get("step") or inputs.get("with") or "a harder one"
    return f"on the same occasion only the hardest step goes, {harder}"


def _before_issue(inputs: Inputs) -> str:
    return f"{_planned(inputs)}, and that is not after the issue day {day(inputs.get('issue_date'))}"


def _too_late(inputs: Inputs) -> str:
    waited = f" while it waited ({inputs['waited_for']})" if inputs.get("waited_for") else ""
    return f"it is an upcoming reminder, and the due date {day(inputs.get('due_date'))} came first{waited}"


def _before_entry(inputs: Inputs) -> str:
    if inputs.get("policy_changed_on"):
        return f"its day lay before {day(inputs['policy_changed_on'])}, when the invoice moved to this policy"
    return f"its day lay before {day(inputs.get('entered_on'))}, when Remit learned of the invoice"


def _old_debt(inputs: Inputs) -> str:
    overdue = days(int(inputs.get("days_overdue", 0)))
    enters = inputs.get("enters_with")
    starts = f"follow-up began with {enters}" if enters else "no step was left to begin with"
    return f"the invoice was {overdue} overdue when it came in on {day(inputs.get('entered_on'))}, and {starts}"


def _paid(inputs: Inputs) -> str:
    return f"the invoice was paid{_on(inputs)}"


def _void(inputs: Inputs) -> str:
    return f"the invoice was {'written off' if inputs.get('status') == 'written_off' else 'voided'}{_on(inputs)}"


def _on(inputs: Inputs) -> str:
    return f" on {day(inputs['on'])}" if inputs.get("on") else ""


def _escalated(inputs: Inputs) -> str:
    if inputs.get("escalated") == "demand":
        return "a formal demand has gone out, and reminders end with it"
    return "the case was escalated past the demand, and chasing has stopped"


def _below_minimum(inputs: Inputs) -> str:
    currency = inputs.get("currency")
    total, least = money(inputs.get("total_minor"), currency), money(inputs.get("minimum_minor"), currency)
    return f"{total} is asked for in all, and the policy leaves less than {least} alone"


def _no_channel(inputs: Inputs) -> str:
    return f"nobody can be reached: {_channels(inputs.get('channels') or {})}"


def _channels(noted: Mapping[str, Any]) -> str:
    reasons = (f"{channel} ({CHANNEL_WHY.get(str(why), str(why))})" for channel, why in noted.items())
    return ", ".join(reasons) or "no channel"


def _undeliverable(inputs: Inputs) -> str:
    why = f": {_channels(inputs['noted'])}" if inputs.get("noted") else ""
    return f"every channel failed ({', '.join(inputs.get('tried') or [])}) and no other can be used{why}"


def _automation_off(inputs: Inputs) -> str:
    if not inputs.get("replied_at"):
        return "automation is switched off"
    return f"the customer wrote on {moment(inputs['replied_at'], None)}, and nobody has answered yet"


def _held(inputs: Inputs) -> str:
    who = "the customer" if inputs.get("held") == "customer" else "the invoice"
    until = f" through {day(inputs['hold_until'])}" if inputs.get("hold_until") else " until it is released"
    because = f" ({inputs['reason']})" if inputs.get("reason") else ""
    return f"{who} is on hold{until}{because}"


def _promise(inputs: Inputs) -> str:
    promised, grace = day(inputs.get("promised_on")), day(inputs.get("grace_until"))
    return f"payment was promised for {promised}, and grace runs through {grace}"


def _outside_window(inputs: Inputs) -> str:
    window = inputs.get("window") or {}
    hours = f"{window.get('from')} to {window.get('to')}"
    if inputs.get("never_open") == "law":
        return f"the law allows nothing at any time of this policy's window ({hours})"
    if inputs.get("never_open"):
        return f"no hour of {hours} is common to all zones of the country; give the customer a time zone"
    off = f"today is {day_off(inputs['day_off'])}; " if inputs.get("day_off") else ""
    return f"{off}messages go from {hours} at the customer's place"


def _gap(inputs: Inputs) -> str:
    shared = " at an address shared with another customer" if inputs.get("shared_address") else ""
    gap, last = days(int(inputs.get("minimum_gap_days", 0))), day(inputs.get("last_contact_on"))
    return f"the last contact{shared} was on {last}, and the next is {gap} later at the earliest"


def _cap(inputs: Inputs) -> str:
    by = "the law" if inputs.get("by") == "law" else "the policy"
    counted = ", ".join(day(one) for one in inputs.get("counted_on") or [])
    return (
        f"{by} allows {inputs.get('contacts')} contacts in {inputs.get('days')} days, and there were some on {counted}"
    )


def _review(inputs: Inputs) -> str:
    return (
        f"it was due on {day(inputs.get('due_date'))}, more than 180 days before it came in; a person looks at it first"
    )


def _catch_up(inputs: Inputs) -> str:
    missed = day(inputs.get("missed_until"))
    return f"its day passed while nothing could go, and the policy skips what was missed before {missed}"


def _plainly(inputs: Inputs) -> str:
    """What a rule this release does not know looked at."""
    return ", ".join(f"{name} {value}" for name, value in inputs.items()) or "no inputs"


RULES: dict[str, Callable[[Inputs], str]] = {
    "sent": _sent,
    "harder-step": _merged,
    "before-issue": _before_issue,
    "too-late": _too_late,
    "before-entry": _before_entry,
    "old-debt": _old_debt,
    "catch-up": _catch_up,
    "no-due-date": lambda _: "the invoice has no due date",
    "paid": _paid,
    "void": _void,
    "disputed": lambda _: "the whole invoice is disputed",
    "escalated": _escalated,
    "below-minimum": _below_minimum,
    "no-channel": _no_channel,
    "undeliverable": _undeliverable,
    "automation-off": _automation_off,
    "held": _held,
    "promise": _promise,
    "payment-in-flight": lambda _: "a payment is on its way",
    "outside-window": _outside_window,
    "minimum-gap": _gap,
    "contact-cap": _cap,
    "review": _review,
}
