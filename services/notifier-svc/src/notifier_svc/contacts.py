"""The contact book: the newest snapshot of every customer, where each can be reached, and which way is closed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from pydantic_core import to_json
from sqlalchemy import select, text

from notifier_svc.tables import customer
from remit_events import addresses
from remit_events.bus import Received
from remit_events.session import Session
from remit_events.state import Channel, CustomerState, Stage

# What must reach the debtor even after unsubscribing from e-mail: then it goes by letter.
REQUIRED_NOTICES = frozenset({Stage.INVOICE, Stage.OVERDUE, Stage.DEMAND})

Closed = Mapping[tuple[UUID, Channel, str], str]  # (seller, channel, address hash) → kind of suppression


@dataclass(frozen=True, slots=True)
class Address:
    """Where one channel reaches a customer; `sha256` is the hex digest of the normalised address."""

    channel: Channel
    recipient: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Note:
    """A channel that could not be used, and why."""

    channel: Channel
    why: str


def address_of(customer: CustomerState, channel: Channel) -> Address | None:
    known = addresses.address_of(customer, channel)
    return Address(channel, known, addresses.address_hash(channel, known)) if known else None


def reach(
    channels: Sequence[Channel], stage: Stage, customer: CustomerState, closed: Closed, seller_id: UUID
) -> tuple[list[Address], list[Note]]:
    """The addresses a message may go to, one per channel, and why other channels may not be used. Pure.

    Who unsubscribed from e-mail gets required notices by letter (domain-rules, contact law).
    """
    usable: dict[Channel, Address] = {}
    notes: list[Note] = []
    for channel in channels:
        address = address_of(customer, channel)
        if address is None:
            notes.append(Note(channel, "no-address"))
        elif channel is Channel.SMS and not customer.sms_consent:
            notes.append(Note(channel, "no-consent"))
        elif kind := closed.get((seller_id, channel, address.sha256)):
            notes.append(Note(channel, "unsubscribed" if kind == "courtesy" else "suppressed"))
            letter = address_of(customer, Channel.LETTER)
            if kind == "courtesy" and stage in REQUIRED_NOTICES and letter:
                usable.setdefault(Channel.LETTER, letter)
        else:
            usable[channel] = address
    return list(usable.values()), notes


_FOLD = text("""
INSERT INTO customer (id, seller_id, version, snapshot, email_sha256, phone_sha256, letter_sha256)
SELECT id, seller_id, version, snapshot, email_sha256, phone_sha256, letter_sha256
FROM jsonb_to_recordset(CAST(:rows AS jsonb))
    AS given (id uuid, seller_id uuid, version int, snapshot jsonb, email_sha256 text, phone_sha256 text,
              letter_sha256 text)
ORDER BY id
ON CONFLICT (id) DO UPDATE SET version = excluded.version, snapshot = excluded.snapshot,
    email_sha256 = excluded.email_sha256, phone_sha256 = excluded.phone_sha256, letter_sha256 = excluded.letter_sha256
WHERE customer.version < excluded.version
""")

# In id order, as every transaction that emits events about customers does first.
_LOCK = text("SELECT id, snapshot::text FROM customer WHERE id = ANY(CAST(:ids AS uuid[])) ORDER BY id FOR UPDATE")

_CLOSED = text("""
SELECT seller_id, channel, address_sha256, kind FROM suppression WHERE address_sha256 = ANY(CAST(:hashes AS text[]))
""")


async def fold(session: Session, received: Sequence[Received]) -> set[UUID]:
    """Keeps the newest customer snapshot any event of the batch carries; gives whose came along."""
    newest: dict[UUID, tuple[UUID, CustomerState]] = {}
    for one in received:
        state = one.event.customer_state()
        if state and (state.id not in newest or newest[state.id][1].version < state.version):
            newest[state.id] = (one.event.seller_id, state)
    if newest:
        rows = [_row(seller_id, state) for seller_id, state in newest.values()]
        await session.execute(_FOLD, {"rows": to_json(rows).decode()})
    return set(newest)


def _row(seller_id: UUID, state: CustomerState) -> dict[str, object]:
    hashes = {channel: address.sha256 for channel in Channel if (address := address_of(state, channel))}
    return {
        "id": state.id,
        "seller_id": seller_id,
        "version": state.version,
        "snapshot": state,
        "email_sha256": hashes.get(Channel.EMAIL),
        "phone_sha256": hashes.get(Channel.SMS),
        "letter_sha256": hashes.get(Channel.LETTER),
    }


async def locked(session: Session, ids: Iterable[UUID]) -> dict[UUID, CustomerState]:
    """Those of `ids` that are known, with their rows locked in id order."""
    rows = await session.execute(_LOCK, {"ids": sorted(set(ids))})
    return {row.id: CustomerState.model_validate_json(row.snapshot) for row in rows}


async def closed_addresses(session: Session, customers: Collection[CustomerState]) -> Closed:
    """The suppressions of every address of `customers`, in one query."""
    hashes = {
        address.sha256 for customer in customers for channel in Channel if (address := address_of(customer, channel))
    }
    if not hashes:
        return {}
    rows = await session.execute(_CLOSED, {"hashes": sorted(hashes)})
    return {(row.seller_id, Channel(row.channel), row.address_sha256): row.kind for row in rows}


async def find(session: Session, seller_id: UUID, customer_id: UUID) -> CustomerState | None:
    """A seller's own customer."""
    mine = select(customer.c.snapshot).where(customer.c.id == customer_id, customer.c.seller_id == seller_id)
    snapshot = await session.scalar(mine)
    return CustomerState.model_validate(snapshot) if snapshot is not None else None
