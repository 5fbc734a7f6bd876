"""What Twilio tells: how a message went on, and what debtors answer. Webhooks and the poller come through here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from notifier_svc import ledger, optout
from notifier_svc import tables as t
from notifier_svc.ledger import Stored
from notifier_svc.providers.twilio import closing_reason
from notifier_svc.rendering.language import between
from notifier_svc.replies import Reply, store
from notifier_svc.suppressions import Closing, close_addresses, customers_at, open_address
from remit_events.addresses import address_hash
from remit_events.envelope import Event
from remit_events.outbox import emit
from remit_events.session import Session
from remit_events.state import Channel, CustomerState, SellerState
from remit_service.tables import seller

OPT_OUT = "opt-out"
# Stands in the place of a status: a message of a debtor's is taken once, however it comes.
INBOUND = "inbound"
# How far a message has got; Twilio's callbacks may overtake each other.
_ACCEPTED = {"accepted": 0, "scheduled": 0, "queued": 1, "sending": 2, "sent": 3, "delivered": 4, "read": 5}
_LOST = frozenset({"undelivered", "failed", "canceled"})
FINAL = frozenset({"delivered", "read", *_LOST})


@dataclass(frozen=True, slots=True)
class Inbound:
    """An SMS from a debtor. `opt_out_type`: Twilio handled the word and has answered already (STOP, START, HELP)."""

    sid: str
    sender: str
    to: str
    body: str
    opt_out_type: str = ""


async def first_time(session: Session, sid: str, status: str, now: datetime) -> bool:
    """Whether this callback is new: a replay finds the row of the first and does nothing."""
    row = insert(t.callback).values(message_sid=sid, message_status=status, received_at=now)
    return (await session.execute(row.on_conflict_do_nothing().returning(t.callback.c.message_sid))).first() is not None


async def message_status(
    session: Session, stored: Stored, sid: str, status: str, error_code: int | None, now: datetime
) -> None:
    """What Twilio says of a message of ours. Its word ends what we did not know."""
    told: list[Event] = []
    if status in _LOST:
        if stored.status in ("sending", "unknown", "sent"):
            reason = f"Twilio says {status}" + (f", error {error_code}" if error_code else "")
            told += await ledger.failed(
                session, stored, f"twilio-{error_code or status}", reason, now, closes=closing_reason(error_code)
            )
        told += await ledger.heard(session, stored, status, now)
    elif status in _ACCEPTED:
        if stored.status in ("sending", "unknown"):
            told += await ledger.sent(session, stored, stored.sending_at or now, now, provider_id=sid)
        if _ACCEPTED[status] > _ACCEPTED.get(stored.provider_status or "", -1) and stored.provider_status not in _LOST:
            told += await ledger.heard(session, stored, status, now)
    await emit(session, told, now=now)


async def answer(session: Session, inbound: Inbound, now: datetime) -> str | None:
    """Takes an inbound SMS; gives the text to confirm a stop with, once."""
    if not await first_time(session, inbound.sid, INBOUND, now):
        return None
    sha256 = address_hash(Channel.SMS, inbound.sender)
    reached = await customers_at(session, Channel.SMS, sha256)
    sellers = await _meant(session, inbound.to, set(reached))
    meant = {by.id: reached.get(by.id, []) for by in sellers}
    intent = _intent(inbound)
    switched = await _switched(session, intent, meant, sha256, now)
    said = Reply(Channel.SMS, inbound.sender, inbound.sid, inbound.body, intent)
    received = await store(session, said, meant, now)
    more = not inbound.opt_out_type and optout.says_more(inbound.body)
    await emit(session, [*switched, *(received if intent == "other" or more else [])], now=now)
    if intent != "stop" or not switched or inbound.opt_out_type:
        return None
    return optout.confirmation(sellers[0].name, await _language(session, switched[0], sellers[0]))


async def _switched(
    session: Session, intent: optout.Intent, meant: Mapping[UUID, Sequence[UUID]], sha256: str, now: datetime
) -> list[Event]:
    """Closes or opens the number, as the message asks; gives what changed by it."""
    told: list[Event] = []
    if intent == "stop":
        closing = [
            Closing(seller_id, customer_id, Channel.SMS, sha256, "full", OPT_OUT)
            for seller_id, customers in meant.items()
            for customer_id in customers
        ]
        told += await close_addresses(session, closing, now)
    elif intent == "start":
        for seller_id, customers in meant.items():
            told += await open_address(session, seller_id, customers, Channel.SMS, sha256, "opt-in", only=OPT_OUT)
    return told


def _intent(inbound: Inbound) -> optout.Intent:
    handled = inbound.opt_out_type.upper()
    if handled == "STOP":
        return "stop"
    return "start" if handled == "START" else optout.intent(inbound.body)


async def _meant(session: Session, number: str, sellers: set[UUID]) -> list[SellerState]:
    """The sellers who send from that number; where none has it as theirs, all whose customer it is.

    `sellers` are those whose customer the sender is; from a stranger it is for whoever has the number.
    """
    theirs = seller.c.id.in_(sellers) if sellers else seller.c.snapshot["sms_from"].astext == number
    rows = await session.execute(select(seller.c.snapshot).where(theirs).order_by(seller.c.id))
    known = [SellerState.model_validate(row.snapshot) for row in rows]
    return [by for by in known if by.sms_from == number] or known


async def _language(session: Session, event: Event, by: SellerState) -> str:
    customer_id = event.partition_key()
    snapshot = await session.scalar(select(t.customer.c.snapshot).where(t.customer.c.id == customer_id))
    return between(CustomerState.model_validate(snapshot), by).tag if snapshot else by.language
