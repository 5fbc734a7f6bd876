"""The delivery tables every service has: outbox, inbox and dead letters.

All times are bound by the caller from its clock; no column has a default that reads one.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Computed,
    DateTime,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSON, JSONB

metadata = MetaData()

# Fixed for good: a row's shard is stored, and a change would let two relays publish one key.
SHARDS = 8

outbox = Table(
    "outbox",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("event_id", Uuid, nullable=False),
    Column("aggregate_id", Uuid, nullable=False),
    Column("aggregate_version", Integer, nullable=False),
    Column("topic", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("payload", Text, nullable=False),
    Column("time", DateTime(timezone=True), nullable=False),
    Column("traceparent", Text),
    Column("shard", SmallInteger, Computed(f"((hashtext(key) & {SHARDS - 1}))::smallint", persisted=True)),
    Column("published_at", DateTime(timezone=True)),
    # The broker refused the record, or an earlier one of its key: it waits here for a person.
    Column("refused_at", DateTime(timezone=True)),
    Column("error", Text),
    UniqueConstraint("event_id", name="outbox_event_id_key"),
    Index(
        "outbox_unpublished",
        "shard",
        "id",
        postgresql_where=text("published_at IS NULL AND refused_at IS NULL"),
    ),
    Index("outbox_refused", "key", postgresql_where=text("published_at IS NULL AND refused_at IS NOT NULL")),
)

inbox = Table(
    "inbox",
    metadata,
    Column("consumer", Text, primary_key=True),
    Column("event_id", Uuid, primary_key=True),
    Column("recorded_at", DateTime(timezone=True), nullable=False),
    Index("inbox_recorded_at", "recorded_at", postgresql_using="brin"),
)

# dead: failed by itself, a person decides. parked: waits behind an unresolved one of its key. retry: a person
# asked for it again. replayed, discarded: resolved.
UNRESOLVED = ("dead", "parked", "retry")
STATUSES = (*UNRESOLVED, "replayed", "discarded")

_UNRESOLVED_SQL = "status IN ({})".format(", ".join(f"'{s}'" for s in UNRESOLVED))

dead_letter = Table(
    "dead_letter",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("consumer", Text, nullable=False),
    Column("topic", Text, nullable=False),
    Column("partition", Integer, nullable=False),
    Column("offset", BigInteger, nullable=False),
    Column("key", Text, nullable=False),
    Column("event_id", Uuid),
    Column("type", Text),
    Column("value", LargeBinary, nullable=False),
    # Not JSONB, which cannot hold every byte a header may have.
    Column("headers", JSON, nullable=False),
    Column("error", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("recorded_at", DateTime(timezone=True), nullable=False),
    Column("due_at", DateTime(timezone=True)),
    Column("resolved_at", DateTime(timezone=True)),
    # Who did what and why: [{"at", "by", "action", "reason"}], oldest first.
    Column("history", JSONB, nullable=False),
    UniqueConstraint("consumer", "topic", "partition", "offset", name="dead_letter_position_key"),
    CheckConstraint("status IN ({})".format(", ".join(f"'{s}'" for s in STATUSES)), name="dead_letter_status_check"),
    Index("dead_letter_unresolved", "consumer", "key", "id", postgresql_where=text(_UNRESOLVED_SQL)),
)
