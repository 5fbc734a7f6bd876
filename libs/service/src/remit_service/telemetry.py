"""OpenTelemetry: one trace from HTTP through database and bus; exported when OTLP_ENDPOINT is set."""

from __future__ import annotations

from typing import Any

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, StatusCode
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

_tracer = trace.get_tracer("remit_service")
_SPAN = "remit_span"


def configure(service: str, endpoint: str | None = None) -> TracerProvider:
    """Sets the process's tracer provider once; without an endpoint traces have ids but leave no process.

    `endpoint` is an OTLP/HTTP base URL such as http://collector:4318.
    """
    present = trace.get_tracer_provider()
    if isinstance(present, TracerProvider):
        return present
    provider = TracerProvider(resource=Resource.create({"service.name": service}))
    if endpoint:
        exporter = OTLPSpanExporter(endpoint=endpoint.rstrip("/") + "/v1/traces")
        provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return provider


def trace_statements(engine: AsyncEngine) -> None:
    """A span per SQL statement with its text, in which values are only ever placeholders.

    SQLAlchemy runs prepared statements, which the asyncpg instrumentation does not see; hence by its own events.
    """

    def begin(_connection: Any, _cursor: Any, statement: str, _values: Any, context: Any, _many: bool) -> None:
        if trace.get_current_span().is_recording():
            span = _tracer.start_span(statement.split(None, 1)[0].upper(), kind=SpanKind.CLIENT)
            span.set_attribute("db.system.name", "postgresql")
            span.set_attribute("db.query.text", statement[:2000])
            setattr(context, _SPAN, span)

    def end(_connection: Any, _cursor: Any, _statement: str, _values: Any, context: Any, _many: bool) -> None:
        span = getattr(context, _SPAN, None)
        if span is not None:
            span.end()

    def fail(failure: Any) -> None:
        span = getattr(failure.execution_context, _SPAN, None)
        if span is not None:
            span.set_status(StatusCode.ERROR, type(failure.original_exception).__name__)
            span.end()

    event.listen(engine.sync_engine, "before_cursor_execute", begin)
    event.listen(engine.sync_engine, "after_cursor_execute", end)
    event.listen(engine.sync_engine, "handle_error", fail)
