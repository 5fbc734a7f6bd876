"""Which of a customer's invoices money goes to, or why it cannot: `allocation.py` over what is locked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from invoice_svc.allocation import AllocationError, OpenItem, Share, Split, by_reference, to_named, to_one
from invoice_svc.customers import Owner
from invoice_svc.inputs import AllocationIn
from invoice_svc.invoices import Invoice
from remit_service.problems import FieldError, Problem, invalid


@dataclass(frozen=True, slots=True)
class Where:
    """The invoices that are locked, whose money it is, and the way out where one named cannot be paid."""

    held: Mapping[UUID, Invoice]
    customer: Owner
    currency: str
    otherwise: str

    def split(
        self, amount: int, allocations: Sequence[AllocationIn] | None, invoice: Invoice | None, reference: str
    ) -> Split:
        """By the allocations, else to the one invoice, else as the reference says and what is due longest."""
        if allocations:
            return self._explicit(amount, allocations)
        if invoice is not None:
            if invoice.currency != self.currency:
                raise other_currency(invoice, self.currency, "/currency")
            return to_one(amount, _item(invoice))
        mine = [one for one in self.held.values() if one.customer_id == self.customer.id and one.is_open]
        return by_reference(amount, [_item(one) for one in mine if one.currency == self.currency], reference)

    def _explicit(self, amount: int, parts: Sequence[AllocationIn]) -> Split:
        for index, part in enumerate(parts):
            found = self.named(part.invoice_id, f"/allocations/{index}/invoice_id")
            if found.currency != self.currency:
                raise other_currency(found, self.currency, f"/allocations/{index}/invoice_id")
        shares = [Share(part.invoice_id, part.amount_minor) for part in parts]
        try:
            return to_named(amount, shares, [_item(self.held[part.invoice_id]) for part in parts])
        except AllocationError as error:
            detail = str(error)[:1].upper() + str(error)[1:] + "."
            wrong = parts[error.index].amount_minor
            raise invalid(f"/allocations/{error.index}/amount_minor", error.code, detail, wrong) from None

    def named(self, invoice_id: UUID, pointer: str) -> Invoice:
        """The customer's invoice; 404 when they have no such, 409 when nothing is owed on it."""
        found = self.held.get(invoice_id)
        if found is None or found.customer_id != self.customer.id:
            raise unknown(pointer, f"invoice of customer {self.customer.external_id} with id", invoice_id)
        need_payable(found, pointer, self.otherwise)
        return found


def need_payable(one: Invoice, pointer: str, otherwise: str) -> None:
    """Raises the 409 problem that says why nothing can be paid on it, with the way out."""
    try:
        one.need_open("paid")
    except Problem as problem:
        way_out = "Issue it first." if problem.slug == "invoice-not-issued" else otherwise
        detail = f"{problem.detail} {way_out}"
        fault = FieldError(pointer, problem.slug.replace("-", "_"), detail, one.number or str(one.id))
        raise Problem(problem.slug, problem.status, problem.title, detail, [fault]) from None


def unknown(pointer: str, what: str, key: object) -> Problem:
    """404 about something a body names."""
    shown = str(key)
    detail = f"There is no {what} {shown}. Check it; it must belong to the seller of the key you use."
    return Problem("not-found", 404, "Not found", detail, [FieldError(pointer, "not_found", detail, shown)])


def other_currency(invoice: Invoice, currency: str, pointer: str) -> Problem:
    detail = f"Invoice {invoice.number} is in {invoice.currency}; a payment pays invoices of its own currency only."
    return invalid(pointer, "other_currency", detail, currency)


def _item(one: Invoice) -> OpenItem:
    if one.issue_date is None:
        raise AssertionError("a draft is not paid")
    return OpenItem(one.id, str(one.number), one.due_date, one.issue_date, one.balance_minor)
