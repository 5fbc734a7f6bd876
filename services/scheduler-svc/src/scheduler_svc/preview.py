"""What would happen if time passed: the review, with a clock that jumps and every touch assumed sent. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from uuid import UUID

from scheduler_svc.ledger import Ledger
from scheduler_svc.review import Review, assume_sent, review
from scheduler_svc.work import Policies

_MOST_STEPS = 10_000


@dataclass(frozen=True, slots=True)
class Foreseen:
    """One look at a customer in the time to come."""

    at: datetime
    review: Review


def foresee(ledger: Ledger, policies: Policies, now: datetime, until: datetime) -> Iterator[Foreseen]:
    """Every review from `now` through `until`, provided that nothing but the clock changes."""
    numbers = count(1)
    moment: datetime | None = now
    for _ in range(_MOST_STEPS):
        if moment is None or moment > until:
            return
        result = review(ledger, policies, moment, lambda: UUID(int=next(numbers)))
        yield Foreseen(moment, result)
        ledger = assume_sent(result)
        moment = result.next_at
