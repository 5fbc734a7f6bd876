"""A long ledger on several cores: a system of its own, on its own core, for each share of the customers.

What becomes of a customer hangs on nobody else's invoices, but where two share an address: caps and gaps count by
address. Such customers stay together, and so do rows that name one invoice; the result is the one a single system has.
"""

from __future__ import annotations

import multiprocessing
import os
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ProcessPoolExecutor, wait
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from remit_events.addresses import address_hash
from remit_events.state import Channel
from remit_local.console import quiet_logs
from remit_local.harvest import Harvest
from remit_local.ledger import LedgerRow
from remit_local.ledger_agenda import issued_at, paid_at, zones
from remit_local.simulation import Scenario, Simulated, throwaway
from remit_local.simulation import play as play_one

# Fewer rows are played sooner than a second system starts.
WORTH_A_SYSTEM = 300
LOOK_SECONDS = 0.2
FINISHED = float("inf")

_reached: Any = None  # in a playing process: how far each has come, in seconds of Unix time


def cores() -> list[int]:
    """The processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def shares(rows: Sequence[LedgerRow], most: int) -> list[list[LedgerRow]]:
    """At most `most` parts that take about the same time, each worth a system; the rows of each in their order.

    A system takes its time by row and by moment at which anything happens. Customers of one zone share their moments
    (the same mornings and midnights), so they go to the same part as far as that leaves the parts even.
    """
    count = max(1, min(most, len(rows) // WORTH_A_SYSTEM))
    groups = [(group, _moments(group)) for group in sorted(_groups(rows), key=_offsets)]
    limits = range(3 * len(rows))  # a row brings two moments at most
    least = bisect_left(limits, True, key=lambda limit: len(_filled(groups, limit)) <= count)
    return [sorted(part, key=lambda row: row.line) for part in _filled(groups, least)]


def _filled(groups: Sequence[tuple[list[LedgerRow], set[datetime]]], limit: int) -> list[list[LedgerRow]]:
    """The groups one after another in parts that cost at most `limit`; a single group may cost more."""
    parts: list[list[LedgerRow]] = []
    moments: set[datetime] = set()
    for group, its_moments in groups:
        moments = moments | its_moments
        if not parts or len(parts[-1]) + len(group) + len(moments) > limit:
            parts.append([])
            moments = its_moments
        parts[-1].extend(group)
    return parts


def _moments(rows: Sequence[LedgerRow]) -> set[datetime]:
    issued = {issued_at(row, row.issue_date) for row in rows}
    return issued | {paid_at(row, row.paid_date) for row in rows if row.paid_date}


def _offsets(rows: Sequence[LedgerRow]) -> tuple[timedelta | None, ...]:
    """What a clock shows in January and in July: zones that agree in both have their mornings together."""
    zone, year = ZoneInfo(zones(rows[0])[0]), rows[0].issue_date.year
    return tuple(zone.utcoffset(datetime(year, month, 1)) for month in (1, 7))  # noqa: DTZ001 - local time is asked about


def play(scenario: Scenario, parts: Sequence[list[LedgerRow]], passed: Callable[[datetime], None]) -> Simulated:
    """Plays the parts at once; `passed` is told how far the slowest has come. Raises what one of them raises."""
    spawning = multiprocessing.get_context("spawn")
    reached = spawning.Array("d", len(parts))
    with ProcessPoolExecutor(len(parts), spawning, _begin, (reached,)) as pool:
        played = [
            pool.submit(_play_part, replace(scenario, rows=rows), number, core)
            for number, (rows, core) in enumerate(zip(parts, cores(), strict=False))
        ]
        while wait(played, LOOK_SECONDS, FIRST_EXCEPTION).not_done:
            if 0 < (slowest := min(reached[:])) < FINISHED:
                passed(datetime.fromtimestamp(slowest, UTC))
            if any(one.done() and one.exception() for one in played):
                break
        return _together([one.result() for one in played])


def _begin(reached: Any) -> None:
    global _reached  # what a pool's process is given at its start
    _reached = reached
    quiet_logs()


def _play_part(scenario: Scenario, number: int, core: int) -> Simulated:
    """One part, on one core: the server and the services take turns, and hand over sooner where neither has to wake."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {core})

    def passed(at: datetime) -> None:
        _reached[number] = at.timestamp()

    try:
        with throwaway(None) as (home, server):
            return play_one(scenario, home, server, passed)
    finally:
        _reached[number] = FINISHED


def _together(parts: Sequence[Simulated]) -> Simulated:
    return Simulated(
        harvest=Harvest(
            messages=[one for part in parts for one in part.harvest.messages],
            decisions=[one for part in parts for one in part.harvest.decisions],
            rungs=[one for part in parts for one in part.harvest.rungs],
            settlements=[one for part in parts for one in part.harvest.settlements],
        ),
        ended=max(part.ended for part in parts),
        refused=sorted((one for part in parts for one in part.refused), key=lambda refused: refused[0]),
        instants=sum(part.instants for part in parts),
    )


def _groups(rows: Sequence[LedgerRow]) -> list[list[LedgerRow]]:
    """Rows that must be played together: they are connected by a customer, an address or an invoice number."""
    leader: dict[tuple[str, str], tuple[str, str]] = {}

    def find(key: tuple[str, str]) -> tuple[str, str]:
        while leader.setdefault(key, key) != key:
            leader[key] = key = leader[leader[key]]
        return key

    for row in rows:
        for key in _keys(row):
            leader[find(key)] = find(("customer", row.customer_id))
    groups: dict[tuple[str, str], list[LedgerRow]] = defaultdict(list)
    for row in rows:
        groups[find(("customer", row.customer_id))].append(row)
    return list(groups.values())


def _keys(row: LedgerRow) -> Iterator[tuple[str, str]]:
    yield "number", row.invoice_number
    for channel, address in ((Channel.EMAIL, row.email), (Channel.SMS, row.phone), (Channel.LETTER, row.address)):
        if address:
            yield channel, address_hash(channel, address)
