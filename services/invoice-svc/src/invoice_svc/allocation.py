"""Where a payment goes: pure arithmetic in minor units. Source: domain-rules, "Invoices, terms, payments"."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from uuid import UUID

# A shorter number would be found in dates and amounts: it counts only when it is the whole reference.
SHORTEST_IN_TEXT = 4


@dataclass(frozen=True, slots=True)
class OpenItem:
    """An invoice money may be put to; `balance_minor` is what is still owed on it, never negative."""

    invoice_id: UUID
    number: str
    due_date: date | None
    issue_date: date
    balance_minor: int


@dataclass(frozen=True, slots=True)
class Share:
    """A part of a payment put to one invoice; `amount_minor` > 0."""

    invoice_id: UUID
    amount_minor: int


@dataclass(frozen=True, slots=True)
class Split:
    """A payment wholly accounted for: the shares and what stays as credit sum to its amount, exactly."""

    shares: tuple[Share, ...]
    credit_minor: int


class AllocationError(ValueError):
    """An explicit allocation that cannot be: `index` is the share at fault."""

    def __init__(self, index: int, code: str, detail: str) -> None:
        super().__init__(detail)
        self.index = index
        self.code = code


def to_named(amount_minor: int, wanted: Sequence[Share], items: Sequence[OpenItem]) -> Split:
    """The allocation the payer stated; the rest is credit.

    Raises AllocationError for an invoice named twice, for more than is owed on it, and for more than was paid.
    """
    balances = {item.invoice_id: item.balance_minor for item in items}
    left, seen = amount_minor, set[UUID]()
    for index, share in enumerate(wanted):
        if share.invoice_id in seen:
            raise AllocationError(index, "duplicate", "the invoice is named twice; state one sum for it")
        seen.add(share.invoice_id)
        owed = balances[share.invoice_id]
        if share.amount_minor > owed:
            raise AllocationError(
                index, "more_than_owed", f"more than the {owed} minor units still owed on the invoice"
            )
        if share.amount_minor > left:
            raise AllocationError(
                index, "more_than_paid", f"the allocations exceed the {amount_minor} minor units there are"
            )
        left -= share.amount_minor
    return Split(tuple(wanted), left)


def to_one(amount_minor: int, item: OpenItem) -> Split:
    """All to one invoice as far as it is owed; the rest is credit."""
    put = min(amount_minor, item.balance_minor)
    return Split((Share(item.invoice_id, put),) if put else (), amount_minor - put)


def by_reference(amount_minor: int, items: Sequence[OpenItem], reference: str) -> Split:
    """To the invoices whose numbers the reference names, then to the others, each oldest due first; the rest is
    credit."""
    named = frozenset(item.invoice_id for item in items if names(reference, item.number))
    ordered = sorted(items, key=lambda item: (item.invoice_id not in named, _age(item)))
    left, shares = amount_minor, list[Share]()
    for item in ordered:
        put = min(left, item.balance_minor)
        if put:
            shares.append(Share(item.invoice_id, put))
            left -= put
    return Split(tuple(shares), left)


def names(reference: str, number: str) -> bool:
    """Whether a payment's reference names an invoice number, standing by itself, in any case of letters."""
    if len(number) < SHORTEST_IN_TEXT:
        return reference.strip().casefold() == number.casefold()
    if number.casefold() not in reference.casefold():
        return False
    alone = rf"(?<![0-9A-Za-z])(?<![0-9A-Za-z][-/._]){re.escape(number)}(?![-/._]?[0-9A-Za-z])"
    return re.search(alone, reference, re.IGNORECASE) is not None


def _age(item: OpenItem) -> tuple[date, date, str]:
    return (item.due_date or date.max, item.issue_date, item.number)
