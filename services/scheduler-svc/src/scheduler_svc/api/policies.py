"""`/v1/policies`: versions that never change, who follows which, and moving open follow-ups on purpose."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import Query
from pydantic import AwareDatetime, BaseModel, Field
from sqlalchemy import func, select

from remit_events.session import Session
from remit_events.state import CustomerState, Profile
from remit_service.api import Body, Listing, Now, PageDep, Router, SessionDep, paginate, problem_responses
from remit_service.bulk import execute, fetch
from remit_service.flaws import refusal
from remit_service.problems import invalid, not_found
from scheduler_svc import policies
from scheduler_svc import tables as t
from scheduler_svc.api.wiring import KeyPath, Reader, VersionPath, WiringDep, Writer, example
from scheduler_svc.days import LAW_OPENS, LAW_UNTIL, today_of
from scheduler_svc.policy import EXAMPLE, Policy

router = Router(prefix="/v1/policies", tags=["policies"])

_LOCK = """
SELECT id, snapshot FROM customer WHERE id IN (
    SELECT customer_id FROM follow_up
    WHERE seller_id = :seller AND NOT closed AND policy_key = :from_key
    AND (policy_key, policy_version) <> (:key, CAST(:version AS int))
) ORDER BY id FOR UPDATE
"""
_MIGRATE = """
UPDATE follow_up SET policy_key = :key, policy_version = :version, exhausted = false, updated_at = :now,
    migrated_on = today
FROM unnest(CAST(:customers AS uuid[]), CAST(:days AS date[])) AS moved (customer, today)
WHERE customer_id = customer AND NOT closed
AND policy_key = :from_key AND (policy_key, policy_version) <> (:key, CAST(:version AS int))
RETURNING follow_up.invoice_id
"""
_LOOK_AT = "UPDATE customer SET next_at = :now WHERE id = ANY(:customers) AND snapshot IS NOT NULL"


class PolicyOut(BaseModel):
    """One version of a policy. `assigned_to`: profiles whose new invoices it follows; `*`: every customer."""

    model_config = example(
        key="business", version=2, created_at="2026-03-02T08:00:00Z", assigned_to=["business"], policy=EXAMPLE
    )

    key: str
    version: int
    created_at: datetime
    assigned_to: list[str]
    policy: Policy


class Assignment(Body):
    """Whose new invoices follow the newest version: these profiles, or every customer of the seller."""

    model_config = example(profiles=["business"], everyone=False)

    profiles: list[Profile] = Field(default=[])
    everyone: bool = False


class Migration(Body):
    """Which open follow-ups to move: those on other versions of this key, or on those of `from_key`."""

    model_config = example(from_key="business")

    from_key: str | None = Field(default=None, max_length=40)


class Migrated(BaseModel):
    model_config = example(key="business", version=2, follow_ups=17)

    key: str
    version: int
    follow_ups: int


@router.get("", summary="List the policies", responses=problem_responses(401, 403, 422))
async def list_policies(
    session: SessionDep,
    caller: Reader,
    page: PageDep,
    updated_since: Annotated[
        AwareDatetime | None, Query(description="Only those saved anew since; an assignment saves nothing.")
    ] = None,
) -> Listing[PolicyOut]:
    """The newest version of each policy."""
    c = t.policy_version.c
    newest = select(c.key, func.max(c.version).label("version")).where(c.seller_id == caller.seller_id).group_by(c.key)
    if updated_since is not None:
        newest = newest.having(func.max(c.created_at) >= updated_since)
    rows, next_cursor = await paginate(session, newest, page, c.key)
    data = [await _out(session, caller.seller_id, row.key, row.version) for row in rows]
    return Listing(data=data, next_cursor=next_cursor)


@router.get("/{key}/versions", summary="List the versions of a policy", responses=problem_responses(401, 403, 404, 422))
async def list_versions(key: KeyPath, session: SessionDep, caller: Reader, page: PageDep) -> Listing[PolicyOut]:
    """Every version of a policy, oldest first."""
    table = t.policy_version
    found = select(table).where(table.c.seller_id == caller.seller_id, table.c.key == key)
    rows, next_cursor = await paginate(session, found, page, table.c.version)
    if not rows and page.cursor is None:
        raise not_found("policy", key)
    assigned = await _assigned(session, caller.seller_id, key)
    return Listing(data=[_row_out(row, assigned) for row in rows], next_cursor=next_cursor)


@router.get(
    "/{key}/versions/{version}", summary="Show a version of a policy", responses=problem_responses(401, 403, 404)
)
async def get_version(key: KeyPath, version: VersionPath, session: SessionDep, caller: Reader) -> PolicyOut:
    return await _out(session, caller.seller_id, key, version)


@router.post(
    "/{key}/versions",
    summary="Save the next version of a policy",
    status_code=201,
    responses=problem_responses(401, 403, 409, 422),
)
async def save_version(
    key: KeyPath,
    body: Policy,
    session: SessionDep,
    caller: Writer,
    now: Now,
    assign: Annotated[list[str] | None, Query(description="Profiles whose new invoices follow it.")] = None,
    assign_all: Annotated[bool, Query(description="Make it the policy of every customer from now on.")] = False,
) -> PolicyOut:
    """Saves the next version. Invoices already followed stay on the version they began with."""
    if body.key != key:
        raise invalid("/key", "other-key", f"This is saved as {key!r}; make the key equal.", body.key)
    if found := body.flaws():
        raise refusal(found)
    profiles = [*_profiles(assign or []), *([policies.EVERYONE] if assign_all else [])]
    _refuse_what_law_forbids(body, profiles)
    await policies.seed(session, [caller.seller_id], now)
    version = await policies.add_version(session, caller.seller_id, key, body, now)
    await policies.assign(session, caller.seller_id, key, profiles)
    return await _out(session, caller.seller_id, key, version)


@router.put(
    "/{key}/assignment",
    summary="Put a policy to use for profiles or everyone",
    responses=problem_responses(401, 403, 404, 422),
)
async def put_assignment(key: KeyPath, body: Assignment, session: SessionDep, caller: Writer, now: Now) -> PolicyOut:
    """Assigns the newest version to profiles or everyone; what followed them before does no more."""
    await policies.seed(session, [caller.seller_id], now)
    out = await _out(session, caller.seller_id, key)
    profiles = [*body.profiles, *([policies.EVERYONE] if body.everyone else [])]
    _refuse_what_law_forbids(out.policy, profiles)
    await policies.assign(session, caller.seller_id, key, profiles)
    if not body.everyone:
        gone = t.policy_assignment.c
        await session.execute(
            t.policy_assignment.delete().where(
                gone.seller_id == caller.seller_id, gone.key == key, gone.profile == policies.EVERYONE
            )
        )
    return await _out(session, caller.seller_id, key)


@router.post(
    "/{key}/versions/{version}/migrate",
    summary="Move open follow-ups to a policy version",
    responses=problem_responses(401, 403, 404, 409, 422),
)
async def migrate(
    key: KeyPath,
    version: VersionPath,
    body: Migration,
    session: SessionDep,
    caller: Writer,
    wiring: WiringDep,
    now: Now,
) -> Migrated:
    """Moves open follow-ups to this version. Steps of it that lie before today are passed over."""
    await _out(session, caller.seller_id, key, version)
    which: dict[str, Any] = {"key": key, "version": version, "from_key": body.from_key or key}
    locked = await fetch(session, _LOCK, seller=caller.seller_id, **which)
    customers = [row.id for row in locked]
    days = [today_of(CustomerState.model_validate(row.snapshot), now) for row in locked]
    moved = await fetch(session, _MIGRATE, customers=customers, days=days, now=now, **which)
    await execute(session, _LOOK_AT, customers=customers, now=now)
    session.after_commit.append(wiring.changed)
    return Migrated(key=key, version=version, follow_ups=len(moved))


def _profiles(given: list[str]) -> list[str]:
    """Repeated, or parted by commas."""
    named = [profile.strip() for one in given for profile in one.split(",")]
    for profile in named:
        if profile not in policies.PROFILES:
            raise invalid("assign", "unknown-profile", f"Name {', '.join(policies.PROFILES)}.", profile)
    return named


def _refuse_what_law_forbids(policy: Policy, profiles: list[str]) -> None:
    window = policy.window
    if {"individual", policies.EVERYONE} & set(profiles) and (window.until <= LAW_OPENS or window.opens >= LAW_UNTIL):
        detail = (
            f"The window lies outside {LAW_OPENS:%H:%M}–{LAW_UNTIL:%H:%M}, all that the law leaves for individuals; "
            "widen it, or assign the policy to business and government only."
        )
        raise invalid("/window", "unlawful-window", detail, f"{window.opens:%H:%M}–{window.until:%H:%M}")


async def _out(session: Session, seller: UUID, key: str, version: int | None = None) -> PolicyOut:
    c = t.policy_version.c
    found = select(t.policy_version).where(c.seller_id == seller, c.key == key)
    found = found.where(c.version == version) if version else found.order_by(c.version.desc()).limit(1)
    row = (await session.execute(found)).one_or_none()
    if row is None:
        raise not_found("policy", f"{key} version {version}" if version else key)
    return _row_out(row, await _assigned(session, seller, key))


async def _assigned(session: Session, seller: UUID, key: str) -> list[str]:
    c = t.policy_assignment.c
    found = select(c.profile).where(c.seller_id == seller, c.key == key).order_by(c.profile)
    return list((await session.scalars(found)).all())


def _row_out(row: Any, assigned: list[str]) -> PolicyOut:
    policy = policies.parsed(row.body)
    return PolicyOut(key=row.key, version=row.version, created_at=row.created_at, assigned_to=assigned, policy=policy)
