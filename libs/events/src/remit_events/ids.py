"""Many UUIDv7 at once (RFC 9562): a call of uuid6 for each asks the system for random bits and makes three objects."""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Iterator
from uuid import UUID

from asyncpg.pgproto import pgproto

_VERSION, _VARIANT = 0x7000, 0x8000_0000_0000_0000
_HALVES = struct.Struct(">QQ")
# Milliseconds since 1970 and 12 bits of a counter: what an id begins with, and the last one given out.
_last = 0
_AT_ONCE = 256


def new_ids(count: int) -> list[UUID]:
    """That many, each after the one before it and after those of earlier calls: 60 bits of time and counter (RFC 9562,
    6.2, method 3), 62 random ones. They are asyncpg's UUIDs, as those of rows read are."""
    global _last
    begin = max(time.time_ns() // 1_000_000 << 12, _last + 1)
    _last = begin + count - 1
    random = struct.unpack(f">{count}Q", os.urandom(8 * count))
    return [
        pgproto.UUID(_HALVES.pack(clock >> 12 << 16 | _VERSION | clock & 0xFFF, _VARIANT | bits >> 2))
        for clock, bits in zip(range(begin, begin + count), random, strict=True)
    ]


def ids() -> Iterator[UUID]:
    """One by one, for a batch of which nobody knows how many it needs; kept, they would be of an earlier time."""
    while True:
        yield from new_ids(_AT_ONCE)
