"""The tables every service has beside its own: whom it serves, which keys open it, which answers it gave."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, DateTime, ForeignKey, Index, Integer, LargeBinary, MetaData, SmallInteger, Table
from sqlalchemy import Text as String
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, UUID

metadata = MetaData()

seller = Table(
    "seller",
    metadata,
    Column("id", UUID(as_uuid=True), primary_key=True),
    Column("snapshot", JSONB, nullable=False),
    Column("version", Integer, nullable=False),
)

api_key = Table(
    "api_key",
    metadata,
    Column("id", UUID(as_uuid=True), primary_key=True),
    Column("seller_id", UUID(as_uuid=True), ForeignKey("seller.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("name", String, nullable=False),
    Column("sha256", String, nullable=False, unique=True),
    Column("scopes", ARRAY(String), nullable=False),
    Column("revoked", Boolean, nullable=False),
)

# `fingerprint` is the SHA-256 of path, query and body; the answer is kept as it left, for 7 days.
idempotency = Table(
    "idempotency",
    metadata,
    Column("seller_id", UUID(as_uuid=True), primary_key=True),
    Column("route", String, primary_key=True),
    Column("key", String, primary_key=True),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("status", SmallInteger, nullable=False),
    Column("headers", JSONB, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Index("idempotency_created_at", "created_at"),
)
