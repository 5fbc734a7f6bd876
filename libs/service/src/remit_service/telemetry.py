"""OpenTelemetry: one trace from HTTP through database and bus; exported when OTLP_ENDPOINT is set."""

from __future__ import annotations

from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

from remit_events.tracing import statement_failed, statement_span

_SPAN = "remit_span"


def configure(service: str, endpoint: str | None = None, *, record: bool = False) -> TracerProvider:
    """Sets the process's tracer provider once; without an endpoint traces have ids but leave no process.

    `endpoint` is an OTLP/HTTP base URL such as http://collector:4318; `record` is for whoever adds a processor.
    """
    present = trace.get_tracer_provider()
    if isinstance(present, TracerProvider):
        return present
    # Spans that nobody will see are not recorded; they have ids all the same.
    sampler = ALWAYS_ON if endpoint or record else ALWAYS_OFF
    provider = TracerProvider(sampler, Resource.create({"service.name": service}))
    if endpoint:
        # Loaded where it is used, as it brings an HTTP client and protocol buffers.
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        exporter = OTLPSpanExporter(endpoint=endpoint.rstrip("/") + "/v1/traces")
        provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return provider


def trace_statements(engine: AsyncEngine) -> None:
    """A span for every statement SQLAlchemy compiles, as sessions have for those in text.

    SQLAlchemy runs prepared statements, which the asyncpg instrumentation does not see; hence by its own events.
    """

    def begin(_connection: Any, _cursor: Any, statement: str, _values: Any, context: Any, _many: bool) -> None:
        setattr(context, _SPAN, statement_span(statement))

    def end(_connection: Any, _cursor: Any, _statement: str, _values: Any, context: Any, _many: bool) -> None:
        span = getattr(context, _SPAN, None)
        if span is not None:
            span.end()

    def fail(failure: Any) -> None:
        statement_failed(getattr(failure.execution_context, _SPAN, None), failure.original_exception)

    event.listen(engine.sync_engine, "before_cursor_execute", begin)
    event.listen(engine.sync_engine, "after_cursor_execute", end)
    event.listen(engine.sync_engine, "handle_error", fail)
