"""A small service with a table of things, to try the shared base on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Annotated, Any
from uuid import UUID

import pytest
from fastapi import Request, Response
from pydantic import BaseModel
from remit_testing.service import make_settings
from sqlalchemy import BigInteger, Column, DateTime, Integer, MetaData, Table, Uuid, func, insert, select, text, update
from sqlalchemy import Text as Words
from uuid6 import uuid7

from remit_service import tables
from remit_service.api import (
    Body,
    Caller,
    Listing,
    Now,
    PageDep,
    Router,
    SessionDep,
    check_if_match,
    etag,
    paginate,
    problem_responses,
    require,
    require_internal,
)
from remit_service.app import create_app
from remit_service.clock import SimulatedClock
from remit_service.database import Database
from remit_service.money import AmountMinor
from remit_service.problems import not_found
from remit_service.service import Service
from remit_service.settings import ServiceSettings
from remit_service.validation import Text

START = datetime(2026, 3, 2, 9, tzinfo=UTC)

metadata = MetaData()
thing = Table(
    "thing",
    metadata,
    Column("id", Uuid(), primary_key=True),
    Column("seller_id", Uuid(), nullable=False),
    Column("name", Words, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("version", Integer, nullable=False),
)


class NewThing(Body):
    name: Text(100)  # type: ignore[valid-type]
    amount_minor: AmountMinor
    note: str | None = None


class ThingOut(BaseModel):
    id: UUID
    name: str
    amount_minor: int
    version: int


class Free(Body):
    data: dict[str, Any]


@dataclass
class Sample:
    """The service under test, and what its routes wait for or count."""

    service: Service
    clock: SimulatedClock
    entered: asyncio.Event = field(default_factory=asyncio.Event)
    release: asyncio.Event = field(default_factory=asyncio.Event)
    reasons: dict[str, str] = field(default_factory=dict)

    @property
    def db(self) -> Database:
        return self.service.db

    async def things(self) -> int:
        async with self.db.reading() as session:
            return int(await session.scalar(select(func.count()).select_from(thing)) or 0)


Writer = Annotated[Caller, require("things:write")]
Reader = Annotated[Caller, require("things:read")]


async def _insert(session: Any, caller: Caller, body: NewThing, now: datetime) -> ThingOut:
    out = ThingOut(id=uuid7(), name=body.name, amount_minor=body.amount_minor, version=1)
    values = out.model_dump() | {"seller_id": caller.seller_id, "created_at": now}
    await session.execute(insert(thing).values(values))
    return out


def _router(state: SimpleNamespace) -> Router:
    router = Router(prefix="/v1/things", tags=["things"])

    @router.post("", status_code=201, responses=problem_responses(400, 401, 403, 409, 413, 415, 422))
    async def create(body: NewThing, session: SessionDep, caller: Writer, now: Now, response: Response) -> ThingOut:
        out = await _insert(session, caller, body, now)
        response.headers["Location"] = f"/v1/things/{out.id}"
        return out

    @router.post("/slow", status_code=201)
    async def slow(body: NewThing, session: SessionDep, caller: Writer, now: Now) -> ThingOut:
        out = await _insert(session, caller, body, now)
        state.sample.entered.set()
        await state.sample.release.wait()
        return out

    @router.post("/refused", status_code=201)
    async def refused(body: NewThing, session: SessionDep, caller: Writer, now: Now) -> Response:
        await _insert(session, caller, body, now)
        return Response(b"no", 409)

    @router.post("/broken", status_code=201)
    async def broken(body: NewThing, session: SessionDep, caller: Writer, now: Now) -> ThingOut:
        await _insert(session, caller, body, now)
        raise RuntimeError(f"the secret is {body.name}")

    @router.post("/uncommittable", status_code=201)
    async def uncommittable(body: NewThing, session: SessionDep, caller: Writer, now: Now) -> ThingOut:
        out = await _insert(session, caller, body, now)
        await session.execute(text("INSERT INTO deferred_child VALUES (1, 99)"))
        return out

    @router.post("/sql", status_code=201)
    async def sql(body: Free, session: SessionDep, caller: Writer) -> dict[str, str]:
        for statement in body.data["sql"]:
            await session.execute(text(statement), body.data.get("values", {}))
        return {"done": "yes"}

    @router.get("", responses=problem_responses(401, 403))
    async def listing(session: SessionDep, caller: Reader, page: PageDep, newest: bool = False) -> Listing[ThingOut]:
        columns = (thing.c.id, thing.c.name, thing.c.amount_minor, thing.c.version, thing.c.created_at)
        statement = select(*columns).where(thing.c.seller_id == caller.seller_id)
        rows, cursor = await paginate(session, statement, page, thing.c.created_at, thing.c.id, descending=newest)
        return Listing(data=[ThingOut.model_validate(row._mapping) for row in rows], next_cursor=cursor)

    @router.get("/writing")
    async def writing(session: SessionDep, caller: Reader, now: Now) -> ThingOut:
        return await _insert(session, caller, NewThing(name="x", amount_minor=1), now)

    @router.get("/{thing_id}", responses=problem_responses(401, 403, 404))
    async def one(thing_id: UUID, session: SessionDep, caller: Reader, response: Response) -> ThingOut:
        mine = (thing.c.id == thing_id) & (thing.c.seller_id == caller.seller_id)
        found = (await session.execute(select(thing).where(mine))).one_or_none()
        if found is None:
            raise not_found("thing", thing_id)
        response.headers["ETag"] = etag(found.version)
        return ThingOut.model_validate(found._mapping)

    @router.put("/{thing_id}", responses=problem_responses(401, 403, 404, 412, 422, 428))
    async def change(
        thing_id: UUID, body: NewThing, request: Request, session: SessionDep, caller: Writer
    ) -> dict[str, int]:
        version = await session.scalar(select(thing.c.version).where(thing.c.id == thing_id).with_for_update())
        check_if_match(request, version)
        await session.execute(update(thing).where(thing.c.id == thing_id).values(name=body.name, version=version + 1))
        return {"version": version + 1}

    @router.post("/{thing_id}/touch", status_code=200)
    async def touch(thing_id: UUID, session: SessionDep, caller: Writer) -> dict[str, str]:
        return {"touched": str(thing_id)}

    @router.post("/balances")
    async def balances(caller: Annotated[Caller, require("things:read", or_internal=True)]) -> dict[str, bool]:
        return {"internal": caller.internal}

    @router.post("/internal")
    async def internal(caller: Annotated[Caller, require_internal]) -> dict[str, str]:
        return {"caller": caller.name}

    return router


@pytest.fixture(scope="session")
async def sample(make_database: Any) -> AsyncIterator[Sample]:
    """One service for all tests of a process; each test brings its own seller."""
    url = await make_database()
    db = Database(url)
    async with db.engine.begin() as connection:
        await connection.run_sync(tables.metadata.create_all)
        await connection.run_sync(metadata.create_all)
        await connection.execute(text("CREATE TABLE deferred_parent (id int PRIMARY KEY)"))
        reference = "REFERENCES deferred_parent DEFERRABLE INITIALLY DEFERRED"
        await connection.execute(text(f"CREATE TABLE deferred_child (id int, parent int {reference})"))
    clock, state = SimulatedClock(START), SimpleNamespace()
    settings = make_settings(ServiceSettings, url, max_body_bytes=100_000)

    async def peer() -> str | None:
        return state.sample.reasons.get("peer")

    app = create_app("sample-svc", db=db, clock=clock, settings=settings, routers=[_router(state)], ready_checks=[peer])
    service = Service("sample-svc", settings, clock, db, None, app, [])  # type: ignore[arg-type]  # no events here
    state.sample = Sample(service, clock)
    await service.start()
    yield state.sample
    await service.stop()
