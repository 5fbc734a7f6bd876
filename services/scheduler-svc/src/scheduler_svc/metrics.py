"""What the scheduler counts beside what every service does."""

from __future__ import annotations

from prometheus_client import Counter

_SERVICE = "scheduler-svc"

REVIEWS = Counter("remit_reviews_total", "Customers decided about", ["service"]).labels(_SERVICE)
FAILED = Counter("remit_reviews_failed_total", "Customers set aside for a fault", ["service"]).labels(_SERVICE)
TOUCHES = Counter("remit_touches_total", "Messages handed over for sending", ["service", "stage"])
DECISIONS = Counter("remit_decisions_total", "Rows of the decision log", ["service", "outcome", "rule"])


def count_touches(stage: str, times: int) -> None:
    TOUCHES.labels(_SERVICE, stage).inc(times)


def count_decisions(outcome: str, rule: str, times: int) -> None:
    DECISIONS.labels(_SERVICE, outcome, rule).inc(times)
