"""What Twilio knows, asked for: outcomes we lost, and, where no public URL takes callbacks, replies and statuses."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime, timedelta

import httpx
import structlog
from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert
from twilio.base.exceptions import TwilioException

from notifier_svc import inbound, ledger
from notifier_svc import tables as t
from notifier_svc.inbound import Inbound
from notifier_svc.ledger import Stored
from notifier_svc.modes import Ways
from notifier_svc.providers.twilio import Twilio, TwilioMessage
from notifier_svc.seen import Seen
from remit_events.outbox import emit
from remit_events.state import Channel
from remit_service.clock import Clock
from remit_service.database import Database
from remit_service.logs import describe

RECONCILE_SECONDS = 5.0
# Twilio lists a message as soon as it took it; what it still does not list after we looked for so long was not taken.
CERTAIN_AFTER = timedelta(minutes=10)
# How far the clock of the host that sent may be off Twilio's.
SKEW = timedelta(hours=2)
FOLLOWED = timedelta(days=3)
BATCH = 50
_FAULTS = (TwilioException, httpx.HTTPError)

log = structlog.get_logger(__name__)

_UNKNOWN = text("SELECT id FROM delivery WHERE status = 'unknown' AND provider = 'twilio' ORDER BY seller_id, id")

_USED = text("SELECT provider_id FROM delivery WHERE provider_id = ANY(CAST(:sids AS text[]))")

_TAKEN = text("""
SELECT message_sid, message_status FROM callback WHERE message_sid = ANY(CAST(:sids AS text[]))
""")

_IN_FLIGHT = text("""
SELECT id, provider_id, sent_at FROM delivery
WHERE status = 'sent' AND provider = 'twilio' AND delivered_at IS NULL AND sent_at > :since
""")


class Reconcile:
    """Settles SMS whose outcome is unknown by Twilio's message list; plans nothing of its own."""

    name = "reconcile"
    phase = 0
    poll = RECONCILE_SECONDS

    def __init__(self, db: Database, clock: Clock, ways: Ways, twilio: Twilio) -> None:
        self._db, self._clock, self._ways, self._twilio = db, clock, ways, twilio
        self._pace = Pace(RECONCILE_SECONDS)
        self._seen = Seen()

    async def next_at(self) -> datetime | None:
        return None

    async def run(self) -> int:
        if not self._pace.due():
            return 0
        async with self._db.transaction() as session:
            ids = (await session.execute(_UNKNOWN)).scalars().all()
            unknown = await ledger.locked(session, ids[:BATCH]) if ids else []
        certain = self._seen.longer_than(CERTAIN_AFTER, ids, self._clock.now())
        settled = 0
        for stored in unknown:
            try:
                settled += await self._settle(stored, certain=stored.id in certain)
            except _FAULTS as error:
                log.warning("not reconciled", delivery=str(stored.id), **describe(error))
                break
        return settled

    async def _settle(self, stored: Stored, *, certain: bool) -> int:
        """`certain`: what is not listed by now was not taken."""
        now = self._clock.now()
        number = self._ways.addressed(Channel.SMS, stored.recipient)
        listed = await self._twilio.listed((stored.sending_at or now) - SKEW, to=number)
        async with self._db.transaction() as session:
            [fresh] = await ledger.locked(session, [stored.id])
            if fresh.status != "unknown":
                return 0
            used = set((await session.execute(_USED, {"sids": [message.sid for message in listed]})).scalars())
            match = next((m for m in listed if m.sid not in used and _is_it(m, fresh)), None)
            if match:
                await inbound.message_status(session, fresh, match.sid, match.status, match.error_code, now)
                return 1
            if not certain:
                return 0
            told = await ledger.failed(session, fresh, "not-accepted", "Twilio's list does not have it", now)
            await emit(session, told, now=now)
            return 1


def _is_it(message: TwilioMessage, stored: Stored) -> bool:
    """The same words to the same number since we began: no two touches say the same."""
    if message.inbound or stored.sending_at is None or message.body.strip() != (stored.sms or "").strip():
        return False
    return message.created_at >= stored.sending_at - SKEW


class Poll:
    """Reads Twilio's list for replies and for how messages went on; each message is taken once."""

    name = "twilio-poll"
    phase = 0

    def __init__(self, db: Database, clock: Clock, twilio: Twilio, every: float) -> None:
        self._db, self._clock, self._twilio = db, clock, twilio
        self.poll = every
        self._pace = Pace(every)

    async def next_at(self) -> datetime | None:
        return None

    async def run(self) -> int:
        if not self._pace.due():
            return 0
        now = self._clock.now()
        since, in_flight = await self._since(now)
        try:
            listed = await self._twilio.listed(since)
        except _FAULTS as error:
            log.warning("not polled", **describe(error))
            return 0
        new = await self._new([message for message in listed if message.inbound or message.sid in in_flight])
        done = await self._statuses([message for message in new if not message.inbound])
        for message in sorted((m for m in new if m.inbound), key=lambda m: m.created_at):
            done += await self._reply(message)
        async with self._db.transaction() as session:
            row = insert(t.poll_cursor).values(name=self.name, read_to=now)
            await session.execute(row.on_conflict_do_update(index_elements=["name"], set_={"read_to": now}))
        return done

    async def _since(self, now: datetime) -> tuple[datetime, set[str]]:
        """From where to read: the last reading, or the oldest message still on its way."""
        async with self._db.reading() as session:
            read_to = await session.scalar(select(t.poll_cursor.c.read_to).where(t.poll_cursor.c.name == self.name))
            rows = (await session.execute(_IN_FLIGHT, {"since": now - FOLLOWED})).all()
        since = min([read_to or now - timedelta(days=1), *(row.sent_at for row in rows)])
        return since - timedelta(days=1), {row.provider_id for row in rows}

    async def _new(self, listed: Sequence[TwilioMessage]) -> list[TwilioMessage]:
        """Without what was taken before: Twilio lists a day and more, again and again."""
        async with self._db.reading() as session:
            rows = await session.execute(_TAKEN, {"sids": [message.sid for message in listed]})
            taken = {(row.message_sid, row.message_status) for row in rows}
        return [one for one in listed if (one.sid, inbound.INBOUND if one.inbound else one.status) not in taken]

    async def _statuses(self, messages: Sequence[TwilioMessage]) -> int:
        done = 0
        for message in messages:
            async with self._db.transaction() as session:
                now = self._clock.now()
                if not await inbound.first_time(session, message.sid, message.status, now):
                    continue
                known = await ledger.find(session, "twilio", message.sid)
                for stored in await ledger.locked(session, [known] if known else []):
                    await inbound.message_status(session, stored, message.sid, message.status, message.error_code, now)
                    done += 1
        return done

    async def _reply(self, message: TwilioMessage) -> int:
        came = Inbound(sid=message.sid, sender=message.sender, to=message.to, body=message.body)
        async with self._db.transaction() as session:
            said = await inbound.answer(session, came, self._clock.now())
        if said:
            # At most once: when this is lost, the number is closed all the same.
            await self._twilio.create(message.sender, said, {"from_": message.to})
        return 1


class Pace:
    """Whether `seconds` of real time have passed since it last said so."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._at: float | None = None

    def due(self) -> bool:
        now = time.monotonic()
        if self._at is not None and now - self._at < self._seconds:
            return False
        self._at = now
        return True
