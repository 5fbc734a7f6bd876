"""What notifier-svc counts for Prometheus."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

SERVICE = "notifier-svc"

_HANDED_OVER = Counter(
    "remit_handed_over_total", "Messages handed to a provider, by result", ["service", "channel", "provider", "result"]
)
_UNANSWERED = Counter(
    "remit_unanswered_total", "Batches of which something waited because a service did not answer", ["service", "who"]
)
_LEFT_ALONE = Gauge(
    "remit_provider_left_alone", "1 while a provider is left alone after failures", ["service", "provider"]
)
_ANSWER_AGE = Histogram(
    "remit_answer_age_seconds",
    "Age of invoice-svc's answer when a message is handed over: a payment since then comes too late for it",
    ["service"],
    buckets=(0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.25),
)


def handed_over(channel: str, provider: str, result: str) -> None:
    _HANDED_OVER.labels(SERVICE, channel, provider, result).inc()


def rests_on(age: float) -> None:
    """A message leaves by an answer of so many seconds ago."""
    _ANSWER_AGE.labels(SERVICE).observe(age)


def unanswered(who: str) -> None:
    _UNANSWERED.labels(SERVICE, who).inc()


def left_alone(provider: str, *, alone: bool) -> None:
    _LEFT_ALONE.labels(SERVICE, provider).set(1 if alone else 0)
