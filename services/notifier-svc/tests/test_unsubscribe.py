"""Unsubscribing by link: a GET changes nothing, a POST closes the address to courtesy messages, once."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from email import message_from_bytes, policy

import httpx
import pytest
import pytest_asyncio
from remit_testing.fixtures import MakeDatabase
from remit_testing.notifier import World

from remit_events.notifications import ContactSuppressed, ReminderSent
from remit_events.state import Stage

PUBLIC = "https://pay.nordlicht.example"


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def shared(make_database: MakeDatabase, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    opened = await World.open(make_database, tmp_path_factory.mktemp("unsubscribe"), public_url=PUBLIC)
    yield opened
    await opened.close()


@pytest_asyncio.fixture(loop_scope="session")
async def world(shared: World) -> World:
    await shared.reset()
    return shared


@pytest_asyncio.fixture(loop_scope="session")
async def anybody(world: World) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(world.service.app), base_url=PUBLIC) as client:
        yield client


async def link_of(world: World, language: str | None = "en", country: str = "DE") -> str:
    customer = await world.customer(language=language, country=country)
    await world.remind(customer, world.invoice(customer))
    await world.settle()
    message = message_from_bytes(world.files("*.eml")[-1].read_bytes(), policy=policy.default)
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    found = re.search(rf"<{PUBLIC}(/v1/unsubscribe/[\w-]+)>", message["List-Unsubscribe"])
    assert found
    return found.group(1)


async def test_following_the_link_changes_nothing(world: World, anybody: httpx.AsyncClient) -> None:
    path = await link_of(world, "de")
    for _ in range(3):
        page = await anybody.get(path)
        assert page.status_code == 200
        assert "Nordlicht GmbH" in page.text
        assert 'method="post"' in page.text
        assert "script" not in page.text
    assert await world.told(ContactSuppressed) == []
    assert await world.rows("SELECT * FROM suppression") == []


async def test_the_page_is_in_the_language_of_the_message(world: World, anybody: httpx.AsyncClient) -> None:
    page = await anybody.get(await link_of(world, None, "FR"))
    assert "Se désabonner" in page.text
    assert '<html lang="fr">' in page.text


async def test_one_click_unsubscribes_once(world: World, anybody: httpx.AsyncClient) -> None:
    path = await link_of(world)
    for _ in range(3):
        done = await anybody.post(path, data={"List-Unsubscribe": "One-Click"})
        assert done.status_code == 200
    [closed] = await world.told(ContactSuppressed)
    assert (closed.channel, closed.reason) == ("email", "unsubscribe")
    [row] = await world.rows("SELECT kind FROM suppression")
    assert row.kind == "courtesy"


async def test_afterwards_required_notices_come_by_letter_and_others_not(
    world: World, anybody: httpx.AsyncClient
) -> None:
    customer = await world.customer()
    await world.remind(customer, world.invoice(customer))
    await world.settle()
    message = message_from_bytes(world.files("*.eml")[-1].read_bytes(), policy=policy.default)
    await anybody.post(message["List-Unsubscribe"].split(">")[0].removeprefix("<" + PUBLIC))
    await world.remind(customer, world.invoice(customer), stage=Stage.UPCOMING)
    await world.remind(customer, world.invoice(customer), stage=Stage.OVERDUE)
    await world.settle()
    assert [(event.stage, event.channel) for event in await world.told(ReminderSent)] == [
        ("overdue", "email"),
        ("overdue", "letter"),
    ]


async def test_tokens_are_not_stored_and_no_other_is_taken(world: World, anybody: httpx.AsyncClient) -> None:
    path = await link_of(world)
    token = path.rsplit("/", 1)[1]
    assert len(token) >= 43
    [row] = await world.rows("SELECT CAST(unsubscribe.* AS text) AS all FROM unsubscribe")
    assert token not in row.all
    for at in range(0, len(token), 5):
        wrong = token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]
        for method in ("GET", "POST"):
            answer = await anybody.request(method, f"/v1/unsubscribe/{wrong}")
            assert answer.status_code == 404
    assert await world.told(ContactSuppressed) == []


async def test_the_same_address_has_one_link(world: World) -> None:
    customer = await world.customer()
    for _ in range(3):
        await world.remind(customer, world.invoice(customer))
    await world.settle()
    assert len(await world.rows("SELECT * FROM unsubscribe")) == 1
