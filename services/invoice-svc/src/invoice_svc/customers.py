"""Customers: who owes, where they are, how to reach them; one row each, locked before anything of theirs changes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import ColumnElement, select, text

from invoice_svc.inputs import CustomerIn
from invoice_svc.tables import customer as table
from remit_events.invoices import CustomerChanged, FollowUpHeld, FollowUpReleased
from remit_events.session import Session
from remit_events.state import CustomerState, Hold, Profile
from remit_service.bulk import among, insert_objects, lock_rows, new_id, records, update_objects
from remit_service.calendars import sole_zone
from remit_service.problems import conflict

GIVEN = tuple(CustomerIn.model_fields)


@dataclass(slots=True, kw_only=True)
class Customer:
    """One customer. Every change bumps `version` and gives the event that carries the whole of it."""

    id: UUID
    seller_id: UUID
    external_id: str
    name: str
    profile: str
    country: str
    timezone: str | None
    language: str | None
    email: str | None
    phone: str | None
    address: str | None
    sms_consent: bool
    policy_key: str | None
    ladder_key: str | None
    hold_reason: str | None
    hold_until: date | None
    version: int
    created_at: datetime
    updated_at: datetime

    @classmethod
    def create(cls, seller_id: UUID, given: CustomerIn, now: datetime) -> tuple[Customer, CustomerChanged]:
        """A new customer; a zone left blank is filled where the country has one."""
        made = cls(
            **(values_of(given)),
            id=new_id(),
            seller_id=seller_id,
            hold_reason=None,
            hold_until=None,
            version=1,
            created_at=now,
            updated_at=now,
        )
        return made, made._changed()

    def update(self, given: CustomerIn, now: datetime) -> CustomerChanged | None:
        """Takes over everything given; None when nothing differs."""
        values = values_of(given)
        if all(getattr(self, name) == value for name, value in values.items()):
            return None
        for name, value in values.items():
            setattr(self, name, value)
        self._bump(now)
        return self._changed()

    def put_on_hold(self, reason: str, until: date | None, now: datetime) -> FollowUpHeld:
        """Nobody follows up any invoice of theirs, through `until`; a hold that stands is replaced."""
        self.hold_reason, self.hold_until = reason, until
        self._bump(now)
        return FollowUpHeld(
            seller_id=self.seller_id, customer_id=self.id, customer=self.state(), reason=reason, until=until
        )

    def release(self, reason: str, now: datetime) -> FollowUpReleased:
        """Raises a 409 problem when they are not held."""
        if self.hold_reason is None:
            raise conflict("not-held", "The customer is not on hold, so there is nothing to release.")
        self.hold_reason = self.hold_until = None
        self._bump(now)
        return FollowUpReleased(seller_id=self.seller_id, customer_id=self.id, customer=self.state(), reason=reason)

    def state(self) -> CustomerState:
        return CustomerState(
            id=self.id,
            external_id=self.external_id,
            name=self.name,
            profile=cast(Profile, self.profile),
            country=self.country,
            timezone=self.timezone,
            language=self.language,
            email=self.email,
            phone=self.phone,
            address=self.address,
            sms_consent=self.sms_consent,
            hold=held(self.hold_reason, self.hold_until),
            policy_key=self.policy_key,
            ladder_key=self.ladder_key,
            version=self.version,
        )

    def _bump(self, now: datetime) -> None:
        self.version += 1
        self.updated_at = now

    def _changed(self) -> CustomerChanged:
        return CustomerChanged(seller_id=self.seller_id, customer_id=self.id, customer=self.state())


COLUMNS = tuple(field.name for field in fields(Customer))


@dataclass(frozen=True, slots=True)
class Owner:
    """What an invoice or a payment needs of its customer."""

    id: UUID
    external_id: str
    country: str
    timezone: str | None


_OWNERS = text("""
SELECT id, external_id, country, timezone FROM customer
WHERE seller_id = :seller_id AND (id = ANY(CAST(:ids AS uuid[])) OR external_id = ANY(CAST(:external_ids AS text[])))
ORDER BY id FOR UPDATE
""")


def held(reason: str | None, until: date | None) -> Hold | None:
    return None if reason is None else Hold(reason=reason, until=until)


def values_of(given: CustomerIn) -> dict[str, Any]:
    """The columns a body sets; the zone of a one-zone country stands in for one not given."""
    values = {name: getattr(given, name) for name in GIVEN}
    values["timezone"] = given.timezone or sole_zone(given.country)
    return values


async def lock(session: Session, seller_id: UUID, ids: Iterable[UUID]) -> dict[UUID, Customer]:
    """Locks those of the seller's customers in id order: the first thing every writer does."""
    return {found.id: found for found in await _locked(session, seller_id, among(table.c.id, set(ids)))}


async def lock_external(session: Session, seller_id: UUID, external_ids: Iterable[str]) -> dict[str, Customer]:
    """As `lock`, by external id."""
    rows = await lock_rows(session, table, COLUMNS, "external_id", seller_id, set(external_ids))
    return {found.external_id: found for found in (Customer(**row) for row in rows)}


async def lock_owners(
    session: Session, seller_id: UUID, ids: Collection[UUID], external_ids: Collection[str]
) -> list[Owner]:
    """As `lock`, by either id, and reading no more than needed."""
    values = {"seller_id": seller_id, "ids": list(ids), "external_ids": list(external_ids)}
    return [Owner(**row) for row in await session.fetch(_OWNERS, values)]


async def _locked(session: Session, seller_id: UUID, wanted: ColumnElement[bool]) -> list[Customer]:
    statement = select(table).where(table.c.seller_id == seller_id, wanted).order_by(table.c.id)
    rows = await session.execute(statement.with_for_update())
    return records(Customer, rows)


async def find(session: Session, seller_id: UUID, key: UUID | str) -> Customer | None:
    """One customer by id or, given text, by external id; not locked."""
    wanted = table.c.id == key if isinstance(key, UUID) else table.c.external_id == key
    found = records(Customer, await session.execute(select(table).where(table.c.seller_id == seller_id, wanted)))
    return found[0] if found else None


async def insert(session: Session, customers: Sequence[Customer]) -> set[UUID]:
    """Stores new customers, sorted so that two writers of the same ones cannot lock each other; gives the ids that
    went in: another transaction may have made the same external id meanwhile."""
    ordered = sorted(customers, key=lambda one: one.external_id)
    return set(await insert_objects(session, table, COLUMNS, ordered))


async def update(session: Session, customers: Iterable[Customer]) -> None:
    await update_objects(session, table, COLUMNS, list(customers))
