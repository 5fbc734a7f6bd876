"""Issuing invoices, one or a thousand, in the same number of statements.

Customers are locked first, what is wrong with single invoices is found in memory, numbers are taken last, and all is
written at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from uuid import UUID

import asyncpg

from invoice_svc import customers, days, disputes, invoices, numbers
from invoice_svc.customers import Customer, Owner
from invoice_svc.disputes import Dispute
from invoice_svc.inputs import DUE_BEFORE_ISSUE, InvoiceIn, IssueIn
from invoice_svc.invoices import Invoice
from invoice_svc.splitting import unknown
from remit_events.envelope import Event
from remit_events.outbox import emit
from remit_events.session import Session
from remit_service.bulk import fetch, new_id
from remit_service.problems import FieldError, Problem, conflict, invalid

Who = Owner | Customer
DISPUTED_FROM_ISSUE = "disputed when it was issued"

_TAKEN = """
SELECT number, external_id FROM invoice WHERE seller_id = :seller_id
AND (number = ANY(CAST(:numbers AS text[])) OR external_id = ANY(CAST(:external_ids AS text[])))
"""


@dataclass(slots=True)
class Taken:
    """Numbers and external ids that are in use, here or earlier in the batch."""

    numbers: set[str] = field(default_factory=set)
    external_ids: set[str] = field(default_factory=set)


async def create(
    session: Session, seller_id: UUID, given: Sequence[InvoiceIn], now: datetime
) -> list[Invoice | Problem]:
    """Issues (or keeps as drafts) what can be; gives per invoice itself or why not, in order."""
    by_id, by_external = await _customers(session, seller_id, given)
    # Of one that brings its number the INSERT says whether it is taken: nothing else was written by then.
    looked_up = len(given) != 1 or not given[0].number
    taken = await _taken(session, seller_id, given) if looked_up else Taken()
    made: list[tuple[Invoice, InvoiceIn]] = []
    outcomes: list[Invoice | Problem] = []
    for one in given:
        try:
            customer = (
                by_id.get(one.customer_id) if one.customer_id else by_external.get(one.customer_external_id or "")
            )
            invoice = _draft(seller_id, one, customer, taken, now)
        except Problem as problem:
            outcomes.append(problem)
        else:
            made.append((invoice, one))
            outcomes.append(invoice)
    opened, events = await _issue(session, seller_id, made, now)
    stored = await invoices.insert(session, [invoice for invoice, _ in made])
    if len(stored) < len(made):
        if looked_up:
            raise _raced()
        return [_duplicate_of(given[0], await _taken(session, seller_id, given))]
    await disputes.insert(session, opened)
    await emit(session, events, now=now)
    return outcomes


async def issue_draft(session: Session, seller_id: UUID, invoice_id: UUID, given: IssueIn, now: datetime) -> Invoice:
    """Makes a draft final; raises 404, and 409 for what is no draft."""
    customer, invoice = await invoices.lock_one(session, seller_id, invoice_id)
    await _finish(session, customer, invoice, given.number, given.issue_date, now)
    return invoice


async def revise(session: Session, customer: Who, invoice: Invoice, given: InvoiceIn, now: datetime) -> Invoice:
    """Writes a locked draft anew, and issues it unless it stays a draft. An issued invoice only takes what it says
    already: nothing edits it (409)."""
    if invoice.status != "draft":
        _need_same(customer, invoice, given)
        return invoice
    if given.customer_id not in (None, customer.id) or given.customer_external_id not in (None, customer.external_id):
        raise invalid("/customer_id", "other_customer", "A draft keeps its customer: delete it and make another.")
    taken = await _taken(session, invoice.seller_id, [given])
    taken.numbers.discard(invoice.number or "")
    taken.external_ids.discard(invoice.external_id or "")
    fresh = _draft(invoice.seller_id, given, customer, taken, now)
    for name in ("number", "external_id", "currency", "issue_date", "due_date", "policy_key"):
        setattr(invoice, name, getattr(fresh, name))
    invoice.total_minor = invoice.balance_minor = fresh.total_minor
    invoice.version, invoice.updated_at = invoice.version + 1, now
    if given.draft:
        await _update(session, invoice)
        return invoice
    await _finish(session, customer, invoice, None, None, now, disputed=given.disputed)
    return invoice


async def _finish(
    session: Session,
    customer: Who,
    invoice: Invoice,
    number: str | None,
    issue_date: date | None,
    now: datetime,
    *,
    disputed: bool = False,
) -> None:
    issued_on = issue_date or invoice.issue_date or days.today(now, customer)
    _need_come(issued_on, now)
    if invoice.due_date and invoice.due_date < issued_on:
        raise _due_before_issue(issued_on, invoice.due_date)
    if number and number != invoice.number and await _in_use(session, invoice.seller_id, number):
        raise duplicate("number", number)
    number = number or invoice.number
    if number is None and invoice.status == "draft":
        [number] = await numbers.take(session, invoice.seller_id, 1)
    events: list[Event] = [invoice.issue(number or "", issued_on, now)]
    if disputed:
        dispute, event = Dispute.open_on(invoice, None, DISPUTED_FROM_ISSUE, None, now)
        await disputes.insert(session, [dispute])
        events.append(event)
    await _update(session, invoice)
    await emit(session, events, now=now)


async def _update(session: Session, invoice: Invoice) -> None:
    try:
        await invoices.update(session, [invoice])
    except asyncpg.UniqueViolationError:
        raise _raced() from None


async def _in_use(session: Session, seller_id: UUID, number: str) -> bool:
    return bool(await fetch(session, _TAKEN, seller_id=seller_id, numbers=[number], external_ids=[]))


async def _customers(
    session: Session, seller_id: UUID, given: Sequence[InvoiceIn]
) -> tuple[dict[UUID, Owner], dict[str, Owner]]:
    ids = {one.customer_id for one in given if one.customer_id}
    external_ids = {one.customer_external_id for one in given if one.customer_external_id}
    found = await customers.lock_owners(session, seller_id, ids, external_ids)
    return {one.id: one for one in found}, {one.external_id: one for one in found}


async def _taken(session: Session, seller_id: UUID, given: Sequence[InvoiceIn]) -> Taken:
    wanted = {one.number for one in given if one.number}
    external = {one.external_id for one in given if one.external_id}
    taken = Taken()
    if wanted or external:
        for number, external_id in await fetch(
            session, _TAKEN, seller_id=seller_id, numbers=list(wanted), external_ids=list(external)
        ):
            if number in wanted:
                taken.numbers.add(number)
            if external_id in external:
                taken.external_ids.add(external_id)
    return taken


def _draft(seller_id: UUID, one: InvoiceIn, customer: Who | None, taken: Taken, now: datetime) -> Invoice:
    if customer is None:
        pointer = "/customer_id" if one.customer_id else "/customer_external_id"
        raise unknown(pointer, "customer", one.customer_id or one.customer_external_id)
    if one.number in taken.numbers or one.external_id in taken.external_ids:
        raise _duplicate_of(one, taken)
    issue_date = one.issue_date or (None if one.draft else days.today(now, customer))
    if issue_date and not one.draft:
        _need_come(issue_date, now)
    if issue_date and one.due_date and one.due_date < issue_date:
        raise _due_before_issue(issue_date, one.due_date)
    if one.number:
        taken.numbers.add(one.number)
    if one.external_id:
        taken.external_ids.add(one.external_id)
    return Invoice(
        id=new_id(),
        seller_id=seller_id,
        customer_id=customer.id,
        number=one.number,
        external_id=one.external_id,
        status="draft",
        currency=one.currency,
        total_minor=one.amount_minor,
        balance_minor=one.amount_minor,
        issue_date=issue_date,
        due_date=one.due_date,
        policy_key=one.policy_key,
        created_at=now,
        updated_at=now,
    )


async def _issue(
    session: Session, seller_id: UUID, made: Sequence[tuple[Invoice, InvoiceIn]], now: datetime
) -> tuple[list[Dispute], list[Event]]:
    final = [(invoice, given) for invoice, given in made if not given.draft]
    nameless = sum(1 for invoice, _ in final if invoice.number is None)
    fresh = iter(await numbers.take(session, seller_id, nameless) if nameless else ())
    opened, events = list[Dispute](), list[Event]()
    for invoice, given in final:
        if invoice.issue_date is None:
            raise AssertionError("an issue date was set above")
        events.append(invoice.issue(invoice.number or next(fresh), invoice.issue_date, now))
        if given.disputed:
            dispute, event = Dispute.open_on(invoice, None, DISPUTED_FROM_ISSUE, None, now)
            opened.append(dispute)
            events.append(event)
    return opened, events


def _need_same(customer: Who, invoice: Invoice, given: InvoiceIn) -> None:
    theirs: Mapping[str, Any] = {
        "customer_id": given.customer_id or customer.id,
        "customer_external_id": given.customer_external_id or customer.external_id,
        "number": given.number or invoice.number,
        "external_id": given.external_id,
        "issue_date": given.issue_date or invoice.issue_date,
        "due_date": given.due_date,
        "amount_minor": given.amount_minor,
        "currency": given.currency,
        "policy_key": given.policy_key,
    }
    ours = {
        "customer_id": customer.id,
        "customer_external_id": customer.external_id,
        "amount_minor": invoice.total_minor,
    } | {name: getattr(invoice, name) for name in theirs if hasattr(invoice, name) and name != "customer_id"}
    wrong = [name for name, value in theirs.items() if ours[name] != value]
    if not wrong:
        return
    detail = f"Invoice {invoice.number} is {invoice.status}; nothing edits it. Void it and issue another instead."
    faults = [
        FieldError(f"/{name}", "final", f"It is {ours[name]} on the invoice and stays so.", theirs[name])
        for name in wrong
    ]
    raise Problem("invoice-final", 409, "Conflict", detail, faults)


def duplicate(name: str, value: str | None) -> Problem:
    """409: an invoice of the seller has this number or external id."""
    what = "number" if name == "number" else "external id"
    detail = (
        f"An invoice with the {what} {value} exists. Give another, or look it up with GET /v1/invoices?{name}={value}."
    )
    return Problem("duplicate-invoice", 409, "Conflict", detail, [FieldError(f"/{name}", "duplicate", detail, value)])


def _duplicate_of(one: InvoiceIn, taken: Taken) -> Problem:
    if one.number in taken.numbers:
        return duplicate("number", one.number)
    return duplicate("external_id", one.external_id) if one.external_id in taken.external_ids else _raced()


def _need_come(issue_date: date, now: datetime) -> None:
    """Raises the 422 problem of an invoice dated ahead: issued, it would be sent today."""
    if issue_date > days.latest_anywhere(now):
        detail = (
            f"{issue_date} is still to come. Date it today or earlier, or keep it as a draft "
            '("draft": true) and issue it on that day with POST /v1/invoices/{id}/issue.'
        )
        raise invalid("/issue_date", "in_future", detail, issue_date.isoformat())


def _due_before_issue(issue_date: date, due_date: date) -> Problem:
    detail = DUE_BEFORE_ISSUE.format(issue_date=issue_date, due_date=due_date)
    return invalid("/due_date", "due_before_issue", detail, due_date.isoformat())


def _raced() -> Problem:
    detail = "Another request is using one of these numbers or external ids at this moment. Send this one again."
    return conflict("invoice-in-progress", detail)
