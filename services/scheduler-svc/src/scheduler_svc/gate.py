"""The contact gate: named rules in a fixed order, each with the inputs it looked at. Pure.

Order (domain-rules): paid or void · disputed in full · escalated · automation off · held (or under review) · promise ·
payment in flight · below minimum balance · no reachable channel · outside window · minimum gap · contact cap. What a
rule holds back goes at the first moment the whole gate allows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Literal

from remit_events.state import Hold, Profile
from scheduler_svc.days import Days
from scheduler_svc.ledger import Contact, FollowUp
from scheduler_svc.policy import ContactCap, Policy

LAW_CAP = ContactCap(contacts=7, days=7)  # 12 CFR 1006.14(b)(2): seven contacts within seven days, to individuals
_FARTHEST_DAYS = 800


@dataclass(frozen=True, slots=True)
class Ruling:
    """What a rule of the gate said; `until` is when a deferred step is decided again (None: on a change)."""

    rule: str
    outcome: Literal["suppressed", "deferred"]
    inputs: Mapping[str, Any]
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """What the rules about one invoice look at. `demand`: it is a formal demand that asks to go."""

    follow_up: FollowUp
    customer_hold: Hold | None
    automation_on: bool
    replied_at: datetime | None
    under_review: bool
    demand: bool
    today: date
    days: Days


def _paid(about: Standing) -> Ruling | None:
    invoice = about.follow_up.invoice
    if invoice.is_open:
        return None
    rule = "void" if invoice.status in ("void", "written_off") else "paid"
    inputs = {"status": invoice.status, "balance_minor": invoice.balance_minor, "on": about.follow_up.closed_on}
    return Ruling(rule, "suppressed", inputs)


def _disputed(about: Standing) -> Ruling | None:
    invoice = about.follow_up.invoice
    if not invoice.fully_disputed:
        return None
    inputs = {"balance_minor": invoice.balance_minor, "disputed_minor": invoice.disputed_minor}
    return Ruling("disputed", "suppressed", inputs)


def _escalated(about: Standing) -> Ruling | None:
    stage = about.follow_up.escalated
    if stage is None or (stage == "demand" and about.demand):
        return None
    return Ruling("escalated", "suppressed", {"escalated": stage})


def _automation_off(about: Standing) -> Ruling | None:
    """By the kill switch, or for a customer who wrote until a person has answered."""
    if about.automation_on and about.replied_at is None:
        return None
    return Ruling("automation-off", "deferred", {"replied_at": about.replied_at} if about.automation_on else {})


def _under_review(about: Standing) -> Ruling | None:
    if not about.under_review:
        return None
    invoice = about.follow_up.invoice
    inputs = {"due_date": invoice.due_date, "entered_on": about.follow_up.entered_on}
    return Ruling("review", "deferred", inputs)


def _held(about: Standing) -> Ruling | None:
    holds = {"customer": about.customer_hold, "invoice": about.follow_up.invoice.hold}
    active = {on: hold for on, hold in holds.items() if hold and (hold.until is None or about.today <= hold.until)}
    if not active:
        return None
    ends = [hold.until for hold in active.values()]
    last = None if None in ends else max(end for end in ends if end)
    on, hold = next(iter(active.items()))
    inputs = {"held": on, "reason": hold.reason, "hold_until": last}
    return Ruling("held", "deferred", inputs, _opening_after(last, about.days))


def _promised(about: Standing) -> Ruling | None:
    promise = about.follow_up.invoice.promise
    if promise is None or about.today > promise.grace_until:
        return None
    inputs = {"promised_on": promise.on, "amount_minor": promise.amount_minor, "grace_until": promise.grace_until}
    return Ruling("promise", "deferred", inputs, _opening_after(promise.grace_until, about.days))


def _in_flight(about: Standing) -> Ruling | None:
    return Ruling("payment-in-flight", "deferred", {}) if about.follow_up.invoice.payment_in_flight else None


INVOICE_RULES: tuple[Callable[[Standing], Ruling | None], ...] = (
    _paid,
    _disputed,
    _escalated,
    _automation_off,
    _under_review,
    _held,
    _promised,
    _in_flight,
)


def about_invoice(about: Standing) -> Ruling | None:
    """The first rule about the invoice that objects."""
    return next((ruling for rule in INVOICE_RULES if (ruling := rule(about))), None)


def withdrawn(taken_back: bool) -> Ruling | None:
    """Of a formal demand: the case it belongs to was settled or re-opened before it went."""
    return Ruling("escalated", "suppressed", {"escalated": "withdrawn"}) if taken_back else None


def below_minimum(policy: Policy, currency: str, total_minor: int, invoices: int) -> Ruling | None:
    """Of what one message asks for in one currency."""
    minimum = policy.minimum_balance.get(currency, 0)
    if total_minor >= minimum:
        return None
    inputs = {"currency": currency, "total_minor": total_minor, "minimum_minor": minimum, "invoices": invoices}
    return Ruling("below-minimum", "suppressed", inputs)


def no_channel(noted: Mapping[str, str]) -> Ruling:
    return Ruling("no-channel", "suppressed", {"channels": dict(noted)})


@dataclass(frozen=True, slots=True)
class Moment:
    """What the rules about the moment look at."""

    policy: Policy
    profile: Profile
    days: Days
    contacts: Sequence[Contact]
    now: datetime

    @property
    def caps(self) -> list[ContactCap]:
        own = [self.policy.contact_cap] if self.policy.contact_cap else []
        return [*own, LAW_CAP] if self.profile == "individual" else own


def about_moment(at: Moment) -> Ruling | None:
    """The first of window, gap and cap that objects, with the first moment all three allow."""
    today = at.days.local_date(at.now)
    found = _outside_window(at) or _too_soon(at, today) or _capped(at, today)
    if found is None:
        return None
    rule, inputs = found
    until = first_moment(at)
    return Ruling(rule, "deferred", inputs, until)


def first_moment(at: Moment) -> datetime | None:
    """When window, gap and cap all allow a contact first; None: never."""
    if not at.days.ever_open:
        return None
    today = day = at.days.local_date(at.now)
    for _ in range(_FARTHEST_DAYS):
        day = at.days.next_allowed(day)
        if _too_soon(at, day) is None and _capped(at, day) is None:
            opening = at.days.opening(day)
            if opening > at.now:
                return opening
            if day == today and at.days.is_open(at.now):
                return at.now
        day += timedelta(1)
    return None


def _outside_window(at: Moment) -> tuple[str, dict[str, Any]] | None:
    if at.days.is_open(at.now):
        return None
    window = at.days.window
    inputs: dict[str, Any] = {
        "window": {"days": window.days, "from": f"{window.opens:%H:%M}", "to": f"{window.until:%H:%M}"},
        "zones": list(at.days.zones[:3]),
        "day_off": at.days.why_off(at.days.local_date(at.now)),
        "holidays": at.days.source,
    }
    if not at.days.ever_open:
        inputs["never_open"] = "no-common-hour" if at.days.lawful else "law"
    return "outside-window", inputs


def _too_soon(at: Moment, day: date) -> tuple[str, dict[str, Any]] | None:
    gap = at.policy.minimum_gap_days
    last = max(at.contacts, key=lambda contact: contact.on, default=None)
    if last is None or day >= last.on + timedelta(gap):
        return None
    return "minimum-gap", {"minimum_gap_days": gap, "last_contact_on": last.on, "shared_address": last.shared}


def _capped(at: Moment, day: date) -> tuple[str, dict[str, Any]] | None:
    for cap in at.caps:
        counted = sorted(c.on for c in at.contacts if day - timedelta(cap.days) < c.on <= day)
        if len(counted) >= cap.contacts:
            by = "law" if cap is LAW_CAP else "policy"
            return "contact-cap", {"contacts": cap.contacts, "days": cap.days, "counted_on": counted, "by": by}
    return None


def _opening_after(day: date | None, days: Days) -> datetime | None:
    return days.opening(days.next_allowed(day + timedelta(1))) if day else None
