"""One trace from the event that caused a message to the conversation in which it left."""

from __future__ import annotations

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from remit_testing.notifier import World

from remit_service import telemetry

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


async def test_a_hand_over_continues_the_trace_of_its_event(world: World) -> None:
    telemetry.configure("notifier-svc", record=True)
    provider = trace.get_tracer_provider()
    assert isinstance(provider, TracerProvider)
    exporter = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    customer = await world.customer()
    await world.settle()
    event = world.due(customer, world.invoice(customer))
    await world.bus.publish([world.record(event, traceparent=f"00-{TRACE}-{SPAN}-01")])
    await world.settle()
    spans = [span for span in exporter.get_finished_spans() if f"{span.context.trace_id:032x}" == TRACE]
    by_name = {span.name: span for span in spans}
    assert {"consume", "send mailbox"} <= set(by_name)
    hand_over, consume = by_name["send mailbox"], by_name["consume"]
    assert hand_over.parent is not None
    assert consume.context is not None
    assert hand_over.parent.span_id == consume.context.span_id
    assert customer.email not in str(hand_over.attributes)
    [row] = await world.rows("SELECT traceparent FROM touch")
    assert row.traceparent.split("-")[1] == TRACE
