"""No route of any service drops a query parameter without a word: misspelt, a filter would show everything."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from remit_testing.fixtures import MakeDatabase
from remit_testing.installations import KEY, make_installation
from uuid6 import uuid7

from remit_local.home import SERVICES
from remit_local.system import System
from remit_service.clock import WallClock

# Links that were given out: mail programs and providers add to them what they like.
GIVEN_OUT = {"/v1/callbacks/twilio/inbound", "/v1/callbacks/twilio/status", "/v1/unsubscribe/{token}"}


@pytest.fixture
async def system(make_database: MakeDatabase, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[System]:
    installation = await make_installation(make_database, tmp_path_factory.mktemp("query"))
    async with await System.build(installation, WallClock(), in_process=True) as made:
        await made.pass_on()
        yield made


Route = tuple[str, str, str, list[dict[str, Any]]]


def routes(system: System) -> Iterator[Route]:
    """Service, method, path and parameters of every route, from the OpenAPI documents."""
    for service in SERVICES:
        for path, operations in system.services[service].app.openapi()["paths"].items():
            for method, spec in operations.items():
                yield service, method, path, spec.get("parameters", [])


async def ask(system: System, route: Route) -> httpx.Response:
    service, method, path, parameters = route
    for one in parameters:
        path = path.replace(f"{{{one['name']}}}", str(uuid7()))
    async with system.client(service, {"Authorization": f"Bearer {KEY}"}) as client:
        return await client.request(method, path, params={"bogus": "x", "channell": "email"}, json={})


async def test_every_route_refuses_what_it_does_not_know(system: System) -> None:
    found = [route for route in routes(system) if route[2] not in GIVEN_OUT]
    assert len(found) > 60
    for route in found:
        answer = await ask(system, route)
        assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json"), route
        known = sorted(one["name"] for one in route[3] if one["in"] == "query")
        says = f"This route has no such parameter; it takes {', '.join(known) if known else 'none'}."
        assert answer.json()["errors"] == [
            {"pointer": name, "code": "unknown_parameter", "detail": says, "value": value}
            for name, value in (("bogus", "x"), ("channell", "email"))
        ]


async def test_links_that_were_given_out_take_what_others_add(system: System) -> None:
    found = [route for route in routes(system) if route[2] in GIVEN_OUT]
    assert {path for _, _, path, _ in found} == GIVEN_OUT
    for route in found:
        assert (await ask(system, route)).status_code == 404, route
