"""What a row of an export says that no import said before: pure comparison of the row with the last one and with us.

Only paid_date, open_amount and disputed are taken over, and only where they say something else than the last import
of the invoice said; any other difference is a conflict, reported and left alone. So what people recorded by hand
stands. A blank says nothing; only money or a dispute an import recorded and the file no longer shows is a conflict.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from operator import attrgetter
from typing import Any
from uuid import UUID

from invoice_svc.customers import Customer
from invoice_svc.inputs import ImportRow
from invoice_svc.invoices import Invoice
from invoice_svc.stated import Stated

PROVIDER = "import"

# The row's column, and the customer's; a blank cell states nothing.
_CUSTOMER_FIELDS = {
    "customer_name": "name",
    "email": "email",
    "phone": "phone",
    "profile": "profile",
    "country": "country",
    "timezone": "timezone",
    "language": "language",
    "sms_consent": "sms_consent",
    "address": "address",
}
_THEIRS, _OURS = attrgetter(*_CUSTOMER_FIELDS), attrgetter(*_CUSTOMER_FIELDS.values())


@dataclass(frozen=True, slots=True)
class Money:
    """A payment on an invoice that stands; `imported` when an import recorded it for this invoice alone."""

    amount_minor: int
    received_on: date
    imported: bool


@dataclass(frozen=True, slots=True)
class Known:
    """What is recorded of an invoice a row names, and what the last import said of it.

    `disputes` are the open ones, `payments` those not reversed, oldest first.
    """

    invoice: Invoice
    owner: str
    stated: Stated
    disputes: frozenset[UUID] = frozenset()
    payments: tuple[Money, ...] = ()


@dataclass(frozen=True, slots=True)
class Pay:
    """Money to record: `amount_minor` received on `on`."""

    amount_minor: int
    on: date


@dataclass(slots=True)
class Difference:
    """What to do about a row: take back the newest `reversals` imported payments, then pay, open or resolve.

    `stated` is what to remember; `resolve_dispute` is about the one an import opened.
    """

    stated: Stated
    changes: list[dict[str, Any]] = field(default_factory=list)
    conflicts: list[dict[str, Any]] = field(default_factory=list)
    reversals: int = 0
    pay: Pay | None = None
    open_dispute: bool = False
    resolve_dispute: bool = False

    def changed(self, name: str, old: Any, new: Any) -> None:
        self.changes.append({"field": name, "from": old, "to": new})

    def conflict(self, name: str, ours: Any, theirs: Any) -> None:
        self.conflicts.append({"field": name, "ours": ours, "theirs": theirs})

    @property
    def status(self) -> str:
        if self.changes:
            return "changed"
        return "conflict" if self.conflicts else "unchanged"


def customer_conflicts(row: ImportRow, customer: Customer) -> list[dict[str, Any]]:
    """Where the row's customer data differ from ours."""
    return [
        {"field": column, "ours": ours, "theirs": theirs}
        for column, ours, theirs in zip(_CUSTOMER_FIELDS, _OURS(customer), _THEIRS(row), strict=True)
        if theirs is not None and theirs != ours
    ]


def first_stated(row: ImportRow) -> Stated:
    """What a row says of an invoice that is new to us."""
    return Stated(bool(row.disputed), row.paid_date, _open(row))


def first_payment(row: ImportRow, today: date) -> Pay | None:
    """What is paid already on an invoice that is new to us."""
    if row.paid_date is None and row.open_amount_minor is None:
        return None
    amount = row.amount_minor - (row.open_amount_minor or 0)
    return Pay(amount, row.paid_date or today) if amount else None


def compare(row: ImportRow, known: Known, today: date) -> Difference:
    """The row against a recorded invoice; `today` at the customer's place dates money the row gives no day for."""
    found = Difference(known.stated)
    _fixed(row, known, found)
    invoice = known.invoice
    if invoice.status in ("void", "draft"):
        found.conflict("status", invoice.status, "paid" if row.paid_date else "open")
        return found
    fixed = {one["field"] for one in found.conflicts}
    if not fixed & {"customer_external_id", "currency"}:  # else it speaks of another invoice
        _dispute(row, known, found)
        _money(row, known, found, today, same_amount="amount_minor" not in fixed)
    return found


def _fixed(row: ImportRow, known: Known, found: Difference) -> None:
    """What an issued invoice never changes."""
    invoice = known.invoice
    pairs: Mapping[str, tuple[Any, Any]] = {
        "customer_external_id": (known.owner, row.customer_external_id),
        "issue_date": (_iso(invoice.issue_date), _iso(row.issue_date)),
        "due_date": (_iso(invoice.due_date), _iso(row.due_date)),
        "amount_minor": (invoice.total_minor, row.amount_minor),
        "currency": (invoice.currency, row.currency),
    }
    for name, (ours, theirs) in pairs.items():
        if ours != theirs:
            found.conflict(name, ours, theirs)


def _dispute(row: ImportRow, known: Known, found: Difference) -> None:
    ours, before = bool(known.disputes), known.stated
    imported = before.dispute_id in known.disputes
    if row.disputed is None:
        if imported:
            found.conflict("disputed", ours, None)
        return
    found.stated = replace(found.stated, disputed=row.disputed)
    if row.disputed == ours:
        return
    news = row.disputed != before.disputed
    found.open_dispute = news and row.disputed
    found.resolve_dispute = news and not row.disputed and imported
    if found.open_dispute or found.resolve_dispute:
        found.changed("disputed", ours, row.disputed)
    else:  # what people opened or resolved by hand stands
        found.conflict("disputed", ours, row.disputed)


def _open(row: ImportRow) -> int | None:
    """What a row says is still owed; None when it says nothing about money."""
    return 0 if row.open_amount_minor is None and row.paid_date else row.open_amount_minor


def _money(row: ImportRow, known: Known, found: Difference, today: date, *, same_amount: bool) -> None:
    ours, wanted, before = known.invoice.balance_minor, _open(row), known.stated
    paid_on = known.payments[-1].received_on if known.payments else None
    if wanted is None:
        _no_longer_shown(known, found)
        return
    if wanted and not same_amount:
        if ours != wanted:
            found.conflict("open_amount_minor", ours, wanted)  # of another total: what was paid cannot be told
        return
    found.stated = replace(found.stated, open_minor=wanted, paid_date=row.paid_date or before.paid_date)
    redated = ours == wanted and row.paid_date is not None and row.paid_date != paid_on
    if ours == wanted and not redated:
        return
    was = known.invoice.total_minor if before.open_minor is None else before.open_minor
    news = (wanted, found.stated.paid_date) != (was, before.paid_date)
    left = _left(known.payments, ours, wanted, row.paid_date) if news else None
    if left is None:
        name = "paid_date" if redated else "open_amount_minor"
        found.conflict(name, _iso(paid_on) if redated else ours, _iso(row.paid_date) if redated else wanted)
        return
    found.reversals, balance = left
    kept = known.payments[: len(known.payments) - found.reversals]
    newest = kept[-1].received_on if kept else None
    if balance > wanted:
        newest = row.paid_date or today
        found.pay = Pay(balance - wanted, newest)
    if row.paid_date is not None and newest != paid_on:
        found.changed("paid_date", _iso(paid_on), _iso(newest))
    if row.paid_date is not None and newest != row.paid_date:  # what is left was recorded by hand, on its own day
        found.conflict("paid_date", _iso(newest), _iso(row.paid_date))
    if ours != wanted:
        found.changed("open_amount_minor", ours, wanted)


def _no_longer_shown(known: Known, found: Difference) -> None:
    """Money an import recorded, of which the row says nothing any more; what people recorded never stood in a file."""
    imported = [one.received_on for one in known.payments if one.imported]
    if imported and known.stated.open_minor:
        found.conflict("open_amount_minor", known.invoice.balance_minor, None)
    elif imported:
        found.conflict("paid_date", _iso(imported[-1]), None)


def _left(payments: Sequence[Money], balance: int, wanted: int, day: date | None) -> tuple[int, int] | None:
    """How many of the newest imported payments to take back, and the balance then: `wanted`, with its newest money of
    `day` where one is given, or more, of which the rest is recorded anew. None when nothing can be done about it, for
    payments recorded otherwise are in the way."""
    count = 0
    for money in reversed(payments):
        as_wanted = balance == wanted and day in (None, money.received_on)
        if balance > wanted or as_wanted or not money.imported:
            break
        balance += money.amount_minor
        count += 1
    return (count, balance) if balance > wanted or (balance == wanted and count) else None


def _iso(day: date | None) -> str | None:
    return day.isoformat() if day else None
