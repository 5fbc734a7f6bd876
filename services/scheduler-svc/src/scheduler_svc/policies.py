"""A seller's policies: versions that never change, which customers follow which, and the ones that ship with Remit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from pydantic_core import to_json

from remit_events.session import Session
from remit_events.state import Profile
from remit_service.bulk import execute, fetch, insert_rows
from scheduler_svc import tables as t
from scheduler_svc.ledger import PolicyRef
from scheduler_svc.policy import Policy
from scheduler_svc.policy_file import SHIPPED, shipped

EVERYONE = "*"
PROFILES: tuple[Profile, ...] = ("business", "individual", "government")

_SHELF = """
SELECT seller_id, NULL AS profile, key, max(version) AS version FROM policy_version
WHERE seller_id = ANY(:sellers) GROUP BY seller_id, key
UNION ALL SELECT seller_id, profile, key, NULL FROM policy_assignment WHERE seller_id = ANY(:sellers)
"""
_BODIES = """
SELECT seller_id, key, version, body FROM policy_version
JOIN unnest(CAST(:sellers AS uuid[]), CAST(:keys AS text[]), CAST(:versions AS int[])) AS wanted (s, k, v)
ON seller_id = s AND key = k AND version = v
"""
_ADD = """
INSERT INTO policy_version (seller_id, key, version, body, created_at)
SELECT :seller, :key, coalesce(max(version), 0) + 1, CAST(:body AS jsonb), :now
FROM policy_version WHERE seller_id = :seller AND key = :key
RETURNING version
"""
# Who names profiles means them, even where one policy was everyone's: that one stays with the other profiles.
_ASSIGN = """
WITH everyones AS (
    DELETE FROM policy_assignment
    WHERE seller_id = :seller AND profile = '*' AND cardinality(CAST(:profiles AS text[])) > 0
        AND '*' <> ALL(CAST(:profiles AS text[]))
    RETURNING key
)
INSERT INTO policy_assignment (seller_id, profile, key)
SELECT :seller, profile, :key FROM unnest(CAST(:profiles AS text[])) AS profile
UNION ALL SELECT :seller, profile, everyones.key FROM everyones, unnest(CAST(:known AS text[])) AS profile
WHERE profile <> ALL(CAST(:profiles AS text[])) AND everyones.key <> :key
ON CONFLICT (seller_id, profile) DO UPDATE SET key = excluded.key
"""
_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"


@dataclass(frozen=True, slots=True)
class Shelf:
    """What some sellers have: the newest version of each policy, and who follows which."""

    newest: Mapping[tuple[UUID, str], int]
    assigned: Mapping[tuple[UUID, str], str]

    def has(self, seller: UUID) -> bool:
        """Whether a seller was given the shipped policies."""
        return any((seller, profile) in self.assigned for profile in PROFILES)

    def choose(self, seller: UUID, profile: Profile, *named: str | None) -> PolicyRef:
        """The first policy named that there is (the invoice's, the customer's), else the seller's for everyone, else
        that of the profile."""
        assigned = (self.assigned.get((seller, EVERYONE)), self.assigned.get((seller, profile)), profile)
        for key in (*named, *assigned):
            if key is not None and (seller, key) in self.newest:
                return PolicyRef(key, self.newest[seller, key])
        raise LookupError(f"seller {seller} has no policy for {profile}")


@dataclass(slots=True)
class PolicyCache:
    """Versions once read: they never change."""

    known: dict[tuple[UUID, PolicyRef], Policy] = field(default_factory=dict)

    async def load(self, session: Session, wanted: Iterable[tuple[UUID, PolicyRef]]) -> None:
        missing = [one for one in dict.fromkeys(wanted) if one not in self.known]
        if not missing:
            return
        rows = await fetch(
            session,
            _BODIES,
            sellers=[seller for seller, _ in missing],
            keys=[ref.key for _, ref in missing],
            versions=[ref.version for _, ref in missing],
        )
        for row in rows:
            self.known[row.seller_id, PolicyRef(row.key, row.version)] = parsed(row.body)

    def of(self, seller: UUID) -> Mapping[PolicyRef, Policy]:
        """A seller's versions as the core looks them up."""
        return _OfSeller(self.known, seller)


class _OfSeller(Mapping[PolicyRef, Policy]):
    def __init__(self, known: Mapping[tuple[UUID, PolicyRef], Policy], seller: UUID) -> None:
        self._known, self._seller = known, seller

    def __getitem__(self, ref: PolicyRef) -> Policy:
        return self._known[self._seller, ref]

    def __iter__(self) -> Any:
        return (ref for seller, ref in self._known if seller == self._seller)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def parsed(body: Mapping[str, Any] | str) -> Policy:
    """A stored body; equal ones are one object."""
    return _parsed(body if isinstance(body, str) else to_json(body))


@lru_cache(maxsize=1024)
def _parsed(body: bytes | str) -> Policy:
    return Policy.model_validate_json(body)


async def seed(session: Session, sellers: Iterable[UUID], now: datetime) -> None:
    """Gives sellers that have none the shipped policies as version 1, assigned by profile."""
    wanted = sorted(set(sellers))
    known = await read_shelf(session, wanted)
    new = [seller for seller in wanted if not known.has(seller)]
    if not new:
        return
    versions = [
        {"seller_id": seller, "key": key, "version": 1, "body": shipped(key).as_body(), "created_at": now}
        for seller in new
        for key in SHIPPED
    ]
    await insert_rows(session, t.policy_version, versions, on_conflict="DO NOTHING")
    assignments = [{"seller_id": seller, "profile": profile, "key": profile} for seller in new for profile in PROFILES]
    await insert_rows(session, t.policy_assignment, assignments, on_conflict="DO NOTHING")


async def shelf(session: Session, sellers: Sequence[UUID], now: datetime) -> Shelf:
    """What sellers have; those that had nothing are given the shipped policies."""
    found = await read_shelf(session, sellers)
    if all(found.has(seller) for seller in sellers):
        return found
    await seed(session, sellers, now)
    return await read_shelf(session, sellers)


async def read_shelf(session: Session, sellers: Sequence[UUID]) -> Shelf:
    rows = await fetch(session, _SHELF, sellers=list(sellers))
    return Shelf(
        newest={(row.seller_id, row.key): row.version for row in rows if row.profile is None},
        assigned={(row.seller_id, row.profile): row.key for row in rows if row.profile is not None},
    )


async def add_version(session: Session, seller: UUID, key: str, policy: Policy, now: datetime) -> int:
    """The next version of a key."""
    await execute(session, _LOCK, name=f"policies {seller}")
    body = to_json(policy.as_body()).decode()
    (row,) = await fetch(session, _ADD, seller=seller, key=key, body=body, now=now)
    version: int = row.version
    return version


async def assign(session: Session, seller: UUID, key: str, profiles: Sequence[str]) -> None:
    await execute(session, _ASSIGN, seller=seller, key=key, profiles=list({*profiles}), known=list(PROFILES))
