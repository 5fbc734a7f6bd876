"""Customers with everything that decides about them, in a constant number of queries however many they are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from remit_events.session import Session
from remit_events.state import CustomerState
from remit_service.bulk import execute, fetch
from scheduler_svc import records
from scheduler_svc.gate import LAW_CAP
from scheduler_svc.ledger import Contact, Debtor, DemandDue, FailedTouch, FollowUp, Ledger
from scheduler_svc.policies import PolicyCache
from scheduler_svc.policy import Policy

_FACTS = """
    c.id, c.seller_id, c.external_id, c.snapshot::text, c.addresses, c.suppressed, c.next_at,
    coalesce(a."on", true) AS automation_on,
    (SELECT min(received_at) FROM reply WHERE customer_id = c.id AND NOT answered) AS replied_at,
    EXISTS (SELECT FROM demand WHERE customer_id = c.id AND NOT closed) AS has_demands,
    EXISTS (SELECT FROM touch WHERE customer_id = c.id AND status = 'failed') AS has_failed
FROM customer c LEFT JOIN automation a ON a.seller_id = c.seller_id
"""
_CUSTOMER = f"SELECT {_FACTS}"
_CLAIM = """
SELECT id, addresses FROM customer
WHERE next_at <= :now AND snapshot IS NOT NULL AND (CAST(:only AS uuid) IS NULL OR id = :only)
ORDER BY next_at LIMIT :limit FOR UPDATE SKIP LOCKED
"""
# Which addresses others have too is asked of all at once: row by row it would read the whole table each time.
CLAIMED = f"""
WITH shared AS MATERIALIZED (
    SELECT address FROM unnest(CAST(:addresses AS text[])) AS wanted (address)
    JOIN customer ON customer.addresses @> ARRAY[address] GROUP BY address HAVING count(*) > 1
)
SELECT ARRAY(SELECT address FROM shared WHERE address = ANY(c.addresses)) AS shared, {_FACTS}
WHERE c.id = ANY(:ids)
"""  # noqa: S608
# A demand and a failed touch have something before them even when every step is over.
FOLLOWED = f"""{_CUSTOMER}
WHERE c.seller_id = :seller AND c.snapshot IS NOT NULL AND c.external_id > :after
AND (EXISTS (SELECT FROM follow_up f WHERE f.customer_id = c.id AND NOT f.closed AND NOT f.exhausted)
    OR EXISTS (SELECT FROM demand d WHERE d.customer_id = c.id AND NOT d.closed)
    OR EXISTS (SELECT FROM touch t WHERE t.customer_id = c.id AND t.status = 'failed'))
ORDER BY c.external_id LIMIT :limit
"""  # noqa: S608
ONE = _CUSTOMER + "WHERE c.seller_id = :seller AND c.id = :id AND c.snapshot IS NOT NULL"

# Two customers at one address must not be decided about at once by two sweeps.
_LOCK_SHARED = """
SELECT pg_advisory_xact_lock(key) FROM (
    SELECT DISTINCT hashtextextended(address, 1) AS key FROM unnest(CAST(:addresses AS text[])) AS address ORDER BY 1
) AS shared
"""
_DEMANDS = f"SELECT {records.DEMAND_COLUMNS} FROM demand WHERE customer_id = ANY(:ids) AND NOT closed"  # noqa: S608
_FAILED = """
SELECT id, customer_id, local_date, items AS listed, channels, reached, demand_id FROM touch
WHERE customer_id = ANY(:ids) AND status = 'failed'
"""
_FOLLOW_UPS = f"""
SELECT {records.FOLLOW_UP_COLUMNS} FROM follow_up
WHERE (customer_id = ANY(:ids) AND NOT closed) OR invoice_id = ANY(:more)
"""  # noqa: S608
# Their own, and others' at their addresses: a look into an index for each (OFFSET 0), even by a plan that was made
# while the table was empty; such a plan would else go through all of it.
CONTACTS = """
SELECT found.* FROM unnest(CAST(:ids AS uuid[])) AS wanted (customer_id) CROSS JOIN LATERAL (
    SELECT id, seller_id, customer_id, on_date, touch_id, addresses FROM contact
    WHERE contact.customer_id = wanted.customer_id AND on_date >= :since OFFSET 0
) AS found
UNION
SELECT found.* FROM unnest(CAST(:addresses AS text[])) AS wanted (address) CROSS JOIN LATERAL (
    SELECT id, seller_id, customer_id, on_date, touch_id, addresses FROM contact
    WHERE contact.addresses @> ARRAY[wanted.address] OFFSET 0
) AS found
WHERE found.on_date >= :since
"""


@dataclass(slots=True)
class ContactBook:
    """Contacts by customer and by address; what a batch adds counts at once for those who share the address."""

    by_customer: dict[UUID, list[tuple[Contact, list[str]]]] = field(default_factory=lambda: defaultdict(list))
    by_address: dict[tuple[UUID, str], list[tuple[UUID, Contact]]] = field(default_factory=lambda: defaultdict(list))

    def add(self, seller: UUID, customer: UUID, contact: Contact, addresses: Iterable[str]) -> None:
        reached = list(addresses)
        self.by_customer[customer].append((contact, reached))
        for address in reached:
            self.by_address[seller, address].append((customer, contact))

    def remove(self, seller: UUID, customer: UUID, touch_id: UUID) -> None:
        for contact, addresses in self.by_customer[customer]:
            if contact.touch_id == touch_id:
                for address in addresses:
                    self.by_address[seller, address].remove((customer, contact))
        kept = [one for one in self.by_customer[customer] if one[0].touch_id != touch_id]
        self.by_customer[customer] = kept

    def of(self, seller: UUID, customer: UUID, addresses: Iterable[str]) -> tuple[Contact, ...]:
        """A customer's own contacts, and others' at one of its addresses."""
        own = [contact for contact, _ in self.by_customer.get(customer, ())]
        shared = {
            (other, contact): Contact(contact.on, contact.touch_id, shared=True)
            for address in addresses
            for other, contact in self.by_address.get((seller, address), ())
            if other != customer
        }
        return (*own, *shared.values())


@dataclass(slots=True)
class Batch:
    """Some customers, in the order of their external ids, with what decides about each."""

    rows: Sequence[Any]
    follow_ups: dict[UUID, list[FollowUp]]
    demands: dict[UUID, list[DemandDue]]
    failed: dict[UUID, list[FailedTouch]]
    contacts: ContactBook
    debtors: dict[UUID, Debtor]

    def ledger(self, row: Any) -> Ledger:
        """As it stands now, with the contacts that earlier customers of the batch have just had."""
        return Ledger(
            debtor=self.debtors[row.id],
            automation_on=row.automation_on,
            follow_ups=tuple(self.follow_ups[row.id]),
            demands=tuple(self.demands[row.id]),
            failed=tuple(self.failed[row.id]),
            contacts=self.contacts.of(row.seller_id, row.id, row.addresses),
            replied_at=row.replied_at,
        )


async def claim(session: Session, now: datetime, *, limit: int, only: UUID | None = None) -> Sequence[Any]:
    """Customers due by now, locked; those that others hold are left to them.

    They are read after they were locked: what a statement reads beside the rows it locks is as old as its snapshot,
    and may lack what came in before the lock.
    """
    locked = await fetch(session, _CLAIM, now=now, limit=limit, only=only)
    ids = [row.id for row in locked]
    return await fetch(session, CLAIMED, ids=ids, addresses=_personal(locked)) if ids else ()


async def load(
    session: Session,
    rows: Sequence[Any],
    policies: PolicyCache,
    now: datetime,
    *,
    lock: bool,
    also: Sequence[UUID] = (),
) -> Batch:
    """Everything about the customers of `rows`, and the follow-ups `also` though they may be over.

    `lock`: they were claimed, and the addresses they share become locked as they are.
    """
    known = sorted((row for row in rows if row.snapshot), key=lambda row: (row.seller_id, row.external_id))
    ids = [row.id for row in known]
    addresses = _personal(known)
    if lock and (shared := [address for row in known for address in row.shared]):
        await execute(session, _LOCK_SHARED, addresses=shared)
    demands = await fetch(session, _DEMANDS, ids=ids) if any(row.has_demands for row in known) else ()
    failed = await fetch(session, _FAILED, ids=ids) if any(row.has_failed for row in known) else ()
    more = {row.invoice_id for row in demands} | {UUID(i["invoice_id"]) for row in failed for i in row.listed} | {*also}
    follow_ups = await fetch(session, _FOLLOW_UPS, ids=ids, more=list(more))
    debtors = {
        row.id: records.debtor(
            row.seller_id, CustomerState.model_validate_json(row.snapshot), row.addresses, row.suppressed
        )
        for row in known
    }
    batch = Batch(known, defaultdict(list), defaultdict(list), defaultdict(list), ContactBook(), debtors)
    for row in follow_ups:
        batch.follow_ups[row["customer_id"]].append(records.follow_up(row))
    there = {row["invoice_id"] for row in follow_ups} if more else set()
    for row in demands:
        if row.invoice_id in there:
            batch.demands[row.customer_id].append(records.demand(row))
    for row in failed:
        if all(UUID(item["invoice_id"]) in there for item in row.listed):
            batch.failed[row.customer_id].append(records.failed_touch(row))
    sellers = {row.id: row.seller_id for row in known}
    wanted = [(sellers[c], one.policy) for c, found in batch.follow_ups.items() for one in found]
    await policies.load(session, wanted)
    since = now.date() - timedelta(longest_look_back(policies.known[one] for one in set(wanted)) + 2)
    await _load_contacts(session, batch, ids, addresses, since)
    return batch


def _personal(rows: Sequence[Any]) -> list[str]:
    """Addresses that a person reads: many a company shares its house with others."""
    return sorted({address for row in rows for address in row.addresses if not address.startswith("letter:")})


def longest_look_back(policies: Iterable[Policy]) -> int:
    """How many days back a contact may still matter to gap or cap."""
    caps = ((one.contact_cap.days if one.contact_cap else 0, one.minimum_gap_days) for one in policies)
    return max([LAW_CAP.days, *(max(pair) for pair in caps)])


async def _load_contacts(session: Session, batch: Batch, ids: list[UUID], addresses: list[str], since: date) -> None:
    for row in await fetch(session, CONTACTS, ids=ids, addresses=addresses, since=since):
        batch.contacts.add(row.seller_id, row.customer_id, Contact(row.on_date, row.touch_id), row.addresses)
