"""`/v1/ladders`: versions that never change, and who follows which."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import Path, Query
from pydantic import BaseModel
from sqlalchemy import delete, func, select, text, update

from escalation_svc import ladders
from escalation_svc import tables as t
from escalation_svc.api.views import example
from escalation_svc.api.wiring import Reader, WiringDep, Writer
from escalation_svc.ladder_file import SHIPPED
from escalation_svc.ladder_format import EXAMPLE, LadderBody, RungBody, check
from remit_events.session import Session
from remit_events.state import Profile
from remit_service.api import Listing, Now, PageDep, Router, SessionDep, paginate, problem_responses
from remit_service.flaws import FlawsError, refusal
from remit_service.problems import conflict

router = Router(prefix="/v1/ladders", tags=["ladders"])

KeyPath = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$", examples=["default"])]


class LadderOut(BaseModel):
    """One version of a ladder. `assigned_to`: profiles that follow its key, `*` all without one of their own."""

    model_config = example(key="default", version=2, rungs=EXAMPLE["rungs"], assigned_to=["*"])

    key: str
    version: int
    rungs: list[RungBody]
    assigned_to: list[str]


@router.get("", summary="List the ladders", responses=problem_responses(401, 403, 422))
async def list_ladders(session: SessionDep, caller: Reader, page: PageDep) -> Listing[LadderOut]:
    """The newest version of each saved ladder, and with the first page the shipped ones never saved."""
    c = t.ladder_version.c
    newest = select(c.key, func.max(c.version).label("version")).where(c.seller_id == caller.seller_id)
    keys, next_cursor = await paginate(session, newest.group_by(c.key), page, c.key)
    saved = {row.key for row in keys}
    if page.cursor is None:
        known = await session.scalars(select(c.key).where(c.seller_id == caller.seller_id, c.key.in_(SHIPPED)))
        saved |= set(SHIPPED) - set(known.all())
    data = [await _out(session, caller.seller_id, key) for key in sorted(saved)]
    return Listing(data=data, next_cursor=next_cursor)


@router.get("/{key}", summary="Show a ladder's newest version", responses=problem_responses(401, 403, 404))
async def get_ladder(key: KeyPath, session: SessionDep, caller: Reader) -> LadderOut:
    """The newest version."""
    return await _out(session, caller.seller_id, key)


@router.get("/{key}/versions", summary="List the versions of a ladder", responses=problem_responses(401, 403, 404, 422))
async def list_versions(key: KeyPath, session: SessionDep, caller: Reader, page: PageDep) -> Listing[LadderOut]:
    """Every version of a ladder, oldest first."""
    c = t.ladder_version.c
    found = select(c.version, c.body).where(c.seller_id == caller.seller_id, c.key == key)
    rows, next_cursor = await paginate(session, found, page, c.version)
    if not rows and page.cursor is None:  # a shipped one that was never saved, or none at all
        return Listing(data=[await _out(session, caller.seller_id, key)])
    assigned = await _assigned(session, caller.seller_id, key)
    data = [LadderOut(key=key, version=row.version, rungs=row.body["rungs"], assigned_to=assigned) for row in rows]
    return Listing(data=data, next_cursor=next_cursor)


@router.get(
    "/{key}/versions/{version}", summary="Show a version of a ladder", responses=problem_responses(401, 403, 404)
)
async def get_version(
    key: KeyPath, version: Annotated[int, Path(ge=1, le=2**31 - 1)], session: SessionDep, caller: Reader
) -> LadderOut:
    return await _out(session, caller.seller_id, key, version)


@router.post(
    "/{key}/versions",
    summary="Save the next version of a ladder",
    status_code=201,
    responses=problem_responses(401, 403, 409, 422),
)
async def save_version(
    key: KeyPath,
    body: LadderBody,
    session: SessionDep,
    caller: Writer,
    wiring: WiringDep,
    now: Now,
    assign: Annotated[list[Profile] | None, Query(description="Profiles that follow it from now on.")] = None,
    assign_all: Annotated[bool, Query(description="Every customer without a ladder of their own follows it.")] = False,
) -> LadderOut:
    """Saves the next version. Cases without a rung yet go on under it; others stay on the version they began with."""
    if key == ladders.NONE:
        raise conflict("reserved-key", "`none` means that nobody is escalated; save the ladder under another key.")
    try:
        check(body, key)
    except FlawsError as refused:
        raise refusal(refused.flaws) from None
    await _lock_seller(session, caller.seller_id)
    version = await ladders.add_version(session, caller.seller_id, key, body, now=now)
    if assign_all:
        await session.execute(delete(t.ladder_assignment).where(t.ladder_assignment.c.seller_id == caller.seller_id))
    if profiles := [*(assign or []), *([ladders.EVERYONE] if assign_all else [])]:
        await ladders.assign(session, caller.seller_id, key, profiles)
    await _replan(session, caller.seller_id, now)
    session.after_commit.append(wiring.watch.changed)
    return await _out(session, caller.seller_id, key, version)


async def _lock_seller(session: Session, seller: UUID) -> None:
    """Versions of a seller's ladders are numbered one after another."""
    lock = text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))")
    await session.execute(lock, {"name": f"ladders {seller}"})


async def _replan(session: Session, seller: UUID, now: datetime) -> None:
    """Has the rungs task plan all cases again that are not pinned, under their customers' locks in id order."""
    locked = select(t.customer.c.id).where(t.customer.c.seller_id == seller).order_by(t.customer.c.id)
    await session.execute(locked.with_for_update())
    waiting = t.case.c.seller_id == seller, t.case.c.status != "closed", t.case.c.ladder_key.is_(None)
    await session.execute(update(t.case).where(*waiting).values(next_eval_at=now, replan=True))


async def _out(session: Session, seller: UUID, key: str, version: int | None = None) -> LadderOut:
    ladder, body = await ladders.find(session, seller, key, version)
    assigned = await _assigned(session, seller, key)
    return LadderOut(key=key, version=ladder.version, rungs=body["rungs"], assigned_to=assigned)


async def _assigned(session: Session, seller: UUID, key: str) -> list[str]:
    """The profiles that follow a ladder."""
    c = t.ladder_assignment.c
    found = await session.scalars(select(c.profile).where(c.seller_id == seller, c.key == key).order_by(c.profile))
    return list(found.all())
