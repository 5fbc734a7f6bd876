"""One trace joins the caller's request, the outbox, the bus, the consumer and the SMTP conversation."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, format_span_id, format_trace_id
from remit_testing.api import Api
from remit_testing.at_once import AtOnce, now
from remit_testing.fixtures import MakeDatabase
from remit_testing.installations import make_installation
from remit_testing.live import built, live
from remit_testing.smtp_peer import SmtpPeer

from remit_service import telemetry

CALLERS_TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLERS_SPAN = "00f067aa0ba902b7"
ARRIVES_SECONDS = 60.0


@pytest.fixture
def exporter() -> Iterator[InMemorySpanExporter]:
    """Every span that ends in this process."""
    exporter = InMemorySpanExporter()
    telemetry.configure("tests", record=True).add_span_processor(SimpleSpanProcessor(exporter))
    yield exporter
    # A provider keeps its processors for good, and one that was shut down complains of every later span.
    exporter.shutdown()


async def test_from_the_request_to_the_smtp_conversation(
    make_database: MakeDatabase, tmp_path: Path, events_url: str | None, exporter: InMemorySpanExporter
) -> None:
    with SmtpPeer() as peer:
        installation = await make_installation(
            make_database, tmp_path, events_url=events_url, extras={"notifier-svc": peer.settings}
        )
        async with live(await built(installation)), Api.of(installation) as api:
            at_once = AtOnce(now())
            await at_once.rules(api)
            api.clients["invoice-svc"].headers["traceparent"] = f"00-{CALLERS_TRACE}-{CALLERS_SPAN}-01"
            await at_once.fresh(api, 1)
            give_up = time.monotonic() + ARRIVES_SECONDS
            while not peer.ledger:
                assert time.monotonic() < give_up, "the invoice never came"
                await asyncio.sleep(0.05)
    [message] = peer.ledger
    found = [span for span in exporter.get_finished_spans() if trace_of(span) == CALLERS_TRACE]
    [sending] = [span for span in found if span.name == "send smtp"]
    assert (sending.attributes or {})["remit.delivery_id"] == message.delivery_id
    way = way_up(sending, found)
    assert [(span.name, span.kind) for span in way] == [
        ("send smtp", SpanKind.CLIENT),
        ("consume", SpanKind.CONSUMER),
        ("POST /v1/invoices/batch", SpanKind.SERVER),
    ]
    assert (way[1].attributes or {})["messaging.consumer.group.name"] == "notifier-svc"
    root = way[-1].parent
    assert root is not None
    assert format_span_id(root.span_id) == CALLERS_SPAN
    groups = {(span.attributes or {}).get("messaging.consumer.group.name") for span in found if span.name == "consume"}
    assert groups == {"invoice-svc.timeline", "scheduler-svc", "notifier-svc", "escalation-svc"}


def trace_of(span: ReadableSpan) -> str:
    return format_trace_id(span.context.trace_id) if span.context else ""


def way_up(span: ReadableSpan, spans: list[ReadableSpan]) -> list[ReadableSpan]:
    """The span, its parent, and so on up to the first one of this process."""
    by_id = {one.context.span_id: one for one in spans if one.context}
    way = [span]
    while way[-1].parent is not None and way[-1].parent.span_id in by_id:
        way.append(by_id[way[-1].parent.span_id])
    return way
