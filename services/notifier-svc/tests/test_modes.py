"""Nothing real leaves by accident: where messages go in each DELIVERY_MODE, and what live mode asks for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from pydantic import ValidationError
from remit_testing.fixtures import MakeDatabase
from remit_testing.notifier import World
from remit_testing.service import client_for, make_settings
from remit_testing.smtp import MailServer

from notifier_svc.modes import Ways
from notifier_svc.settings import Settings
from remit_events.invoices import SellerChanged
from remit_events.notifications import (
    ContactSuppressed,
    ReminderCancelled,
    ReminderFailed,
    ReminderSent,
    ReminderUnknown,
)
from remit_events.state import Channel
from remit_service.clock import WallClock

EVERY = (Channel.EMAIL, Channel.SMS, Channel.LETTER)


@pytest_asyncio.fixture(loop_scope="session")
async def server() -> AsyncIterator[MailServer]:
    async with MailServer() as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def live_server() -> AsyncIterator[MailServer]:
    async with MailServer(delay=0.6) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def shared_live(
    make_database: MakeDatabase, tmp_path_factory: pytest.TempPathFactory, live_server: MailServer
) -> AsyncIterator[World]:
    folder = tmp_path_factory.mktemp("live")
    opened = await World.open(
        make_database, folder, **smtp(live_server, delivery_mode="live", letters_folder=folder / "print")
    )
    yield opened
    await opened.close()


@pytest_asyncio.fixture(loop_scope="session")
async def world(shared_live: World, live_server: MailServer) -> World:
    """In live mode, not switched on yet; one for all tests, as new for each."""
    await shared_live.reset()
    live_server.messages.clear()
    return shared_live


def smtp(server: MailServer, **given: Any) -> dict[str, Any]:
    return {"smtp_host": "127.0.0.1", "smtp_port": server.port, "smtp_security": "none", "smtp_timeout": 1, **given}


async def live(world: World) -> None:
    await world.settle()
    await world.execute(
        "INSERT INTO live_switch (seller_id, is_on, by, changed_at) "
        "VALUES (:id, true, 'me', CAST(:now AS timestamptz))",
        id=world.seller.id,
        now=world.clock.now(),
    )


async def test_redirect_sends_all_to_one_address(open_world: Any, server: MailServer) -> None:
    world = await open_world(**smtp(server, delivery_mode="redirect", redirect_email="me@nordlicht.example"))
    customer = await world.customer()
    await world.remind(customer, world.invoice(customer), channels=EVERY)
    await world.settle()
    [taken] = server.messages
    assert taken.recipients == ["me@nordlicht.example"]
    assert taken.message["To"].addresses[0].addr_spec == "me@nordlicht.example"
    assert taken.message["X-Remit-Redirected-From"] == customer.email
    assert {path.suffix for path in world.files()} == {".txt", ".pdf", ".json"}
    assert await world.statuses() == {"email": "sent", "sms": "sent", "letter": "sent"}


async def test_a_bounce_of_the_test_address_closes_nobodys(open_world: Any, server: MailServer) -> None:
    world = await open_world(**smtp(server, delivery_mode="redirect", redirect_email="me@nordlicht.example"))
    server.script("RCPT", "550 5.1.1 no such user")
    customer = await world.customer()
    await world.remind(customer, world.invoice(customer))
    await world.settle()
    assert await world.told(ContactSuppressed) == []
    assert [event.touch_failed for event in await world.told(ReminderFailed)] == [True]


async def test_only_the_allowlisted_get_real_messages(open_world: Any, server: MailServer) -> None:
    allowed = "one@muster.example, @Friends.example"
    world = await open_world(**smtp(server, delivery_mode="allowlist", allowlist=allowed))
    for email in ("one@muster.example", "two@muster.example", "any@friends.example", "x@notfriends.example"):
        customer = await world.customer(email=email)
        await world.remind(customer, world.invoice(customer))
    await world.settle()
    assert sorted(taken.recipients[0] for taken in server.messages) == ["any@friends.example", "one@muster.example"]
    assert len(world.files("*.eml")) == 2


async def test_live_waits_for_the_switch_and_a_seller_who_is_ready(world: World, live_server: MailServer) -> None:
    customer = await world.customer()
    await world.remind(customer, world.invoice(customer))
    await world.settle()
    assert await world.statuses() == {"email": "pending"}
    assert [row.held_by for row in await world.rows("SELECT held_by FROM touch")] == ["live-off"]
    async with await client_for(world.service, seller=world.seller) as client:
        on = {"on": True, "by": "Mara Lind", "seller_name": world.seller.name}
        assert (await client.put("/v1/live-mode", json=on)).json()["sends_for_real"]
    await world.settle()
    assert [taken.recipients for taken in live_server.messages] == [[customer.email]]
    assert world.files() == []
    unready = world.seller.model_copy(update={"iban": None, "version": 9})
    await world.publish(SellerChanged(seller_id=unready.id, seller=unready))
    await world.remind(customer, world.invoice(customer))
    await world.settle()
    assert len(live_server.messages) == 1
    ready = world.seller.model_copy(update={"version": 10})
    await world.publish(SellerChanged(seller_id=ready.id, seller=ready))
    world.clock.set(world.clock.now() + timedelta(minutes=5))
    await world.settle()
    assert len(live_server.messages) == 2


async def test_live_letters_go_to_the_printers_folder_and_sms_need_a_provider(world: World) -> None:
    await live(world)
    customer = await world.customer()
    await world.remind(customer, world.invoice(customer), channels=EVERY)
    await world.settle()
    assert await world.statuses() == {"email": "sent", "sms": "failed", "letter": "sent"}
    assert {path.suffix for path in (world.mailbox.parent / "print").iterdir()} == {".pdf", ".json"}
    [failed] = await world.told(ReminderFailed)
    assert (failed.reason_class, failed.touch_failed) == ("not-configured", False)


async def test_a_hard_bounce_closes_the_address_and_is_never_tried_again(world: World, live_server: MailServer) -> None:
    await live(world)
    live_server.script("RCPT", "550 5.1.1 no such user")
    customer = await world.customer()
    await world.remind(customer, world.invoice(customer))
    await world.settle()
    [closed] = await world.told(ContactSuppressed)
    assert (closed.channel, closed.reason, closed.customer_id) == ("email", "hard-bounce", customer.id)
    [failed] = await world.told(ReminderFailed)
    assert (failed.reason_class, failed.touch_failed) == ("recipient-refused", True)
    await world.remind(customer, world.invoice(customer))
    await world.settle()
    assert live_server.messages == []
    assert [event.reason_class for event in await world.told(ReminderFailed)] == ["recipient-refused", "no-channel"]


async def test_what_was_certainly_not_taken_is_tried_again(world: World, live_server: MailServer) -> None:
    await live(world)
    live_server.script("RCPT", "450 4.2.1 greylisted", "450 4.2.1 greylisted")
    customer = await world.customer()
    await world.remind(customer, world.invoice(customer))
    start = world.clock.now()
    pauses = []
    await world.settle()
    while (due := await world.task("deliveries").next_at()) is not None:
        pauses.append((due - start).total_seconds())
        world.clock.set(due)
        await world.settle()
    assert pauses == [30, 90]
    [sent] = await world.told(ReminderSent)
    assert len(live_server.messages) == 1
    [row] = await world.rows("SELECT message_id, attempts FROM delivery")
    assert (live_server.messages[0].message["Message-ID"], row.attempts) == (f"<{row.message_id}>", 3)
    assert sent.sent_at == start + timedelta(seconds=90)


async def test_a_lost_answer_is_unknown_and_never_sent_again(world: World, live_server: MailServer) -> None:
    await live(world)
    live_server.script("DATA", "drop")
    customer = await world.customer()
    await world.remind(customer, world.invoice(customer))
    await world.settle()
    assert [event.reason for event in await world.told(ReminderUnknown)]
    world.clock.set(world.clock.now() + timedelta(days=30))
    await world.settle()
    assert await world.statuses() == {"email": "unknown"}
    assert len(live_server.messages) == 1


async def test_a_provider_that_is_down_for_a_day_loses_nothing(open_world: Any) -> None:
    async with MailServer() as server:
        port = server.port
    world = await open_world(**smtp(MailServer(port=port), delivery_mode="live"))
    await live(world)
    ends = world.clock.now() + timedelta(days=2)
    for _ in range(5):
        customer = await world.customer()
        await world.remind(customer, world.invoice(customer), valid_until=ends)
    gone, expires = await world.customer(), world.clock.now() + timedelta(hours=3)
    await world.remind(gone, world.invoice(gone), valid_until=expires)
    await world.settle()
    back, tries = world.clock.now() + timedelta(hours=24), 0
    deliveries = world.task("deliveries")
    while (due := await deliveries.next_at()) is not None and due < back:
        world.clock.set(due)
        await deliveries.run()
        tries += 1
    assert tries < 200
    async with MailServer(port=port) as server:
        while (due := await deliveries.next_at()) is not None:
            world.clock.set(due)
            await deliveries.run()
        assert len(server.messages) == 5
    assert [event.rule for event in await world.told(ReminderCancelled)] == ["expired"]
    rows = await world.rows("SELECT status, count(*) AS n FROM delivery GROUP BY status ORDER BY status")
    assert [(row.status, row.n) for row in rows] == [("cancelled", 1), ("sent", 5)]


async def test_a_slow_peer_keeps_no_results_back(world: World, live_server: MailServer) -> None:
    await live(world)
    live_server.script("DATA", "slow")
    for _ in range(6):
        customer = await world.customer()
        await world.remind(customer, world.invoice(customer))
    await world.settle()
    assert len(await world.told(ReminderSent)) == len(live_server.messages) == 6
    assert len({row.tx for row in await world.rows("SELECT xmin AS tx FROM delivery")}) > 1


async def test_a_slow_provider_gets_no_more_of_a_batch_than_it_can_take(open_world: Any, server: MailServer) -> None:
    world = await open_world(
        **smtp(server, delivery_mode="allowlist", allowlist="@muster.example", smtp_rate=20, smtp_connections=2)
    )
    customers = [await world.customer() for _ in range(45)]
    await world.publish(*(world.due(customer, world.invoice(customer)) for customer in customers))
    await world.settle()
    assert (len(server.messages), server.most_at_once) == (40, 2)
    assert {row.held_by for row in await world.rows("SELECT held_by FROM touch WHERE next_at IS NOT NULL")} == {"rate"}
    world.clock.set(world.clock.now() + timedelta(seconds=1))
    await world.settle()
    assert len(server.messages) == len(await world.told(ReminderSent)) == 45


async def test_in_mailbox_mode_providers_are_only_tried(open_world: Any, server: MailServer) -> None:
    world = await open_world(**smtp(server))
    customer = await world.customer()
    await world.remind(customer, world.invoice(customer))
    await world.settle()
    assert server.messages == []
    async with await client_for(world.service, seller=world.seller) as client:
        checks = (await client.post("/v1/providers/check")).json()["data"]
        assert {one["provider"]: one["ok"] for one in checks} == {"mailbox": True, "smtp": True}
        tried = (await client.post("/v1/providers/test", json={"to": "me@nordlicht.example"})).json()
    assert (tried["provider"], tried["result"]) == ("smtp", "sent")
    assert [taken.recipients for taken in server.messages] == [["me@nordlicht.example"]]


@pytest.mark.parametrize("variable", ["MAILBOX_FOLDER", "LETTERS_FOLDER"])
def test_a_folder_that_cannot_be_used_is_said_in_one_line(tmp_path: Path, variable: str) -> None:
    (tmp_path / "file").write_text("")
    given = {"delivery_mode": "live", "smtp_host": "mail", variable.lower(): tmp_path / "file" / "x"}
    settings = make_settings(Settings, "postgresql://x/y", **({"mailbox_folder": tmp_path / "m"} | given))
    with pytest.raises(FileNotFoundError, match=f"^{variable}: "):
        Ways(settings, WallClock())


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ({"delivery_mode": "live"}, "SMTP_HOST"),
        ({"delivery_mode": "redirect", "smtp_host": "mail"}, "REDIRECT_EMAIL"),
        ({"delivery_mode": "allowlist", "smtp_host": "mail"}, "ALLOWLIST"),
        ({"twilio_account_sid": "AC1"}, "TWILIO_AUTH_TOKEN"),
        ({"dkim_domain": "x.example"}, "DKIM_SELECTOR"),
        ({"dkim_domain": "x", "dkim_selector": "y", "dkim_key_file": "/nowhere"}, "/nowhere"),
        ({"dkim_domain": "x", "dkim_selector": "y", "dkim_key_file": __file__}, "holds no private key"),
        ({"public_url": "pay.example"}, "public_url"),
        ({"delivery_mode": "real"}, "delivery_mode"),
    ],
)
def test_settings_that_contradict_themselves_are_refused(given: dict[str, Any], names: str) -> None:
    with pytest.raises(ValidationError, match=names):
        make_settings(Settings, "postgresql://x/y", **given)
