"""W3C Trace Context through the outbox and over the bus, so that one trace joins a request and all it causes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager

from opentelemetry import trace
from opentelemetry.trace import Link, Span, SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_PROPAGATOR = TraceContextTextMapPropagator()
_TRACER = trace.get_tracer("remit_events")


def traceparent() -> str | None:
    """The current span as W3C Trace Context, None outside of one."""
    span = trace.get_current_span().get_span_context()
    if not span.is_valid:
        return None
    return f"00-{span.trace_id:032x}-{span.span_id:016x}-{span.trace_flags:02x}"


def recording() -> bool:
    """Whether somebody will see the current span and what goes below it."""
    return trace.get_current_span().is_recording()


def statement_span(sql: str) -> Span | None:
    """A span, begun, for a statement whose text holds only placeholders for values; None outside of a trace."""
    if not recording():
        return None
    span = _TRACER.start_span(sql.split(None, 1)[0].upper(), kind=SpanKind.CLIENT)
    span.set_attribute("db.system.name", "postgresql")
    span.set_attribute("db.query.text", sql[:2000])
    return span


def statement_failed(span: Span | None, error: BaseException) -> None:
    """Ends the span of a statement that raised."""
    if span is not None:
        span.set_status(StatusCode.ERROR, type(error).__name__)
        span.end()


@contextmanager
def consuming(consumer: str, parents: Iterable[str | None]) -> Iterator[None]:
    """A span `consume` in every trace of the batch; the first one's is current, the others link to it."""
    distinct: list[str | None] = [parent for parent in dict.fromkeys(parents) if parent]
    attributes = {"messaging.consumer.group.name": consumer, "messaging.operation.name": "consume"}
    with ExitStack() as spans:
        links: list[Link] = []
        for parent in distinct or [None]:
            context = _PROPAGATOR.extract({"traceparent": parent}) if parent else None
            span = _TRACER.start_span("consume", context, SpanKind.CONSUMER, attributes, links)
            if links:
                spans.callback(span.end)
            else:
                spans.enter_context(trace.use_span(span, end_on_exit=True))
                links = [Link(span.get_span_context())]
        yield
