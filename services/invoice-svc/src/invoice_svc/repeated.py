"""A payment that comes again: provider and reference stand for one payment, for ever."""

from __future__ import annotations

from uuid import UUID

from invoice_svc.inputs import PaymentIn
from invoice_svc.payments import Payment
from remit_service.money import from_minor
from remit_service.problems import conflict


def need_same(earlier: Payment, given: PaymentIn, customer_id: UUID | None, invoice_id: UUID | None) -> None:
    """409 when the reference comes for another amount, currency, customer or invoice than before.

    The ids are those `given` names, None where there is no such. What it leaves out differs in nothing.
    """
    same = (
        given.amount_minor in (None, earlier.amount_minor)
        and given.currency in (None, earlier.currency)
        and customer_id == earlier.customer_id
        and _same_invoices(earlier, given, invoice_id)
    )
    if not same:
        amount = from_minor(earlier.amount_minor, earlier.currency)
        detail = (
            f"Reference {earlier.reference} was used before, for {amount:,} {earlier.currency} received on "
            f"{earlier.received_on}: nothing was recorded now. Give this payment a reference of its own."
        )
        raise conflict("duplicate-payment", detail)


def _same_invoices(earlier: Payment, given: PaymentIn, invoice_id: UUID | None) -> bool:
    put = {part.invoice_id: part.amount_minor for part in earlier.first_parts}
    if given.allocations:
        return put == {part.invoice_id: part.amount_minor for part in given.allocations}
    return not given.names_invoices or put.keys() == {invoice_id}
