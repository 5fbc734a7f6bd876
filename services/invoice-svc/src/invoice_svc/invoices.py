"""Invoices: draft → issued → partly paid → paid, or void. Every transition is guarded and gives its event.

Nothing edits an issued invoice but money, disputes, promises, holds and voiding.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from operator import attrgetter
from typing import Any, TypeVar, cast
from uuid import UUID

from sqlalchemy import ColumnElement, select

from invoice_svc import customers
from invoice_svc.customers import Customer, held
from invoice_svc.tables import invoice as table
from remit_events.envelope import Event
from remit_events.invoices import (
    FollowUpHeld,
    FollowUpReleased,
    InvoiceIssued,
    InvoicePaid,
    InvoiceVoided,
    PromiseBroken,
    PromiseKept,
    PromiseMade,
    PromiseReopened,
)
from remit_events.session import Session
from remit_events.state import InvoiceState, InvoiceStatus, Promise
from remit_service.bulk import add_objects, among, insert_objects, lock_rows, records, update_objects
from remit_service.problems import conflict, not_found

State = TypeVar("State", bound=InvoiceState)
OPEN = ("issued", "partly_paid")


@dataclass(slots=True, kw_only=True)
class Invoice:
    """One invoice; columns as in tables.py. Money is minor units of `currency`."""

    id: UUID
    seller_id: UUID
    customer_id: UUID
    number: str | None
    external_id: str | None
    status: str
    currency: str
    total_minor: int
    balance_minor: int
    issue_date: date | None
    due_date: date | None
    policy_key: str | None
    created_at: datetime
    updated_at: datetime
    imported: bool = False
    issued_at: datetime | None = None
    disputed_minor: int = 0
    disputed_whole: bool = False
    hold_reason: str | None = None
    hold_until: date | None = None
    promise_id: UUID | None = None
    promise_on: date | None = None
    promise_minor: int | None = None
    promise_grace_until: date | None = None
    promise_paid_minor: int = 0
    promises_broken: int = 0
    version: int = 0

    @property
    def is_open(self) -> bool:
        return self.status in OPEN

    @property
    def paid_minor(self) -> int:
        return self.total_minor - self.balance_minor

    @property
    def contested_minor(self) -> int:
        """The part of the balance under dispute."""
        return self.balance_minor if self.disputed_whole else min(self.disputed_minor, self.balance_minor)

    @property
    def promise(self) -> Promise | None:
        if self.promise_id is None or self.promise_on is None or self.promise_grace_until is None:
            return None
        amount = self.promise_minor or 0
        return Promise(
            id=self.promise_id, on=self.promise_on, amount_minor=amount, grace_until=self.promise_grace_until
        )

    def state(self) -> InvoiceState:
        """The whole invoice as events carry it; only of one that was issued."""
        return self.state_as(InvoiceState)

    def state_as(self, kind: type[State], **more: Any) -> State:
        """The state as a richer kind of it."""
        if self.number is None or self.issue_date is None or self.issued_at is None:
            raise AssertionError("a draft has no state to publish")
        return kind(
            id=self.id,
            customer_id=self.customer_id,
            number=self.number,
            external_id=self.external_id,
            status=cast(InvoiceStatus, self.status),
            currency=self.currency,
            total_minor=self.total_minor,
            balance_minor=self.balance_minor,
            disputed_minor=self.contested_minor,
            issue_date=self.issue_date,
            due_date=self.due_date,
            issued_at=self.issued_at,
            version=self.version,
            policy_key=self.policy_key,
            hold=held(self.hold_reason, self.hold_until),
            promise=self.promise,
            promises_broken=self.promises_broken,
            **more,
        )

    def issue(self, number: str, issue_date: date, now: datetime) -> InvoiceIssued:
        """Makes a draft final under its number; 409 when it is final already."""
        self.make_final(number, issue_date, now)
        return InvoiceIssued(**self._about())

    def make_final(self, number: str, issue_date: date, now: datetime) -> None:
        """`issue` for who writes the event otherwise (issued.py)."""
        if self.status != "draft":
            raise conflict("invoice-already-issued", f"Invoice {self.number} is {self.status}; only a draft is issued.")
        self.number, self.issue_date, self.issued_at, self.status = number, issue_date, now, "issued"
        self._bump(now)

    def void(self, reason: str, now: datetime) -> InvoiceVoided:
        """Cancels it; 409 for a draft, for one that is void, and while money is on it."""
        if self.status == "draft":
            raise conflict("invoice-not-issued", "A draft was never issued: delete it instead of voiding it.")
        if self.status == "void":
            raise conflict("invoice-void", f"Invoice {self.number} is void already.")
        if self.paid_minor:
            detail = f"{self.paid_minor} minor units were paid on invoice {self.number}: reverse its payments first."
            raise conflict("invoice-has-payments", detail)
        self.status, self.balance_minor = "void", 0
        self.disputed_minor, self.disputed_whole = 0, False
        self._clear_promise()
        self._bump(now)
        return InvoiceVoided(**self._about(), reason=reason)

    def receive(self, amount_minor: int, now: datetime) -> None:
        """Takes money in, at most what is owed; `after_payment` gives what follows from it."""
        if not self.is_open or not 0 < amount_minor <= self.balance_minor:
            raise AssertionError(f"{amount_minor} cannot be put to a {self.status} invoice owing {self.balance_minor}")
        self.balance_minor -= amount_minor
        self.status = "partly_paid" if self.balance_minor else "paid"
        if self.promise_id is not None:
            self.promise_paid_minor += amount_minor
        self._bump(now)

    def after_payment(self, payment_id: UUID, paid_on: date) -> list[Event]:
        """What the money brought about: a promise kept, the invoice paid. `paid_on` is at the customer's place.

        Called after `receive`, before the state is published: both are one version.
        """
        made = self.promise
        kept = made is not None and self.promise_paid_minor >= made.amount_minor
        if kept:
            self._clear_promise()
        events: list[Event] = [PromiseKept(**self._about(), promise=made)] if kept and made else []
        if self.status == "paid":
            late = (paid_on - self.due_date).days if self.due_date else None
            events.append(InvoicePaid(**self._about(), payment_id=payment_id, paid_on=paid_on, days_late=late))
        return events

    def take_back(self, amount_minor: int, now: datetime) -> None:
        """Undoes a payment; what follows for its promises, promises.py says before the state is published."""
        self.balance_minor += amount_minor
        self.status = "partly_paid" if self.paid_minor else "issued"
        self._bump(now)

    def dispute(self, amount_minor: int | None, now: datetime) -> None:
        """Sets `amount_minor` of it, or all (None), apart from what is chased."""
        if amount_minor is None:
            self.disputed_whole = True
        else:
            self.disputed_minor += amount_minor
        self._bump(now)

    def undispute(self, amount_minor: int | None, now: datetime) -> None:
        if amount_minor is None:
            self.disputed_whole = False
        else:
            self.disputed_minor -= amount_minor
        self._bump(now)

    def promised(self, promise: Promise, now: datetime) -> PromiseMade:
        """The promise runs from here on; one that ran before is replaced."""
        self._run_promise(promise, 0)
        self._bump(now)
        return PromiseMade(**self._about(), promise=promise)

    def promise_reopened(self, promise: Promise, paid_minor: int) -> PromiseReopened:
        """Taken back in its grace, it runs again. Called after `take_back`: both are one version."""
        self._run_promise(promise, paid_minor)
        return PromiseReopened(**self._about(), promise=promise)

    def promise_unkept(self, promise: Promise, paid_minor: int) -> PromiseBroken:
        """Taken back after its grace, it is broken. Called after `take_back`: both are one version."""
        self.promises_broken += 1
        return PromiseBroken(**self._about(), promise=promise, paid_minor=paid_minor)

    def promise_ended(self, now: datetime) -> PromiseBroken:
        """The grace is over and what was promised has not come in, or only a part of it."""
        promise, paid = self.promise, self.promise_paid_minor
        if promise is None:
            raise AssertionError("no promise runs")
        self._clear_promise()
        self.promises_broken += 1
        self._bump(now)
        return PromiseBroken(**self._about(), promise=promise, paid_minor=paid)

    def put_on_hold(self, reason: str, until: date | None, now: datetime) -> FollowUpHeld:
        """No follow-up through `until`; 409 unless something is owed. A hold that stands is replaced."""
        self.need_open("held")
        self.hold_reason, self.hold_until = reason, until
        self._bump(now)
        return FollowUpHeld(**self._about(), reason=reason, until=until)

    def release(self, reason: str, now: datetime) -> FollowUpReleased:
        if self.hold_reason is None:
            detail = "The invoice is not on hold. A hold on its customer is released at the customer."
            raise conflict("not-held", detail)
        self.hold_reason = self.hold_until = None
        self._bump(now)
        return FollowUpReleased(**self._about(), reason=reason)

    def need_open(self, done: str) -> None:
        """Raises the 409 problem that says why it cannot be `done` (a past participle)."""
        if self.status == "draft":
            raise conflict("invoice-not-issued", f"A draft cannot be {done}: issue it first.")
        if self.status == "void":
            raise conflict("invoice-void", f"Invoice {self.number} is void and cannot be {done}.")
        if not self.is_open:
            raise conflict("invoice-paid", f"Invoice {self.number} is paid in full and cannot be {done}.")

    def _run_promise(self, promise: Promise, paid_minor: int) -> None:
        self.promise_id, self.promise_on, self.promise_minor = promise.id, promise.on, promise.amount_minor
        self.promise_grace_until, self.promise_paid_minor = promise.grace_until, paid_minor

    def _clear_promise(self) -> None:
        self.promise_id = self.promise_on = self.promise_minor = self.promise_grace_until = None
        self.promise_paid_minor = 0

    def _bump(self, now: datetime) -> None:
        self.version += 1
        self.updated_at = now

    def _about(self) -> dict[str, Any]:
        return {"seller_id": self.seller_id, "customer_id": self.customer_id, "invoice": self.state()}


COLUMNS = tuple(field.name for field in fields(Invoice))
# What a transition may change; the rest of an invoice is written once.
CHANGING = tuple(name for name in COLUMNS if name not in ("seller_id", "customer_id", "created_at", "imported"))


async def lock(session: Session, seller_id: UUID, ids: Iterable[UUID]) -> dict[UUID, Invoice]:
    """Locks invoices in id order; their customers are locked already."""
    wanted = set(ids)
    return await _locked(session, seller_id, among(table.c.id, wanted)) if wanted else {}


async def lock_one(session: Session, seller_id: UUID, invoice_id: UUID) -> tuple[Customer, Invoice]:
    """Locks the customer, then the invoice; raises a 404 problem."""
    first = await find(session, seller_id, invoice_id)
    if first is None:
        raise not_found("invoice", invoice_id)
    customer = (await customers.lock(session, seller_id, [first.customer_id]))[first.customer_id]
    return customer, (await lock(session, seller_id, [invoice_id]))[invoice_id]


async def lock_open(
    session: Session, seller_id: UUID, customer_ids: Iterable[UUID], ids: Iterable[UUID]
) -> dict[UUID, Invoice]:
    """Locks all open invoices of those customers, and the invoices named, in id order."""
    whose = among(table.c.customer_id, set(customer_ids)) & among(table.c.status, OPEN)
    return await _locked(session, seller_id, whose | among(table.c.id, set(ids)))


async def lock_numbers(session: Session, seller_id: UUID, numbers: Iterable[str]) -> dict[str, Invoice]:
    rows = await lock_rows(session, table, COLUMNS, "number", seller_id, set(numbers))
    return {row["number"]: Invoice(**row) for row in rows}


async def _locked(session: Session, seller_id: UUID, wanted: ColumnElement[bool]) -> dict[UUID, Invoice]:
    statement = select(table).where(table.c.seller_id == seller_id, wanted).order_by(table.c.id).with_for_update()
    return {one.id: one for one in records(Invoice, await session.execute(statement))}


async def find(session: Session, seller_id: UUID, key: UUID | str) -> Invoice | None:
    """One invoice by id or, given text, by external id; not locked."""
    wanted = table.c.id == key if isinstance(key, UUID) else table.c.external_id == key
    found = records(Invoice, await session.execute(select(table).where(table.c.seller_id == seller_id, wanted)))
    return found[0] if found else None


async def insert(session: Session, invoices: Sequence[Invoice]) -> set[UUID]:
    """Stores new invoices, sorted by number so that two writers of the same ones cannot lock each other; gives the
    ids that went in: another transaction may have taken a number or external id meanwhile."""
    ordered = sorted(invoices, key=lambda one: (one.number or "", one.external_id or ""))
    return set(await insert_objects(session, table, COLUMNS, ordered))


async def add(session: Session, invoices: Sequence[Invoice]) -> None:
    """Stores new invoices, sorted as above; raises asyncpg.UniqueViolationError when another transaction has taken a
    number meanwhile."""
    await add_objects(session, table, COLUMNS, sorted(invoices, key=attrgetter("number")))


async def update(session: Session, invoices: Iterable[Invoice]) -> None:
    """Writes what transitions changed."""
    await update_objects(session, table, CHANGING, list(invoices))
