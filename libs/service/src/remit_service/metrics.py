"""Prometheus metrics; four services may share one process, so each sample names its service."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import Metric

HTTP_SECONDS = Histogram(
    "remit_http_request_seconds",
    "Duration of HTTP requests by route template",
    ["service", "method", "route", "status"],
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
)
TASK_SECONDS = Histogram(
    "remit_task_run_seconds",
    "Duration of one run of a background task",
    ["service", "task"],
    buckets=(0.001, 0.005, 0.025, 0.1, 0.5, 1, 5, 30),
)
TASK_DONE = Counter("remit_task_done_total", "Things done by a background task", ["service", "task"])
TASK_FAILURES = Counter("remit_task_failures_total", "Runs of a background task that raised", ["service", "task"])
REPLAYED = Counter("remit_idempotent_replays_total", "Answers replayed for an Idempotency-Key", ["service"])
READY = Gauge("remit_ready", "1 when the last readiness probe found the service ready", ["service"])

__all__ = ["CONTENT_TYPE_LATEST", "exposition"]


class _OfOneService:
    """The process's metrics without the samples of other services in it, so that four scrapes do not count twice."""

    def __init__(self, service: str) -> None:
        self.service = service

    def collect(self) -> Iterable[Metric]:
        for metric in REGISTRY.collect():
            own = [sample for sample in metric.samples if sample.labels.get("service", self.service) == self.service]
            if own:
                kept = Metric(metric.name, metric.documentation, metric.type, metric.unit)
                kept.samples = own
                yield kept


def exposition(service: str) -> bytes:
    """What `/metrics` of one service answers."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_OfOneService(service))
    return generate_latest(registry)
