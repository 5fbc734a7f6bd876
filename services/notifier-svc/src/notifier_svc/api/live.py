"""`/v1/live-mode` and `/v1/providers`: sending for real is tried, then switched on, by hand."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from uuid6 import uuid7

from notifier_svc import tables as t
from notifier_svc.api.inputs import Name, Word
from notifier_svc.api.wiring import OutsideWriter, Reader, Wiring, WiringDep, example
from notifier_svc.modes import LIVE_OFF, missing_for_live
from notifier_svc.providers import Outcome, Outgoing, Result
from notifier_svc.storage import release
from remit_events.session import Session
from remit_events.state import Channel, SellerState, Stage
from remit_service.api import Body, Caller, Now, Router, SessionDep, SharedDep, StrictRoute, problem_responses, require
from remit_service.problems import conflict, invalid
from remit_service.sellers import get_seller

router = Router(prefix="/v1/live-mode", tags=["live mode"])
asking = Router(prefix="/v1/providers", route_class=StrictRoute, tags=["live mode"])

Switcher = Annotated[Caller, require("automation:write")]


class LiveMode(BaseModel):
    """`sends_for_real` only when DELIVERY_MODE is live, the switch is on and nothing is missing."""

    model_config = example(mode="live", on=True, missing=[], sends_for_real=True, by="Mara Lind", changed_at=None)

    mode: str
    on: bool
    missing: list[str]
    sends_for_real: bool
    by: str | None
    changed_at: datetime | None


class Switch(Body):
    """To switch on, `seller_name` must be the seller's name, so that nobody does it by accident."""

    model_config = example(on=True, seller_name="Nordlicht GmbH", by="Mara Lind")

    on: bool
    seller_name: Word | None = None
    by: Name


class CheckOut(BaseModel):
    """Whether a provider's credentials work; `detail` says what to do when not."""

    model_config = example(provider="smtp", ok=True, detail="mail.example:587 takes mail from here")

    provider: str
    ok: bool
    detail: str


class Checks(BaseModel):
    data: list[CheckOut]


class TestMessage(Body):
    """An e-mail address or a phone number of one's own."""

    model_config = example(to="me@nordlicht.example")

    to: Word


class TestResult(BaseModel):
    """What the provider said about the test message."""

    model_config = example(provider="smtp", result="sent", provider_id="Ok: queued as 4Xy", detail="")

    provider: str
    result: Result
    provider_id: str
    detail: str


@router.get("", summary="Show whether messages leave for real", responses=problem_responses(401, 403))
async def show(session: SessionDep, caller: Reader, wiring: WiringDep) -> LiveMode:
    return await _state(session, caller.seller_id, wiring)


@router.put("", summary="Turn sending for real on or off", responses=problem_responses(401, 403, 409, 422))
async def switch(body: Switch, session: SessionDep, caller: Switcher, wiring: WiringDep, now: Now) -> LiveMode:
    """Switching off works always; on only for a seller with sender, reply address and a way to pay."""
    seller = await get_seller(session, caller.seller_id)
    if body.on:
        _may_go_live(body, seller)
    values = {"seller_id": seller.id, "is_on": body.on, "by": body.by, "changed_at": now}
    changed = {name: value for name, value in values.items() if name != "seller_id"}
    row = insert(t.live_switch).values(values)
    await session.execute(row.on_conflict_do_update(index_elements=["seller_id"], set_=changed))
    if body.on:
        await release(session, seller.id, LIVE_OFF, now)
    session.after_commit.append(wiring.nudge)
    return await _state(session, caller.seller_id, wiring)


def _may_go_live(body: Switch, seller: SellerState) -> None:
    missing = missing_for_live(seller)
    if missing:
        detail = f"The seller lacks {', '.join(missing)}. `remit seller set` adds what is missing."
        raise conflict("seller-not-ready", detail, "Not ready for live mode", missing=missing)
    if body.seller_name != seller.name:
        detail = "Give the seller's name exactly as it is, to confirm that messages will really leave."
        raise invalid("/seller_name", "not-the-name", detail, body.seller_name)


async def _state(session: Session, seller_id: UUID, wiring: Wiring) -> LiveMode:
    seller = await get_seller(session, seller_id)
    row = (await session.execute(select(t.live_switch).where(t.live_switch.c.seller_id == seller_id))).one_or_none()
    missing, on = missing_for_live(seller), bool(row and row.is_on)
    return LiveMode(
        mode=wiring.ways.mode,
        on=on,
        missing=missing,
        sends_for_real=wiring.ways.mode == "live" and on and not missing,
        by=row.by if row else None,
        changed_at=row.changed_at if row else None,
    )


@asking.post("/check", summary="Try the providers' credentials", responses=problem_responses(401, 403))
async def check(caller: OutsideWriter, wiring: WiringDep) -> Checks:  # noqa: ARG001
    """Connects and logs in everywhere; sends nothing."""
    return Checks(data=[CheckOut(provider=c.provider, ok=c.ok, detail=c.detail) for c in await wiring.ways.check()])


@asking.post("/test", summary="Send a test message for real", responses=problem_responses(401, 403, 404, 409, 422))
async def send_test(
    body: TestMessage, caller: OutsideWriter, wiring: WiringDep, shared: SharedDep, now: Now
) -> TestResult:
    """Sends one test message for real, whatever the mode, to the address given."""
    channel = Channel.EMAIL if "@" in body.to else Channel.SMS
    provider = wiring.ways.real(channel)
    if provider is None:
        what = "SMTP_HOST" if channel is Channel.EMAIL else "TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN"
        detail = f"There is no provider for {channel}: set {what}."
        raise conflict("provider-not-configured", detail, "Not configured")
    async with shared.db.reading() as session:
        seller = await get_seller(session, caller.seller_id)
    outcome: Outcome = await provider.send(_test_message(body.to, channel, seller, now), _always)
    detail = outcome.reason
    return TestResult(provider=provider.name, result=outcome.result, provider_id=outcome.provider_id, detail=detail)


async def _always() -> bool:
    return True


def _test_message(to: str, channel: Channel, seller: SellerState, now: datetime) -> Outgoing:
    identity = uuid7()
    domain = (seller.sender_email or "remit.invalid").rpartition("@")[2]
    said = f"This is a test message of Remit for {seller.name}. Nothing is owed; no answer is needed."
    return Outgoing(
        delivery_id=identity,
        channel=channel,
        recipient=to,
        customer_name="",
        customer_key="test",
        seller=seller,
        stage=Stage.INVOICE,
        step="test",
        language="en",
        message_id=f"{identity.hex}@{domain}",
        at=now,
        subject=f"Test message for {seller.name}",
        text=said,
        html=f"<!doctype html><html lang=en><body><p>{_escaped(said)}</p></body></html>",
        sms=said,
    )


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
