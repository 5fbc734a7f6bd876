"""What debtors answer, word for word, and whom it is told: a person reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from uuid6 import uuid7

from notifier_svc.tables import reply
from remit_events.notifications import ReplyReceived
from remit_events.session import Session
from remit_events.state import Channel
from remit_service.bulk import insert_rows

LONGEST = 4_000  # an SMS has 1,600 characters at most


@dataclass(frozen=True, slots=True)
class Reply:
    """A message from a debtor. `intent` is stop, start or other; `provider_id` the provider's own name for it."""

    channel: Channel
    sender: str
    provider_id: str
    text: str
    intent: str


async def store(
    session: Session, said: Reply, meant: Mapping[UUID, Sequence[UUID]], now: datetime
) -> list[ReplyReceived]:
    """Keeps it for every seller it is meant for (with their customers at that address), to be told of each customer.

    From an address nobody has it is kept without a customer, and told to no one.
    """
    rows = [
        {
            "id": uuid7(),
            "seller_id": seller_id,
            "customer_id": customer_id,
            "channel": said.channel.value,
            "sender": said.sender,
            "text": said.text.replace("\x00", "\ufffd")[:LONGEST],
            "intent": said.intent,
            "provider_id": said.provider_id,
            "received_at": now,
        }
        for seller_id, customers in meant.items()
        for customer_id in (customers or (None,))
    ]
    await insert_rows(session, reply, rows)
    return [
        ReplyReceived(
            seller_id=row["seller_id"],
            customer_id=row["customer_id"],
            channel=said.channel,
            intent=said.intent,
            reply_id=row["id"],
        )
        for row in rows
        if row["customer_id"]
    ]
