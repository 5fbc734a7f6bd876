"""Taking over a thousand rows of an export in a constant number of statements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from uuid import UUID

import asyncpg

from invoice_svc import customers, days, disputes, invoices, issued, payments, promises, stated
from invoice_svc.allocation import OpenItem, to_one
from invoice_svc.customer_notes import notes_of
from invoice_svc.customers import Customer
from invoice_svc.disputes import Dispute
from invoice_svc.import_diff import (
    PROVIDER,
    Known,
    Money,
    Pay,
    compare,
    customer_conflicts,
    first_payment,
    first_stated,
)
from invoice_svc.import_rows import Result, paid_later, rejected, too_early
from invoice_svc.inputs import CustomerIn, ImportRow
from invoice_svc.invoices import Invoice
from invoice_svc.payments import History, Payment
from invoice_svc.promises import Given
from invoice_svc.stated import Stated
from remit_events.envelope import Event
from remit_events.ids import new_ids
from remit_events.outbox import Written, emit
from remit_events.session import Session
from remit_service.bulk import new_id
from remit_service.problems import conflict

DISPUTED = "disputed in the import"
NO_LONGER_DISPUTED = "no longer disputed in the import"
TAKEN_BACK = "no longer paid in the import"


@dataclass(slots=True)
class Chunk:
    """What one transaction has locked, and what it will write."""

    seller_id: UUID
    now: datetime
    live: bool
    customers: dict[str, Customer] = field(default_factory=dict)
    owners: dict[UUID, str] = field(default_factory=dict)
    known: dict[str, Invoice] = field(default_factory=dict)
    payments: dict[UUID, list[Payment]] = field(default_factory=dict)
    disputes: dict[UUID, list[Dispute]] = field(default_factory=dict)
    promised: dict[UUID, list[Given]] = field(default_factory=dict)
    stated: dict[UUID, Stated] = field(default_factory=dict)
    notes: dict[UUID, list[str]] = field(default_factory=dict)
    new_invoices: list[Invoice] = field(default_factory=list)
    changed: dict[UUID, Invoice] = field(default_factory=dict)
    new_disputes: list[Dispute] = field(default_factory=list)
    resolved: list[Dispute] = field(default_factory=list)
    new_payments: list[Payment] = field(default_factory=list)
    reversed: list[Payment] = field(default_factory=list)
    newly_stated: dict[UUID, Stated] = field(default_factory=dict)
    events: list[Event | Written] = field(default_factory=list)


async def apply(
    session: Session, seller_id: UUID, rows: Sequence[ImportRow], now: datetime, *, live: bool
) -> list[Result]:
    """Creates customers, issues what is new, records what changed; gives per row what became of it."""
    if not rows:
        return []
    chunk = Chunk(seller_id, now, live)
    rows, refused = await _customers(session, chunk, rows)
    await _recorded(session, chunk, rows)
    results = [_take_over(chunk, row, fresh) for row, fresh in zip(rows, new_ids(len(rows)), strict=True)]
    await _write(session, chunk)
    return refused + results


async def _customers(session: Session, chunk: Chunk, rows: Sequence[ImportRow]) -> tuple[list[ImportRow], list[Result]]:
    """Locks the rows' customers and makes the missing ones; rows dated ahead are refused before that."""
    wanted = {row.customer_external_id for row in rows}
    chunk.customers = await customers.lock_external(session, chunk.seller_id, wanted)
    good, refused = list[ImportRow](), list[Result]()
    made: dict[str, Customer] = {}
    blank: list[UUID] = []
    for row in rows:
        known = chunk.customers.get(row.customer_external_id) or made.get(row.customer_external_id)
        customer, event = (known, None) if known else Customer.create(chunk.seller_id, _customer_in(row), chunk.now)
        problem = too_early(row, customer, chunk.now, live=chunk.live)
        if problem is not None:
            refused.append(rejected(row.line, row.invoice_number, problem))
            continue
        good.append(row)
        if event is not None:
            made[customer.external_id] = customer
            chunk.events.append(event)
            if row.timezone is None:
                blank.append(customer.id)
    if len(await customers.insert(session, list(made.values()))) < len(made):
        raise conflict("import-in-progress", "Another request is making the same customers. Send these rows again.")
    chunk.customers |= made
    chunk.notes = await notes_of(session, chunk.seller_id, list(made.values()), blank)
    return good, refused


def _customer_in(row: ImportRow) -> CustomerIn:
    # Its parts were validated with the row.
    return CustomerIn.model_construct(
        external_id=row.customer_external_id,
        name=row.customer_name,
        profile=row.profile or "individual",
        country=row.country,
        timezone=row.timezone,
        language=row.language,
        email=row.email,
        phone=row.phone,
        address=row.address,
        sms_consent=bool(row.sms_consent),
        policy_key=None,
        ladder_key=None,
    )


async def _recorded(session: Session, chunk: Chunk, rows: Sequence[ImportRow]) -> None:
    """Loads the invoices the rows name, locked; what was paid, disputed, promised and stated on them."""
    chunk.owners = {one.id: one.external_id for one in chunk.customers.values()}
    chunk.known = await invoices.lock_numbers(session, chunk.seller_id, [row.invoice_number for row in rows])
    held = list(chunk.known.values())
    if not held:
        return
    ids = [one.id for one in held]
    chunk.payments = await payments.on_invoices(session, chunk.seller_id, ids)
    for dispute in await disputes.open_of(session, chunk.seller_id, ids):
        chunk.disputes.setdefault(dispute.invoice_id, []).append(dispute)
    chunk.promised = await promises.given_on(session, ids)
    chunk.stated = await stated.load(session, ids)


def _take_over(chunk: Chunk, row: ImportRow, fresh: UUID) -> Result:
    """`fresh`: the id of its invoice, should that be new."""
    customer = chunk.customers[row.customer_external_id]
    notes = chunk.notes.pop(customer.id, [])
    today = days.today(chunk.now, customer)
    if paid_later(row, customer, chunk.now):
        notes.append(f"Invoice {row.invoice_number}: paid_date {row.paid_date} is still to come and was left out.")
        row = row.model_copy(update={"paid_date": None, "open_amount_minor": None})
    if row.due_date is None:
        notes.append(f"Invoice {row.invoice_number} has no due date, so it is never reminded.")
    invoice = chunk.known.get(row.invoice_number)
    result = _existing(chunk, row, invoice, today) if invoice else _new(chunk, row, customer, today, fresh)
    result.conflicts += customer_conflicts(row, customer)
    if result.status == "unchanged" and result.conflicts:
        result.status = "conflict"
    result.notes = notes
    return result


def _new(chunk: Chunk, row: ImportRow, customer: Customer, today: date, fresh: UUID) -> Result:
    invoice = Invoice(
        id=fresh,
        seller_id=chunk.seller_id,
        customer_id=customer.id,
        number=row.invoice_number,
        external_id=None,
        status="draft",
        currency=row.currency,
        total_minor=row.amount_minor,
        balance_minor=row.amount_minor,
        issue_date=row.issue_date,
        due_date=row.due_date,
        policy_key=None,
        created_at=chunk.now,
        updated_at=chunk.now,
        imported=True,
    )
    chunk.events.append(issued.issue(invoice, row.invoice_number, row.issue_date, chunk.now))
    chunk.new_invoices.append(invoice)
    said = first_stated(row)
    if row.disputed:
        said = replace(said, dispute_id=_dispute(chunk, invoice))
    if said != Stated():
        chunk.newly_stated[invoice.id] = said
    pay = first_payment(row, today)
    if pay is not None:
        _pay(chunk, invoice, pay)
    return Result(row.line, "created", row.invoice_number)


def _existing(chunk: Chunk, row: ImportRow, invoice: Invoice, today: date) -> Result:
    standing = [one for one in chunk.payments.get(invoice.id, ()) if one.status == "received"]
    contested = {one.id: one for one in chunk.disputes.get(invoice.id, ())}
    known = Known(
        invoice=invoice,
        owner=chunk.owners.get(invoice.customer_id, "another customer"),
        stated=chunk.stated.get(invoice.id, Stated()),
        disputes=frozenset(contested),
        payments=tuple(_money(one, invoice.id) for one in standing),
    )
    found = compare(row, known, today)
    said = found.stated
    if found.open_dispute:
        said = replace(said, dispute_id=_dispute(chunk, invoice))
    if found.resolve_dispute and said.dispute_id:
        dispute = contested[said.dispute_id]
        chunk.events.append(dispute.resolve(invoice, NO_LONGER_DISPUTED, chunk.now))
        chunk.resolved.append(dispute)
    if said != known.stated:
        chunk.newly_stated[invoice.id] = said
    for payment in reversed(standing[len(standing) - found.reversals :]):
        history = History(chunk.promised, chunk.payments)
        chunk.events += payment.take_back({invoice.id: invoice}, history, TAKEN_BACK, today, chunk.now)
        chunk.reversed.append(payment)
    if found.pay is not None:
        _pay(chunk, invoice, found.pay)
    if found.changes:
        chunk.changed[invoice.id] = invoice
    return Result(row.line, found.status, row.invoice_number, found.changes, found.conflicts)


def _money(payment: Payment, invoice_id: UUID) -> Money:
    amount = sum(part.amount_minor for part in payment.parts if part.invoice_id == invoice_id)
    alone = payment.provider == PROVIDER and len(payment.parts) == 1
    return Money(amount, payment.received_on, imported=alone)


def _dispute(chunk: Chunk, invoice: Invoice) -> UUID:
    dispute, event = Dispute.open_on(invoice, None, DISPUTED, None, chunk.now)
    chunk.new_disputes.append(dispute)
    chunk.events.append(event)
    return dispute.id


def _pay(chunk: Chunk, invoice: Invoice, pay: Pay) -> None:
    """The reference tells the imported payments of one invoice apart: the first is `import:<number>`."""
    earlier = sum(1 for one in chunk.payments.get(invoice.id, ()) if one.provider == PROVIDER)
    made = Payment(
        id=new_id(),
        seller_id=chunk.seller_id,
        customer_id=invoice.customer_id,
        provider=PROVIDER,
        reference=f"import-{earlier + 1}:{invoice.number}" if earlier else f"import:{invoice.number}",
        external_id=None,
        currency=invoice.currency,
        amount_minor=pay.amount_minor,
        credit_minor=0,
        received_on=pay.on,
        created_at=chunk.now,
        updated_at=chunk.now,
    )
    item = OpenItem(invoice.id, str(invoice.number), invoice.due_date, pay.on, invoice.balance_minor)
    chunk.events += made.put(to_one(pay.amount_minor, item), {invoice.id: invoice}, chunk.now)
    chunk.new_payments.append(made)
    chunk.payments.setdefault(invoice.id, []).append(made)


async def _write(session: Session, chunk: Chunk) -> None:
    try:
        await invoices.add(session, chunk.new_invoices)
    except asyncpg.UniqueViolationError:
        detail = "Another request is making the same invoices. Send these rows again."
        raise conflict("import-in-progress", detail) from None
    await invoices.update(session, chunk.changed.values())
    await disputes.insert(session, chunk.new_disputes)
    await disputes.update(session, chunk.resolved)
    await payments.update(session, chunk.reversed)
    await payments.insert(session, chunk.new_payments)
    await stated.save(session, chunk.newly_stated)
    back = {invoice_id for one in chunk.reversed for invoice_id in one.put_to()}
    await promises.update(session, [one for invoice_id in back for one in chunk.promised.get(invoice_id, ())])
    await promises.close_kept(session, chunk.events, chunk.now)
    await emit(session, chunk.events, now=chunk.now)
