"""The PostgreSQL transport's tables and statements: a partitioned append-only log and what groups have read.

Offsets are given out under the partition's row lock, which is held to commit: whoever sees offset n sees all before.
The log's own clock (`clock_timestamp()`, as a broker's) serves retention only; nothing else reads it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg

from remit_events.bus import BusError, Headers

DDL = """
CREATE TABLE IF NOT EXISTS bus_topic (
    id smallint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE,
    partitions smallint NOT NULL,
    retention interval NOT NULL
);
CREATE TABLE IF NOT EXISTS bus_partition (
    topic_id smallint NOT NULL REFERENCES bus_topic,
    partition smallint NOT NULL,
    first_offset bigint NOT NULL,
    next_offset bigint NOT NULL,
    PRIMARY KEY (topic_id, partition)
) WITH (fillfactor = 20);
CREATE TABLE IF NOT EXISTS bus_log (
    topic_id smallint NOT NULL,
    partition smallint NOT NULL,
    record_offset bigint NOT NULL,
    appended_at timestamptz NOT NULL,
    key text NOT NULL,
    value bytea NOT NULL,
    headers text NOT NULL,
    PRIMARY KEY (topic_id, partition, record_offset)
);
CREATE TABLE IF NOT EXISTS bus_group (
    id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE
);
CREATE TABLE IF NOT EXISTS bus_offset (
    group_id int NOT NULL REFERENCES bus_group,
    topic_id smallint NOT NULL,
    partition smallint NOT NULL,
    committed bigint NOT NULL,
    PRIMARY KEY (group_id, topic_id, partition)
) WITH (fillfactor = 20);

CREATE OR REPLACE FUNCTION bus_append(
    in_topics smallint[], in_partitions smallint[], in_keys text[], in_values bytea[], in_headers text[], in_origin text
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    -- In one order everywhere, or two writers could wait for each other.
    PERFORM 1 FROM bus_partition p
    WHERE (p.topic_id, p.partition) IN (SELECT g.t, g.p FROM unnest(in_topics, in_partitions) AS g(t, p))
    ORDER BY p.topic_id, p.partition FOR UPDATE;

    WITH given AS (
        SELECT g.*, row_number() OVER (PARTITION BY g.t, g.p ORDER BY g.n) - 1 AS place
        FROM unnest(in_topics, in_partitions, in_keys, in_values, in_headers) WITH ORDINALITY AS g(t, p, k, v, h, n)
    ), moved AS (
        UPDATE bus_partition b SET next_offset = b.next_offset + c.records
        FROM (SELECT t, p, count(*) AS records FROM given GROUP BY t, p) c
        WHERE b.topic_id = c.t AND b.partition = c.p
        RETURNING b.topic_id, b.partition, b.next_offset - c.records AS base
    )
    INSERT INTO bus_log (topic_id, partition, record_offset, appended_at, key, value, headers)
    SELECT g.t, g.p, m.base + g.place, clock_timestamp(), g.k, g.v, g.h
    FROM given g JOIN moved m ON m.topic_id = g.t AND m.partition = g.p;

    PERFORM pg_notify('remit_bus', in_origin || ':' || (
        SELECT string_agg(DISTINCT t::text, ',') FROM unnest(in_topics) AS g(t)));
END $$;
"""

CHANNEL = "remit_bus"

# Session-level advisory locks: a member holds (MEMBER + group, member) while it lives and (OWNER + group,
# topic and partition) for what it reads. A dead connection gives both back.
MEMBER = 0x4D00_0000
OWNER = 0x4F00_0000
SCHEMA_LOCK = 0x5245_4D49_5442_5553

TOPICS = "SELECT id, name, partitions FROM bus_topic"

CREATE_TOPIC = """
WITH topic AS (
    INSERT INTO bus_topic (name, partitions, retention) VALUES ($1, $2, $3)
    ON CONFLICT (name) DO UPDATE SET retention = EXCLUDED.retention
    RETURNING id, partitions
), made AS (
    INSERT INTO bus_partition (topic_id, partition, first_offset, next_offset)
    SELECT topic.id, n, 0, 0 FROM topic, generate_series(0, topic.partitions - 1) AS n
    ON CONFLICT DO NOTHING
)
SELECT partitions FROM topic
"""

APPEND = "SELECT bus_append($1, $2, $3, $4, $5, $6)"

# One index descent per partition; the partitions come in the order given, so the caller can take turns. $5: bytes,
# exceeded by one record at most.
FETCH = """
SELECT topic_id, partition, record_offset, key, value, headers
FROM (
    SELECT l.*, sum(octet_length(l.value)) OVER (ROWS UNBOUNDED PRECEDING) - octet_length(l.value) AS bytes_before
    FROM unnest($1::smallint[], $2::smallint[], $3::bigint[]) AS w(topic_id, partition, next)
    CROSS JOIN LATERAL (
        SELECT * FROM bus_log b
        WHERE b.topic_id = w.topic_id AND b.partition = w.partition AND b.record_offset >= w.next
        ORDER BY b.record_offset LIMIT $4
    ) AS l
    LIMIT $4
) AS f
WHERE bytes_before < $5
"""

GROUP = """
INSERT INTO bus_group (name) VALUES ($1) ON CONFLICT (name) DO UPDATE SET name = EXCLUDED.name RETURNING id
"""

MEMBERS = """
SELECT objid::bigint AS member FROM pg_locks
WHERE locktype = 'advisory' AND objsubid = 2 AND granted AND classid = $1::bigint::oid
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
ORDER BY objid
"""

TAKE = """
SELECT w.topic_id, w.partition FROM unnest($2::smallint[], $3::smallint[]) AS w(topic_id, partition)
WHERE pg_try_advisory_lock($1, w.topic_id * 65536 + w.partition)
"""

RELEASE = """
SELECT pg_advisory_unlock($1, w.topic_id * 65536 + w.partition)
FROM unnest($2::smallint[], $3::smallint[]) AS w(topic_id, partition)
"""

COMMITTED = """
SELECT p.topic_id, p.partition, greatest(coalesce(o.committed, 0), p.first_offset) AS next
FROM unnest($2::smallint[], $3::smallint[]) AS w(topic_id, partition)
JOIN bus_partition p USING (topic_id, partition)
LEFT JOIN bus_offset o ON o.group_id = $1 AND o.topic_id = p.topic_id AND o.partition = p.partition
"""

COMMIT = """
INSERT INTO bus_offset (group_id, topic_id, partition, committed)
SELECT $1, w.topic_id, w.partition, w.next
FROM unnest($2::smallint[], $3::smallint[], $4::bigint[]) AS w(topic_id, partition, next)
ON CONFLICT (group_id, topic_id, partition) DO UPDATE SET committed = EXCLUDED.committed
"""

BOUNDS = "SELECT first_offset, next_offset FROM bus_partition WHERE topic_id = $1 AND partition = $2"

ENDS = """
SELECT t.name, p.partition, p.next_offset FROM bus_partition p JOIN bus_topic t ON t.id = p.topic_id
WHERE t.name = ANY($1)
"""

LAG = """
SELECT coalesce(sum(p.next_offset - greatest(coalesce(o.committed, 0), p.first_offset)), 0)::bigint
FROM bus_partition p
JOIN bus_topic t ON t.id = p.topic_id AND t.name = ANY($2)
LEFT JOIN bus_group g ON g.name = $1
LEFT JOIN bus_offset o ON o.group_id = g.id AND o.topic_id = p.topic_id AND o.partition = p.partition
"""

PARTITIONS = "SELECT topic_id, partition FROM bus_partition ORDER BY topic_id, partition"

# Appended in order of time, so the oldest records are the first ones.
PRUNE = """
WITH old AS (
    SELECT record_offset, appended_at FROM bus_log
    WHERE topic_id = $1 AND partition = $2 ORDER BY record_offset LIMIT $3
), gone AS (
    DELETE FROM bus_log l USING old, bus_topic t
    WHERE l.topic_id = $1 AND l.partition = $2 AND l.record_offset = old.record_offset
        AND t.id = $1 AND old.appended_at < clock_timestamp() - t.retention
    RETURNING l.record_offset
), moved AS (
    UPDATE bus_partition SET first_offset = greatest(first_offset, (SELECT max(record_offset) + 1 FROM gone))
    WHERE topic_id = $1 AND partition = $2 AND EXISTS (SELECT FROM gone)
)
SELECT count(*) FROM gone
"""


@contextmanager
def bus_errors(doing: str) -> Iterator[None]:
    """Whatever the database or the way to it says becomes a BusError."""
    try:
        yield
    except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError) as error:
        raise BusError(f"PostgreSQL event log, {doing}: {type(error).__name__}: {error}") from error


def pack(headers: Headers) -> str:
    """Headers as the log stores them: JSON, every byte a character."""
    return json.dumps([(name, value.decode("latin-1")) for name, value in headers])


def unpack(headers: str) -> Headers:
    return [(name, value.encode("latin-1")) for name, value in json.loads(headers)]
