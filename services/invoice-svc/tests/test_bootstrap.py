"""A deployment's first start, as processes: the tables, the seller with its key, and a call with that key."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from typing import Any

import httpx
import pytest

KEY = "rk_0123456789012345678901234567890123456789"


class Deployment:
    """`python -m invoice_svc COMMAND` in one environment."""

    def __init__(self, database: str, bus: str) -> None:
        self.environment = {
            "PATH": os.environ["PATH"],
            "DATABASE_URL": database,
            "EVENTS_URL": bus,
            "SERVICE_KEY": "0123456789abcdef",
        }

    async def start(self, command: str, **settings: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "invoice_svc",
            command,
            env=self.environment | settings,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    async def once(self, command: str, **settings: str) -> tuple[int | None, str]:
        """Exit code and what was said: standard output when it went well, else standard error."""
        process = await self.start(command, **settings)
        said, complained = await asyncio.wait_for(process.communicate(), 60)
        return process.returncode, (complained if process.returncode else said).decode()

    async def seller(self, key: str) -> httpx.Response:
        """The answer of an API process to GET /v1/sellers/me."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        process = await self.start("api", PORT=str(port))
        try:
            return await _answer(f"http://127.0.0.1:{port}/v1/sellers/me", key)
        finally:
            process.terminate()
            await process.communicate()


async def _answer(url: str, key: str) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False) as client, asyncio.timeout(30):
        while True:
            try:
                return await client.get(url, headers={"Authorization": f"Bearer {key}"})
            except httpx.TransportError:
                await asyncio.sleep(0.1)


@pytest.fixture
async def deployment(make_database: Any) -> Deployment:
    return Deployment(await make_database(), await make_database())


async def test_a_fresh_deployment_has_a_seller_whose_key_opens_the_api(deployment: Deployment) -> None:
    named = {"SELLER_NAME": "Nordlicht GmbH", "SELLER_COUNTRY": "AT", "BOOTSTRAP_KEY": KEY}
    code, said = await deployment.once("bootstrap", **named)
    assert (code, "run `invoice-svc migrate` first" in said) == (2, True)
    assert (await deployment.once("migrate"))[0] == 0
    code, said = await deployment.once("bootstrap", **named)
    assert (code, said.startswith("The seller Nordlicht GmbH was made ("), KEY in said) == (0, True, False)
    code, said = await deployment.once("bootstrap", **named | {"SELLER_NAME": "Another"})
    assert (code, said.count("\n"), "nothing was changed" in said) == (0, 1, True)
    answer = await deployment.seller(KEY)
    assert (answer.status_code, answer.json()["name"], answer.json()["country"]) == (200, "Nordlicht GmbH", "AT")


async def test_without_a_key_one_is_made_and_shown_once(deployment: Deployment) -> None:
    assert (await deployment.once("migrate"))[0] == 0
    code, said = await deployment.once("bootstrap", SELLER_NAME="Nordlicht GmbH")
    assert code == 0
    made = said.rpartition("shown only now: ")[2].strip(".\n")
    code, said = await deployment.once("bootstrap", SELLER_NAME="Nordlicht GmbH", BOOTSTRAP_KEY=KEY)
    assert (code, made in said, "BOOTSTRAP_KEY is no valid key of it" in said) == (0, False, True)
    assert (await deployment.seller(made)).status_code == 200


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({}, "SELLER_NAME: is not set"),
        ({"SELLER_NAME": "N", "BOOTSTRAP_KEY": "short"}, "BOOTSTRAP_KEY: "),
        ({"SELLER_NAME": "N", "SELLER_COUNTRY": "XX"}, "SELLER_COUNTRY: "),
    ],
)
async def test_what_is_wrong_is_said_in_one_line(
    deployment: Deployment, settings: dict[str, str], line: str, own_service: Any
) -> None:
    deployment.environment["DATABASE_URL"] = own_service.settings.database_url
    code, said = await deployment.once("bootstrap", **settings)
    assert (code, said.startswith(line), said.count("\n")) == (2, True, 1), said
