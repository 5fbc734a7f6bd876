"""What notifier-svc counts for Prometheus."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

SERVICE = "notifier-svc"

_HANDED_OVER = Counter(
    "remit_handed_over_total", "Messages handed to a provider, by result", ["service", "channel", "provider", "result"]
)
_UNANSWERED = Counter(
    "remit_unanswered_total", "Batches that waited because a service did not answer", ["service", "who"]
)
_LEFT_ALONE = Gauge(
    "remit_provider_left_alone", "1 while a provider is left alone after failures", ["service", "provider"]
)


def handed_over(channel: str, provider: str, result: str) -> None:
    _HANDED_OVER.labels(SERVICE, channel, provider, result).inc()


def unanswered(who: str) -> None:
    _UNANSWERED.labels(SERVICE, who).inc()


def left_alone(provider: str, *, alone: bool) -> None:
    _LEFT_ALONE.labels(SERVICE, provider).set(1 if alone else 0)
