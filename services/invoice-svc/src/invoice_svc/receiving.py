"""Recording payments, one or a thousand, in the same number of statements.

Whose they are is looked up, the customers are locked in id order, then the invoices; every payment is decided in
memory, in the order given, and all is written at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from invoice_svc import customers, days, invoices, payments, promises
from invoice_svc.customers import Owner
from invoice_svc.inputs import PaymentIn
from invoice_svc.invoices import Invoice
from invoice_svc.payments import Payment
from invoice_svc.repeated import need_same
from invoice_svc.splitting import Where, need_payable, other_currency, unknown
from invoice_svc.tables import payment as payment_table
from remit_events.envelope import Event
from remit_events.outbox import emit
from remit_events.session import Session
from remit_service.bulk import fetch, new_id
from remit_service.problems import Problem, conflict, invalid

_INVOICES = """
SELECT id, number, customer_id FROM invoice
WHERE seller_id = :seller_id AND (id = ANY(CAST(:ids AS uuid[])) OR number = ANY(CAST(:numbers AS text[])))
"""
_KNOWN = """
SELECT p.id, p.provider, p.reference, p.external_id
FROM unnest(CAST(:providers AS text[]), CAST(:references AS text[])) AS g (provider, reference)
JOIN payment AS p ON p.seller_id = :seller_id AND p.provider = g.provider AND p.reference = g.reference
UNION
SELECT id, provider, reference, external_id FROM payment
WHERE seller_id = :seller_id AND external_id = ANY(CAST(:external_ids AS text[]))
"""
OTHERWISE = (
    "Name the customer instead of the invoice: the money then goes to what else is open, or stays as credit on account."
)


@dataclass(frozen=True, slots=True)
class Recorded:
    """A payment as its first answer gives it; `again` when it had been recorded before."""

    payment: Payment
    again: bool


@dataclass(slots=True)
class Ledger:
    """What one transaction has locked and changed."""

    seller_id: UUID
    now: datetime
    customers: dict[UUID, Owner] = field(default_factory=dict)
    invoices: dict[UUID, Invoice] = field(default_factory=dict)
    invoice_ids: dict[str, UUID] = field(default_factory=dict)
    customer_ids: dict[str, UUID] = field(default_factory=dict)
    owners: dict[UUID, UUID] = field(default_factory=dict)
    known: dict[tuple[str, str], Payment] = field(default_factory=dict)
    external_ids: set[str] = field(default_factory=set)
    made: list[Payment] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)


async def record(
    session: Session, seller_id: UUID, given: Sequence[PaymentIn], now: datetime
) -> list[Recorded | Problem]:
    """Records what can be recorded, in order; gives per payment its record or why not. Nothing of a refused one stays.

    The same payment again, by provider and reference, gives the first one's answer, for ever.
    """
    ledger = Ledger(seller_id, now)
    await _resolve(session, ledger, given)
    await _lock_customers(session, ledger, given)
    whose = [_customer_id(ledger, one) for one in given]
    await _load_known(session, ledger, given)
    await _load_invoices(session, ledger, given, whose)
    outcomes = [_outcome(ledger, one, customer_id) for one, customer_id in zip(given, whose, strict=True)]
    await payments.insert(session, ledger.made)
    touched = {part.invoice_id for one in ledger.made for part in one.parts}
    await invoices.update(session, [ledger.invoices[one] for one in sorted(touched)])
    await promises.close_kept(session, ledger.events, now)
    await emit(session, ledger.events, now=now)
    return outcomes


async def _resolve(session: Session, ledger: Ledger, given: Sequence[PaymentIn]) -> None:
    ids = {one.invoice_id for one in given if one.invoice_id}
    ids |= {part.invoice_id for one in given for part in one.allocations or ()}
    numbers = {one.invoice_number for one in given if one.invoice_number}
    if ids or numbers:
        rows = await fetch(session, _INVOICES, seller_id=ledger.seller_id, ids=list(ids), numbers=list(numbers))
        ledger.invoice_ids = {row.number: row.id for row in rows if row.number}
        ledger.owners = {row.id: row.customer_id for row in rows}


async def _lock_customers(session: Session, ledger: Ledger, given: Sequence[PaymentIn]) -> None:
    external = {one.customer_external_id for one in given if one.customer_external_id}
    ids = {found for one in given if (found := _customer_id(ledger, one))}
    owners = await customers.lock_owners(session, ledger.seller_id, ids, external)
    ledger.customers = {one.id: one for one in owners}
    ledger.customer_ids = {one.external_id: one.id for one in owners}


def _invoice_id(ledger: Ledger, one: PaymentIn) -> UUID | None:
    return one.invoice_id or (ledger.invoice_ids.get(one.invoice_number) if one.invoice_number else None)


def _customer_id(ledger: Ledger, one: PaymentIn) -> UUID | None:
    """Whose payment it is: as stated, else the owner of the first invoice it names; None when there is no such."""
    if one.customer_id:
        return one.customer_id
    if one.customer_external_id:
        return ledger.customer_ids.get(one.customer_external_id)
    named = _invoice_id(ledger, one) or (one.allocations[0].invoice_id if one.allocations else None)
    return ledger.owners.get(named) if named else None


async def _load_known(session: Session, ledger: Ledger, given: Sequence[PaymentIn]) -> None:
    rows = await fetch(
        session,
        _KNOWN,
        seller_id=ledger.seller_id,
        providers=[one.provider for one in given],
        references=[one.reference for one in given],
        external_ids=[one.external_id for one in given if one.external_id],
    )
    ledger.external_ids = {row.external_id for row in rows if row.external_id}
    wanted = {(one.provider, one.reference) for one in given}
    again = [row.id for row in rows if (row.provider, row.reference) in wanted]
    if again:
        found = await payments.load(session, ledger.seller_id, payment_table.c.id.in_(again))
        ledger.known = {(one.provider, one.reference): one for one in found}


async def _load_invoices(
    session: Session, ledger: Ledger, given: Sequence[PaymentIn], whose: Sequence[UUID | None]
) -> None:
    """All open ones where the money finds its own way, else only those named."""
    free = {owner for one, owner in zip(given, whose, strict=True) if owner and not one.names_invoices}
    named = {found for one in given if (found := _invoice_id(ledger, one))}
    named |= {part.invoice_id for one in given for part in one.allocations or ()}
    ledger.invoices = await invoices.lock_open(session, ledger.seller_id, free, named)


def _outcome(ledger: Ledger, one: PaymentIn, customer_id: UUID | None) -> Recorded | Problem:
    earlier = ledger.known.get((one.provider, one.reference))
    try:
        if earlier is not None:
            need_same(earlier, one, customer_id, _invoice_id(ledger, one))
            return Recorded(earlier, again=True)
        return Recorded(_book(ledger, one, customer_id), again=False)
    except Problem as problem:
        return problem


def _book(ledger: Ledger, one: PaymentIn, customer_id: UUID | None) -> Payment:
    invoice = _named_invoice(ledger, one)
    customer = _payer(ledger, one, customer_id, invoice)
    if one.external_id in ledger.external_ids:
        raise conflict("duplicate-payment", f"External id {one.external_id} belongs to a payment of another reference.")
    amount, currency = _sum(one, invoice)
    received_on = one.received_on or days.today(ledger.now, customer)
    if received_on > days.latest_today(ledger.now, customer):
        detail = "A payment cannot be received in the future: give the day the money came in."
        raise invalid("/received_on", "in_future", detail, received_on.isoformat())
    where = Where(ledger.invoices, customer, currency, OTHERWISE)
    split = where.split(amount, one.allocations, invoice, one.reference)
    made = Payment(
        id=new_id(),
        seller_id=ledger.seller_id,
        customer_id=customer.id,
        provider=one.provider,
        reference=one.reference,
        external_id=one.external_id,
        currency=currency,
        amount_minor=amount,
        credit_minor=split.credit_minor,
        received_on=received_on,
        created_at=ledger.now,
        updated_at=ledger.now,
    )
    ledger.events += made.put(split, ledger.invoices, ledger.now)
    ledger.made.append(made)
    ledger.known[made.provider, made.reference] = made
    if made.external_id:
        ledger.external_ids.add(made.external_id)
    return made


def _named_invoice(ledger: Ledger, one: PaymentIn) -> Invoice | None:
    """The one invoice it is for; 404 when there is none, 409 when nothing is owed on it."""
    if not one.invoice_id and not one.invoice_number:
        return None
    found = ledger.invoices.get(_invoice_id(ledger, one) or UUID(int=0))
    pointer, key = ("/invoice_id", one.invoice_id) if one.invoice_id else ("/invoice_number", one.invoice_number)
    if found is None:
        raise unknown(pointer, "invoice", key)
    need_payable(found, pointer, OTHERWISE)
    return found


def _payer(ledger: Ledger, one: PaymentIn, customer_id: UUID | None, invoice: Invoice | None) -> Owner:
    customer = ledger.customers.get(customer_id) if customer_id else None
    if customer is None:
        if one.customer_id or one.customer_external_id:
            pointer = "/customer_id" if one.customer_id else "/customer_external_id"
            raise unknown(pointer, "customer", one.customer_id or one.customer_external_id)
        first = one.allocations[0].invoice_id if one.allocations else one.invoice_id or one.invoice_number
        raise unknown("/allocations/0/invoice_id" if one.allocations else "/invoice_id", "invoice", first)
    if invoice is not None and invoice.customer_id != customer.id:
        detail = f"Invoice {invoice.number} is another customer's; a payment is of one customer."
        raise invalid("/customer_id" if one.customer_id else "/customer_external_id", "other_customer", detail)
    return customer


def _sum(one: PaymentIn, invoice: Invoice | None) -> tuple[int, str]:
    """Amount and currency; `settle` means whatever is owed on the invoice."""
    if one.settle and invoice is not None:
        if one.currency and one.currency != invoice.currency:
            raise other_currency(invoice, one.currency, "/currency")
        return invoice.balance_minor, invoice.currency
    if one.amount_minor is None or one.currency is None:
        raise AssertionError("the body was validated")
    return one.amount_minor, one.currency
