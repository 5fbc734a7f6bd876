"""Ten thousand to ten million open invoices, of which 1 % fall due a day: what a reminder costs at each size.

Each size has databases of its own, filled directly; in every round the same number of reminders goes out of each: as
many as let the smallest size last. A customer in ten has had a reminder before. Cost is the processor's time of the
service and of PostgreSQL, and the clock's, of scheduler-svc (due → decided → PaymentDue) and of notifier-svc
(PaymentDue → in the mailbox → ReminderSent on the bus) together.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from contextlib import AsyncExitStack

from remit_bench.measure import Figure, Measured, Timed, in_turns
from remit_bench.paths.grown import EACH, Notifying, Scheduling
from remit_bench.stage import Stage

SIZES = (10_000, 100_000, 1_000_000, 10_000_000)
MOST = 1.2


async def run(stage: Stage) -> Measured:
    sizes = _sizes(stage.size(max(SIZES)))
    reminders = min(sizes) // EACH // (stage.rounds + 1)
    async with AsyncExitStack() as stack:
        turns, before, written = {}, {}, {}
        for size in sizes:
            scheduling = await stack.enter_async_context(Scheduling.filled(stage, size, reminders))
            notifying = await stack.enter_async_context(Notifying.filled(stage, size, reminders))
            turns |= {f"scheduler {size}": scheduling.round, f"notifier {size}": notifying.round}
            written[size] = (scheduling.written.kilobytes, notifying.written.kilobytes)
            before |= {f"scheduler {size}": scheduling.prepare, f"notifier {size}": notifying.prepare}
        rounds = await in_turns(stage.processes(), stage.rounds, turns, before)
    found = Measured("what a reminder costs among so many open invoices")
    costs = {size: _costs(rounds[f"scheduler {size}"], rounds[f"notifier {size}"]) for size in sizes}
    for size in sizes[1:]:
        found.figures += _figures(size, costs[size], sizes[0], costs[sizes[0]])
    for size in sizes:
        services = (rounds[f"scheduler {size}"], rounds[f"notifier {size}"])
        found.notes.append(f"{_named(size)}: {_told(services, written[size])}")
    return found


def _sizes(largest: int) -> list[int]:
    """Those up to `largest`; where that is less than two, it and a tenth of it."""
    sizes = [size for size in SIZES if size <= largest]
    return sizes if len(sizes) > 1 else [largest // 10, largest]


def _costs(*services: Sequence[Timed]) -> list[tuple[float, float]]:
    """By round: seconds of processor and of the clock for a reminder's road through the services."""
    return [
        (sum(_processor(one) for one in each), sum(one.seconds / one.units for one in each))
        for each in zip(*services, strict=True)
    ]


def _processor(one: Timed) -> float:
    return (one.cpu["client"] + one.cpu["PostgreSQL"]) / one.units


def _figures(size: int, at: list[tuple[float, float]], least: int, beside: list[tuple[float, float]]) -> list[Figure]:
    ratios = [(a / c, b / d) for (a, b), (c, d) in zip(at, beside, strict=True)]
    itself = f"itself at {_named(least)}"
    return [
        Figure(f"processor, {_named(size)} open", "×", MOST, itself, [one for one, _ in ratios]),
        Figure(f"clock, {_named(size)} open", "×", MOST, itself, [two for _, two in ratios]),
    ]


def _told(services: Sequence[Sequence[Timed]], written: Sequence[Sequence[float]]) -> str:
    """What each took by its median round."""
    words = []
    for name, rounds, kilobytes in zip(("scheduler-svc", "notifier-svc"), services, written, strict=True):
        service, database = (
            statistics.median(one.cpu[group] / one.units for one in rounds) * 1e3 for group in ("client", "PostgreSQL")
        )
        clock = statistics.median(one.seconds / one.units for one in rounds) * 1e3
        words.append(
            f"{name} {service:.2f} ms of processor, PostgreSQL {database:.2f}, by the clock {clock:.2f}, "
            f"{statistics.median(kilobytes[1:]):.0f} kB of WAL"
        )
    return "; ".join(words)


def _named(size: int) -> str:
    return f"{size:,}"
