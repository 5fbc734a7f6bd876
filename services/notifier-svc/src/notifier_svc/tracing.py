"""The trace goes on from the event that caused a message to the conversation in which it leaves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from notifier_svc.providers import Outgoing
from remit_events.bus import Received
from remit_events.tracing import traceparent

_tracer = trace.get_tracer("notifier-svc")
_propagator = TraceContextTextMapPropagator()


def cause(received: Received) -> str | None:
    """The consumer's span when it continues the event's trace, else the event's own; W3C traceparent."""
    own, given = traceparent(), received.message.traceparent
    if own and given and own.split("-")[1] == given.split("-")[1]:
        return own
    return given or own


@contextmanager
def conversation(provider: str, outgoing: Outgoing) -> Iterator[None]:
    """The span of one hand-over, where spans are recorded; it names the delivery, never the address."""
    if getattr(trace.get_tracer_provider(), "sampler", None) is ALWAYS_OFF:
        yield
        return
    parent = _propagator.extract({"traceparent": outgoing.traceparent}) if outgoing.traceparent else None
    attributes = {
        "remit.delivery_id": str(outgoing.delivery_id),
        "remit.channel": outgoing.channel.value,
        "remit.provider": provider,
    }
    with _tracer.start_as_current_span(f"send {provider}", parent, SpanKind.CLIENT, attributes):
        yield
