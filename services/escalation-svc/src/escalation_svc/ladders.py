"""Ladders as kept: immutable versions per seller, who follows which, and the version a case is pinned to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, tuple_
from sqlalchemy.dialects.postgresql import insert

from escalation_svc.book import Book
from escalation_svc.ladder import Ladder
from escalation_svc.ladder_file import SHIPPED, shipped
from escalation_svc.ladder_format import LadderBody
from escalation_svc.records import Case, Customer
from escalation_svc.tables import ladder_assignment, ladder_version
from remit_events.session import Session
from remit_service.problems import not_found

EVERYONE = "*"
NONE = "none"  # a customer or seller on this key is never escalated
SHIPPED_VERSION = 1

Name = tuple[UUID, str, int]  # seller, key, version

# Versions are immutable, so what was parsed once stays right in every process.
_parsed: dict[Name, Ladder] = {}


@dataclass
class Shelf:
    """The ladders of some sellers at one moment."""

    default_key: str
    latest: dict[tuple[UUID, str], int] = field(default_factory=dict)
    assigned: dict[tuple[UUID, str], str] = field(default_factory=dict)
    unsaved: set[Name] = field(default_factory=set)  # shipped ones a case was pinned to before they were stored

    def of(self, case: Case, customer: Customer) -> Ladder | None:
        """The ladder a case follows: the one it is pinned to, else the newest its customer is on."""
        if case.ladder_key is not None and case.ladder_version is not None:
            return self._find(case.seller_id, case.ladder_key, case.ladder_version)
        key = self.key_for(case.seller_id, customer)
        return None if key == NONE else self._find(case.seller_id, key, self.latest.get((case.seller_id, key)))

    def key_for(self, seller: UUID, customer: Customer) -> str:
        """The customer's own ladder, else their profile's, else everyone's, else the installation's."""
        state = customer.state
        own = state.ladder_key if state else None
        profile = state.profile if state else "individual"
        assigned = self.assigned.get((seller, profile)) or self.assigned.get((seller, EVERYONE))
        return own or assigned or self.default_key

    def pin(self, case: Case, ladder: Ladder) -> None:
        """From its first rung on a case stays on the version it began with."""
        if case.ladder_key is None:
            case.ladder_key, case.ladder_version = ladder.key, ladder.version
            if (case.seller_id, ladder.key) not in self.latest:
                self.unsaved.add((case.seller_id, ladder.key, ladder.version))

    def _find(self, seller: UUID, key: str, version: int | None) -> Ladder | None:
        known = _parsed.get((seller, key, version or SHIPPED_VERSION))
        if known is None and key in SHIPPED and version in (None, SHIPPED_VERSION):
            return shipped(key).ladder(key, SHIPPED_VERSION)
        return known if version is not None else None


async def shelf(session: Session, book: Book, default_key: str) -> Shelf:
    """The ladders of the book's sellers; bodies are read once per process."""
    found = Shelf(default_key)
    wanted: list[Name] = []
    for seller, key, version, profile in book.ladders:
        if version is not None:
            found.latest[seller, key] = max(version, found.latest.get((seller, key), 0))
            wanted.append((seller, key, version))
        elif profile is not None:
            found.assigned[seller, profile] = key
    await _parse(session, [name for name in wanted if name not in _parsed])
    return found


async def _parse(session: Session, names: list[Name]) -> None:
    if not names:
        return
    columns = ladder_version.c
    wanted = select(ladder_version).where(tuple_(columns.seller_id, columns.key, columns.version).in_(names))
    for row in (await session.execute(wanted)).all():
        _parsed[row.seller_id, row.key, row.version] = LadderBody.model_validate(row.body).ladder(row.key, row.version)


async def store_shipped(session: Session, names: Iterable[Name], *, now: datetime) -> None:
    """Keeps shipped ladders that cases were pinned to, so that a later release cannot change them."""
    rows = [
        {"seller_id": seller, "key": key, "version": version, "body": shipped(key).json_body(), "created_at": now}
        for seller, key, version in sorted(names)
    ]
    if rows:
        await session.execute(insert(ladder_version).on_conflict_do_nothing(), rows)


async def add_version(session: Session, seller: UUID, key: str, body: LadderBody, *, now: datetime) -> int:
    """Saves a ladder as the key's next version and gives its number. The caller holds the seller's ladder lock."""
    if key in SHIPPED:
        await store_shipped(session, [(seller, key, SHIPPED_VERSION)], now=now)
    same_key = (ladder_version.c.seller_id == seller) & (ladder_version.c.key == key)
    newest = await session.scalar(select(func.max(ladder_version.c.version)).where(same_key)) or 0
    values = {"seller_id": seller, "key": key, "version": newest + 1, "body": body.json_body(), "created_at": now}
    await session.execute(insert(ladder_version).values(values))
    return newest + 1


async def assign(session: Session, seller: UUID, key: str, profiles: Iterable[str]) -> None:
    """Makes `key` the ladder of customers of these profiles; `*` is for all without one of their own profile's."""
    new = insert(ladder_assignment).values([{"seller_id": seller, "profile": p, "key": key} for p in {*profiles}])
    await session.execute(
        new.on_conflict_do_update(index_elements=["seller_id", "profile"], set_={"key": new.excluded.key})
    )


async def find(session: Session, seller: UUID, key: str, version: int | None = None) -> tuple[Ladder, Any]:
    """A saved or shipped version (None: the newest) and its body as JSON. Raises a 404 problem."""
    statement = select(ladder_version).where(ladder_version.c.seller_id == seller, ladder_version.c.key == key)
    if version is not None:
        statement = statement.where(ladder_version.c.version == version)
    row = (await session.execute(statement.order_by(ladder_version.c.version.desc()).limit(1))).one_or_none()
    if row is not None:
        return LadderBody.model_validate(row.body).ladder(key, row.version), row.body
    if key in SHIPPED and version in (None, SHIPPED_VERSION):
        return shipped(key).ladder(key, SHIPPED_VERSION), shipped(key).json_body()
    raise not_found("ladder", key if version is None else f"{key} version {version}")
