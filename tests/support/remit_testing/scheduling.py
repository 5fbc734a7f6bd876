"""Customers, invoices and policies for the scheduler's tests, and time running over its pure core.

`Debt` is one invoice as a ledger row would say it; `play` lets issues, payments and the clock happen and gives every
decision made and every touch sent, as the services would together: a touch counts as sent the moment it goes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

from remit_events.state import Channel, CustomerState, InvoiceState
from scheduler_svc.channels import addresses
from scheduler_svc.ledger import Debtor, FollowUp, Ledger, PolicyRef
from scheduler_svc.policy import Policy
from scheduler_svc.policy_file import shipped
from scheduler_svc.records import address_keys
from scheduler_svc.review import assume_sent, review
from scheduler_svc.work import Decision, Touch

SELLER = UUID("0190a000-0000-7000-8000-00000000000a")


def utc(text: str, zone: str = "Europe/Berlin") -> datetime:
    """`2026-03-02 09:00` on the wall of `zone`."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def at(day: date, wall: str, zone: str = "Europe/Berlin") -> datetime:
    return datetime.combine(day, time.fromisoformat(wall), ZoneInfo(zone)).astimezone(UTC)


def make_customer(**given: Any) -> CustomerState:
    values: dict[str, Any] = {
        "id": uuid4(),
        "external_id": "C1",
        "name": "Kunde",
        "profile": "business",
        "country": "DE",
        "timezone": "Europe/Berlin",
        "email": "ap@kunde.example",
        "phone": "+4915112345678",
        "address": "Weg 1, 10115 Berlin",
        "sms_consent": True,
        "version": 1,
    }
    return CustomerState(**(values | given))


def make_debtor(closed: frozenset[tuple[Channel, str]] = frozenset(), **given: Any) -> Debtor:
    state = make_customer(**given)
    return debtor_of(state, closed)


def debtor_of(state: CustomerState, closed: frozenset[tuple[Channel, str]] = frozenset()) -> Debtor:
    suppressed = [f"{channel}:{sha}" for channel, sha in closed]
    return Debtor(
        id=state.id,
        seller_id=SELLER,
        external_id=state.external_id,
        name=state.name,
        profile=state.profile,
        country=state.country,
        timezone=state.timezone,
        hold=state.hold,
        addresses=addresses(address_keys(state), suppressed, sms_consent=state.sms_consent),
    )


def make_invoice(number: str = "R1", issue: str = "2026-01-02", due: str | None = "2026-02-02", **given: Any) -> Any:
    values: dict[str, Any] = {
        "id": uuid4(),
        "customer_id": uuid4(),
        "number": number,
        "status": "issued",
        "currency": "EUR",
        "total_minor": 10000,
        "balance_minor": 10000,
        "issue_date": date.fromisoformat(issue),
        "due_date": date.fromisoformat(due) if due else None,
        "issued_at": utc(f"{issue} 08:00"),
        "version": 1,
    }
    return InvoiceState(**(values | given))


def make_policy(key: str = "business", **changes: Any) -> Policy:
    """A shipped policy with some of its body's fields replaced."""
    return Policy.model_validate(shipped(key).as_body() | changes)


def ref(policy: Policy) -> PolicyRef:
    return PolicyRef(policy.key, 1)


def follow(invoice: InvoiceState, policy: Policy, **given: Any) -> FollowUp:
    values: dict[str, Any] = {"entered_on": invoice.issue_date} | given
    return FollowUp(invoice=invoice, policy=ref(policy), **values)


@dataclass(frozen=True)
class Debt:
    """One invoice and what becomes of it. `entered`: the day Remit learns of it, when that is later; `back`: the day
    the payment is taken back.
    """

    number: str
    issue: date
    due: date
    paid: date | None = None
    disputed: bool = False
    amount_minor: int = 10000
    currency: str = "EUR"
    entered: date | None = None
    back: date | None = None


@dataclass
class Played:
    """What happened to one customer."""

    ledger: Ledger
    decisions: list[tuple[datetime, Decision]] = field(default_factory=list)
    touches: list[tuple[datetime, Touch]] = field(default_factory=list)
    exhausted: list[str] = field(default_factory=list)

    def finals(self) -> dict[tuple[str, str], list[tuple[str, str]]]:
        """Every final outcome of (invoice number, step), the sent and merged ones included."""
        found: dict[tuple[str, str], list[tuple[str, str]]] = {}
        for _, one in self.decisions:
            if one.outcome != "deferred":
                found.setdefault((one.invoice.number, one.step), []).append((one.outcome, one.rule))
        for _, touch in self.touches:
            for item, content in zip(touch.items, touch.content, strict=True):
                found.setdefault((content.invoice.number, item.step), []).append(("sent", "sent"))
                for step in item.merged:
                    found.setdefault((content.invoice.number, step), []).append(("merged", "harder-step"))
        return found

    def sent(self, number: str | None = None) -> list[tuple[str, date]]:
        """(step, local day) of every item sent, for one invoice or all."""
        return [
            (item.step, touch.local_date)
            for _, touch in self.touches
            for item in touch.content
            if number in (None, item.invoice.number)
        ]


def play(
    debtor: Debtor, debts: Sequence[Debt], policy: Policy, *, until: datetime, zone: str = "Europe/Berlin",
    changes: Sequence[tuple[datetime, Mapping[str, Any]]] = (), down: tuple[datetime, datetime] | None = None,
) -> Played:  # fmt: skip
    """Issues at 08:00 and payments at 00:00 local, then steps; `changes` are to the ledger, `down` no reviews."""
    played = Played(Ledger(debtor, automation_on=True, follow_ups=()))
    inputs = _inputs(debtor, debts, policy, zone)
    inputs += [(when, 2, _replacing(change)) for when, change in changes]
    inputs.sort(key=lambda one: one[:2])
    policies = {ref(policy): policy}
    moment: datetime | None = inputs[0][0]
    while moment is not None and moment <= until:
        while inputs and inputs[0][0] <= moment:
            played.ledger = inputs.pop(0)[2](played.ledger)
        nearest = [inputs[0][0]] if inputs else []
        if down and down[0] <= moment < down[1]:
            nearest.append(down[1])
        else:
            nearest += _settle(played, policies, moment)
        moment = min(nearest, default=None)
    return played


def _settle(played: Played, policies: Mapping[PolicyRef, Policy], moment: datetime) -> list[datetime]:
    """Reviews until nothing moves any more, as the services do within one instant."""
    while True:
        result = review(played.ledger, policies, moment, uuid4)
        played.decisions += [(moment, one) for one in result.decisions]
        played.touches += [(moment, one) for one in result.touches]
        played.exhausted += [one.invoice.number for one in result.exhausted]
        played.ledger = assume_sent(result)
        assert result.next_at is None or result.next_at > moment
        if not result.touches:
            return [result.next_at] if result.next_at else []


def _replacing(change: Mapping[str, Any]) -> Any:
    return lambda ledger: replace(ledger, **change)


def _inputs(debtor: Debtor, debts: Sequence[Debt], policy: Policy, zone: str) -> list[tuple[datetime, int, Any]]:
    found: list[tuple[datetime, int, Any]] = []
    for debt in debts:
        entered = debt.entered or debt.issue
        invoice = make_invoice(
            debt.number,
            debt.issue.isoformat(),
            debt.due.isoformat(),
            customer_id=debtor.id,
            issued_at=at(entered, "08:00", zone),
            currency=debt.currency,
            total_minor=debt.amount_minor,
            balance_minor=debt.amount_minor,
            disputed_minor=debt.amount_minor if debt.disputed else 0,
        )
        found.append((at(entered, "08:00", zone), 1, _adding(follow(invoice, policy, entered_on=entered))))
        if debt.paid:
            wall = "08:00" if debt.paid == entered else "00:00"
            found.append((at(debt.paid, wall, zone), 1, _paying(invoice, debt.paid)))
        if debt.back:
            when = at(debt.back, "09:00", zone)
            found.append((when, 1, _taking_back(invoice, when)))
    return found


def _adding(follow_up: FollowUp) -> Any:
    return lambda ledger: replace(ledger, follow_ups=(*ledger.follow_ups, follow_up))


def _paying(invoice: InvoiceState, on: date) -> Any:
    def pay(ledger: Ledger) -> Ledger:
        changed = []
        for one in ledger.follow_ups:
            if one.id == invoice.id:
                paid = invoice.model_copy(update={"status": "paid", "balance_minor": 0, "disputed_minor": 0})
                disputed = one.invoice.fully_disputed
                changed.append(one._replace(invoice=paid, closed_on=on, disputed_before=disputed))
            else:
                changed.append(one)
        return replace(ledger, follow_ups=tuple(changed))

    return pay


def _taking_back(invoice: InvoiceState, when: datetime) -> Any:
    def take_back(ledger: Ledger) -> Ledger:
        changed = [
            one.owed_again(when)._replace(invoice=invoice) if one.id == invoice.id else one for one in ledger.follow_ups
        ]
        return replace(ledger, follow_ups=tuple(changed))

    return take_back


def days_between(first: date, last: date) -> list[date]:
    return [first + timedelta(n) for n in range((last - first).days + 1)]
