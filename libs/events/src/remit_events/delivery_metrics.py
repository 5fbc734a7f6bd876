"""Prometheus metrics of delivery; every sample names its service, for four may share a process."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

OUTBOX_AGE = Gauge(
    "remit_outbox_age_seconds", "Age of the oldest unpublished event a relay saw; 0 when none was left", ["service"]
)
PUBLISHED = Counter("remit_outbox_published_total", "Events published from the outbox", ["service"])
REFUSED = Counter("remit_outbox_refused_total", "Events parked because the broker refused them", ["service"])
LAG = Gauge("remit_consumer_lag", "Records of its topics the consumer has not committed", ["service", "consumer"])
HANDLED = Counter("remit_consumer_handled_total", "Records settled by a consumer", ["service", "consumer", "outcome"])
DEAD_LETTERS = Counter("remit_dead_letters_total", "Events put aside by a consumer", ["service", "consumer", "status"])
