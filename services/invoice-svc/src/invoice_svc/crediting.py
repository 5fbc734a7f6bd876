"""Credit on account: what a payment left over is put to invoices later."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from invoice_svc import customers, days, invoices, payments, promises
from invoice_svc.inputs import AllocateIn
from invoice_svc.payments import Payment
from invoice_svc.splitting import Where
from remit_events.outbox import emit
from remit_events.session import Session
from remit_service.problems import conflict

OTHERWISE = "Name another invoice, or none to put the credit to what is open."


async def allocate(session: Session, seller_id: UUID, payment_id: UUID, given: AllocateIn, now: datetime) -> Payment:
    """Puts a payment's credit to its customer's invoices, paid from today on; 409 when there is nothing to put, or
    nothing to put it to."""
    first = await payments.find(session, seller_id, payment_id)
    [customer] = await customers.lock_owners(session, seller_id, [first.customer_id], ())
    one = await payments.find(session, seller_id, payment_id)  # as it is now that nobody else can change it
    one.need_credit()
    named = {part.invoice_id for part in given.allocations or ()} | ({given.invoice_id} if given.invoice_id else set())
    held = await invoices.lock_open(session, seller_id, () if named else [customer.id], named)
    where = Where(held, customer, one.currency, OTHERWISE)
    invoice = where.named(given.invoice_id, "/invoice_id") if given.invoice_id else None
    split = where.split(one.credit_minor, given.allocations, invoice, one.reference)
    if not split.shares:
        detail = f"Customer {customer.external_id} has no open invoice in {one.currency}; the credit stays on account."
        raise conflict("nothing-to-allocate", detail)
    earlier = len(one.parts)
    events = one.put_credit(split, held, days.today(now, customer), now)
    await payments.update(session, [one])
    await payments.insert_parts(session, [one], earlier)
    await invoices.update(session, [held[share.invoice_id] for share in split.shares])
    await promises.close_kept(session, events, now)
    await emit(session, events, now=now)
    return one
