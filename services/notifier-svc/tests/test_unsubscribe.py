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
from remit_testing.service import client_for

from notifier_svc.api.pages import prefers_html
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


async def link_of(world: World, language: str = "en") -> str:
    customer = await world.customer(language=language)
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
    page = await anybody.get(await link_of(world, "fr"))
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


BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


async def test_a_browser_gets_one_and_the_same_page_for_every_link_that_is_none(
    world: World, anybody: httpx.AsyncClient
) -> None:
    path = await link_of(world)
    pages = []
    for wrong in (path[:-1] + ("A" if path[-1] != "A" else "B"), path[:-30], "/v1/unsubscribe/x", path + "%00ü"):
        for method in ("GET", "POST"):
            answer = await anybody.request(method, wrong, headers={"Accept": BROWSER})
            assert (answer.status_code, answer.headers["content-type"]) == (404, "text/html; charset=utf-8")
            pages.append((answer.text, {name: value for name, value in answer.headers.items() if name != "date"}))
            plain = await anybody.request(method, wrong)
            assert (plain.status_code, plain.json()["type"]) == (404, "urn:remit:problem:not-found")
            assert plain.headers["content-type"] == "application/problem+json"
    assert all(page == pages[0] for page in pages)
    assert all(word in pages[0][0] for word in ("This link is not valid", "Dieser Link", "Ce lien", 'name="viewport"'))
    assert 'name="viewport"' in (await anybody.get(path, headers={"Accept": BROWSER})).text


@pytest.mark.parametrize(
    ("accept", "html"),
    [
        (BROWSER, True),
        ("text/html", True),
        ("TEXT/HTML;level=1;q=0.7, application/json;q=0.3", True),
        ("text/*, */*;q=0.1", True),
        ("", False),
        ("*/*", False),
        ("application/json, text/html;q=0.9", False),
        ("application/problem+json, text/html", False),
        ("text/html;q=0, */*", False),
        ("text/html;q=nonsense", False),
    ],
)
def test_who_prefers_html(accept: str, html: bool) -> None:
    assert prefers_html(accept) is html


async def test_what_mail_programs_add_to_the_link_is_no_harm(world: World, anybody: httpx.AsyncClient) -> None:
    path = await link_of(world)
    assert (await anybody.post(f"{path}?utm_source=mail&x=")).status_code == 200
    assert len(await world.told(ContactSuppressed)) == 1


async def test_the_link_of_a_preview_does_nothing(world: World, anybody: httpx.AsyncClient) -> None:
    customer = await world.customer()
    event = await world.remind(customer, world.invoice(customer))
    await world.settle()
    [left] = await world.rows("SELECT text, html FROM content")
    planned = event.model_dump(mode="json") | {"at": event.decided_at.isoformat()}
    planned["items"] = [item | {"invoice_id": item["invoice"]["id"]} for item in planned["items"]]
    async with await client_for(world.service, seller=world.seller) as client:
        shown = (await client.post("/v1/templates/preview", json=planned)).json()
    link = f"{PUBLIC}/v1/unsubscribe/only-a-preview-this-link-does-nothing"
    assert link in shown["text"]
    real = re.compile(rf"{PUBLIC}/v1/unsubscribe/[\w-]+")
    assert (real.sub("", shown["text"]), real.sub("", shown["html"])) == (
        real.sub("", left.text),
        real.sub("", left.html),
    )
    assert real.findall(left.text) != [link]
    assert (await anybody.post(link)).status_code == 404
    assert await world.told(ContactSuppressed) == []


async def test_the_same_address_has_one_link(world: World) -> None:
    customer = await world.customer()
    for _ in range(3):
        await world.remind(customer, world.invoice(customer))
    await world.settle()
    assert len(await world.rows("SELECT * FROM unsubscribe")) == 1
