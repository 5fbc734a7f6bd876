"""Health, version, metrics, docs and the OpenAPI document."""

from __future__ import annotations

import re

import httpx
import pytest
from remit_testing.service import client_for

from remit_service.problems import MEDIA_TYPE


@pytest.fixture
async def client(sample):
    async with await client_for(sample.service) as opened:
        yield opened


async def test_alive_and_ready(client):
    assert (await client.get("/livez")).json() == {"status": "alive"}
    assert (await client.get("/readyz")).json() == {"status": "ready"}


@pytest.mark.parametrize("cause", ["peer", "task", "drain"])
async def test_not_ready_says_why(sample, client, cause):
    health = sample.service.health
    if cause == "peer":
        sample.reasons["peer"] = "the bus does not answer"
    elif cause == "task":
        for _ in range(3):
            health.failed("relay", "BusError: gone")
    else:
        health.draining = True
    answer = await client.get("/readyz")
    sample.reasons.clear()
    health.well("relay")
    health.draining = False
    assert (answer.status_code, answer.headers["content-type"]) == (503, MEDIA_TYPE)
    assert cause in answer.json()["detail"] or "relay" in answer.json()["detail"]
    assert (await client.get("/readyz")).status_code == 200


async def test_one_failure_of_a_task_is_no_reason(sample, client):
    sample.service.health.failed("relay", "x")
    assert (await client.get("/readyz")).status_code == 200
    sample.service.health.well("relay")


async def test_version(client, monkeypatch):
    assert (await client.get("/version")).json() == {"service": "sample-svc", "version": "0.0.0"}
    monkeypatch.setenv("GIT_COMMIT", "abc123")
    assert (await client.get("/version")).json()["commit"] == "abc123"


async def test_metrics_count_by_service_and_route_template(client):
    made = await client.post("/v1/things", json={"name": "x", "amount_minor": 1})
    await client.get(made.headers["Location"])
    text = (await client.get("/metrics")).text
    labels = 'method="GET",route="/v1/things/{thing_id}",service="sample-svc",status="200"'
    assert f"remit_http_request_seconds_count{{{labels}}}" in text
    assert made.json()["id"] not in text


async def test_metrics_show_one_service_only(client):
    from remit_service.metrics import HTTP_SECONDS, exposition

    HTTP_SECONDS.labels("other-svc", "GET", "/v1/others", "200").observe(0.1)
    assert 'service="other-svc"' not in (await client.get("/metrics")).text
    assert 'service="other-svc"' in exposition("other-svc").decode()
    assert "process_cpu_seconds_total" in exposition("other-svc").decode()


async def test_unknown_paths_do_not_grow_the_metrics(client):
    for n in range(5):
        await client.get(f"/v1/unknown/{n}")
    text = (await client.get("/metrics")).text
    assert "/v1/unknown" not in text
    assert 'route="(none)"' in text


async def test_the_docs_page_loads_nothing_from_another_host(client):
    page = await client.get("/docs")
    assert page.status_code == 200
    assert "default-src 'self'" in page.headers["Content-Security-Policy"]
    loaded = re.findall(r'(?:src|href)\s*=\s*"([^"]+)"', page.text) + re.findall(r"url:\s*'([^']+)'", page.text)
    assert len(loaded) >= 4
    for address in loaded:
        assert address.startswith("/"), address
        assert (await client.get(address)).status_code == 200, address


async def test_what_may_be_wrong_with_any_body_is_documented_without_being_named(client):
    paths = (await client.get("/openapi.json")).json()["paths"]
    assert {"400", "413", "415", "422", "500", "503"} <= set(paths["/v1/things/slow"]["post"]["responses"])
    assert not {"400", "413", "415"} & set(paths["/v1/things"]["get"]["responses"])


async def test_the_openapi_document(client):
    document = (await client.get("/openapi.json")).json()
    assert document["openapi"].startswith("3.1")
    assert document["components"]["securitySchemes"]["key"] == {"type": "http", "scheme": "bearer"}
    assert "HTTPValidationError" not in str(document)
    create = document["paths"]["/v1/things"]["post"]["responses"]
    assert {"201", "400", "401", "403", "409", "413", "415", "422", "500", "503"} <= set(create)
    for operations in document["paths"].values():
        for operation in operations.values():
            for status, response in operation["responses"].items():
                if int(status) >= 400:
                    content = response["content"]["application/problem+json"]
                    assert content["schema"] == {"$ref": "#/components/schemas/Problem"}
                    assert content["example"]["status"] == int(status)


async def test_probes_need_no_key(sample):
    async with httpx.AsyncClient(transport=httpx.ASGITransport(sample.service.app), base_url="http://t") as anyone:
        for path in ("/livez", "/readyz", "/metrics", "/version", "/docs", "/openapi.json"):
            assert (await anyone.get(path)).status_code == 200
