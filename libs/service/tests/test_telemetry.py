"""One trace from the caller through HTTP to the database and on, without personal data in any span."""

from __future__ import annotations

import subprocess
import sys

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind
from remit_testing.service import client_for

from remit_service import telemetry
from remit_service.peers import InProcessTransport, peer_client

CANARY = "canary@example.com"
THING = {"name": CANARY, "amount_minor": 1}


@pytest.fixture(scope="module")
def exporter():
    made = InMemorySpanExporter()
    telemetry.configure("tests", record=True).add_span_processor(SimpleSpanProcessor(made))
    return made


@pytest.fixture
async def client(sample, exporter):
    async with await client_for(sample.service) as opened:
        exporter.clear()
        yield opened


async def test_a_request_is_a_span_named_by_its_route_template(client, exporter):
    made = await client.post("/v1/things", json=THING)
    await client.get(made.headers["Location"])
    names = [span.name for span in exporter.get_finished_spans() if span.kind == SpanKind.SERVER]
    assert names == ["POST /v1/things", "GET /v1/things/{thing_id}"]
    attributes = exporter.get_finished_spans()[-1].attributes
    assert attributes["http.response.status_code"] == 200
    assert attributes["service"] == "sample-svc"


async def test_the_callers_trace_goes_on(client, exporter):
    parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    await client.get("/v1/things", headers={"traceparent": parent})
    span = exporter.get_finished_spans()[-1]
    assert f"{span.context.trace_id:032x}" == "4bf92f3577b34da6a3ce929d0e0e4736"
    assert f"{span.parent.span_id:016x}" == "00f067aa0ba902b7"


async def test_two_services_share_one_trace_over_http(sample, client, exporter):
    transport = InProcessTransport(sample.service.app)
    settings = sample.service.settings
    async with peer_client("sample-svc", "http://sample-svc", settings, transport=transport) as peer:
        with trace.get_tracer("t").start_as_current_span("outer") as outer:
            assert (await peer.post("/v1/things/internal")).json() == {"caller": "service"}
    spans = {span.name: span for span in exporter.get_finished_spans()}
    server, client_span = spans["POST /v1/things/internal"], spans["POST sample-svc"]
    assert {span.context.trace_id for span in spans.values()} == {outer.get_span_context().trace_id}
    assert server.parent.span_id == client_span.context.span_id
    assert client_span.kind == SpanKind.CLIENT


async def test_statements_are_spans_of_the_request_without_values(sample, client, exporter):
    telemetry.trace_statements(sample.db.engine)
    await client.post("/v1/things", json=THING)
    spans = exporter.get_finished_spans()
    request = next(span for span in spans if span.kind == SpanKind.SERVER)
    statements = [span for span in spans if span.name in ("SELECT", "INSERT")]
    assert {span.name for span in statements} == {"SELECT", "INSERT"}
    assert all(span.parent.span_id == request.context.span_id for span in statements)
    assert "INSERT INTO thing" in str([span.attributes["db.query.text"] for span in statements])
    await client.post("/v1/things/sql", json={"data": {"sql": ["SELECT nowhere"]}})
    failed = [span for span in exporter.get_finished_spans() if not span.status.is_ok]
    assert [span.name for span in failed][:1] == ["SELECT"]


async def test_no_span_holds_personal_data_or_secrets(client, exporter):
    await client.post("/v1/things", json=THING)
    await client.get("/v1/things", params={"cursor": CANARY})
    await client.get(f"/v1/things/{CANARY}")
    await client.post("/v1/things/broken", json=THING)
    spans = [span.to_json() for span in exporter.get_finished_spans()]
    assert len(spans) >= 4
    for held in (CANARY, "canary", client.key):
        assert held not in "".join(spans)


async def test_probes_are_no_spans(client, exporter):
    for path in ("/livez", "/readyz", "/metrics"):
        await client.get(path)
    assert [span for span in exporter.get_finished_spans() if span.kind == SpanKind.SERVER] == []


async def test_a_failed_request_is_a_failed_span(client, exporter):
    await client.post("/v1/things/broken", json=THING)
    assert not exporter.get_finished_spans()[-1].status.is_ok
    await client.post("/v1/things/refused", json=THING)
    assert exporter.get_finished_spans()[-1].status.is_ok


EXPORT = """
import http.server, threading
from opentelemetry import trace
from remit_service import telemetry
got = []
class Collector(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        got.append((self.path, len(self.rfile.read(int(self.headers["Content-Length"])))))
        self.send_response(200); self.end_headers()
    def log_message(self, *args): pass
server = http.server.HTTPServer(("127.0.0.1", 0), Collector)
threading.Thread(target=server.serve_forever, daemon=True).start()
provider = telemetry.configure("svc", f"http://127.0.0.1:{server.server_port}/")
assert telemetry.configure("svc") is provider
with trace.get_tracer("x").start_as_current_span("s"): pass
provider.shutdown()
print(got[0][0], got[0][1] > 50)
"""


def test_spans_are_exported_where_the_endpoint_says():
    done = subprocess.run([sys.executable, "-c", EXPORT], capture_output=True, text=True)
    assert done.stdout.split() == ["/v1/traces", "True"], done.stderr
