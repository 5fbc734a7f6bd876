"""What debtors answer is kept word for word, shown, and told to those who act on it."""

from __future__ import annotations

from typing import Any

import pytest
import pytest_asyncio
from remit_testing.notifier import World
from remit_testing.service import SellerClient, client_for

from notifier_svc.inbound import Inbound, answer
from remit_events.notifications import ContactSuppressed, ReplyReceived

NUMBER, OURS, STRANGER = "+4917612345678", "+4915112345678", "+4930000000"


@pytest_asyncio.fixture(loop_scope="session")
async def client(world: World) -> Any:
    await world.settle()
    async with await client_for(world.service, seller=world.seller) as made:
        yield made


async def say(world: World, body: str, sid: str = "SM1", sender: str = NUMBER, **given: str) -> str | None:
    async with world.service.db.transaction() as session:
        return await answer(session, Inbound(sid=sid, sender=sender, to=OURS, body=body, **given), world.clock.now())


async def replies(client: SellerClient, **params: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await client.get("/v1/replies", params=params)).json()["data"]
    return found


async def test_a_reply_is_kept_with_its_words_shown_and_told(world: World, client: SellerClient) -> None:
    customer = await world.customer()
    await world.settle()
    assert await say(world, "I paid yesterday.\nSorry!") is None
    [shown] = await replies(client)
    assert (shown["text"], shown["intent"], shown["sender"]) == ("I paid yesterday.\nSorry!", "other", NUMBER)
    assert (shown["customer_id"], shown["customer_name"]) == (str(customer.id), customer.name)
    [told] = await world.told(ReplyReceived)
    assert (told.customer_id, told.intent, str(told.reply_id)) == (customer.id, "other", shown["id"])
    assert (await client.get(f"/v1/replies/{shown['id']}")).json() == shown


async def test_replies_are_found_by_customer_and_intent(world: World, client: SellerClient) -> None:
    customer, other = await world.customer(), await world.customer(phone="+4917600000001")
    await world.settle()
    for sid, body in enumerate(["STOP", "start", "what is this?"]):
        await say(world, body, f"SM{sid}")
    await say(world, "hello", "SM9", sender="+4917600000001")
    assert [one["text"] for one in await replies(client, customer=str(customer.id))] == [
        "STOP",
        "start",
        "what is this?",
    ]
    assert [one["text"] for one in await replies(client, customer=other.external_id)] == ["hello"]
    assert [one["text"] for one in await replies(client, intent="other", newest_first=True)] == [
        "hello",
        "what is this?",
    ]
    assert len(await world.told(ReplyReceived)) == 2


async def test_a_moment_without_an_offset_is_refused_and_one_with_it_counts(world: World, client: SellerClient) -> None:
    await world.customer()
    await world.settle()
    await say(world, "hello")
    for path in ("/v1/replies", "/v1/deliveries", "/v1/suppressions"):
        answer = await client.get(path, params={"updated_since": "2026-03-02T10:00:00"})
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "timezone_aware")
    assert len(await replies(client, updated_since="2026-03-02T11:00:00+01:00")) == 1
    assert await replies(client, updated_since="2026-03-02T11:00:01+01:00") == []


async def test_a_reply_taken_twice_is_one(world: World, client: SellerClient) -> None:
    await world.customer()
    await world.settle()
    await say(world, "hello")
    await say(world, "hello")
    assert len(await replies(client)) == len(await world.told(ReplyReceived)) == 1


async def test_a_stop_that_says_more_closes_the_number_and_is_read_too(world: World, client: SellerClient) -> None:
    await world.customer()
    await world.settle()
    assert "START" in (await say(world, "Stop, I paid already") or "")
    assert len(await world.told(ContactSuppressed)) == 1
    assert [event.intent for event in await world.told(ReplyReceived)] == ["stop"]
    assert [one["intent"] for one in await replies(client)] == ["stop"]


@pytest.mark.parametrize(("body", "given"), [("STOP", {}), ("Arrêt", {"opt_out_type": "STOP"})])
async def test_a_mere_stop_is_kept_and_nobody_is_asked_to_read_it(
    world: World, client: SellerClient, body: str, given: dict[str, str]
) -> None:
    await world.customer()
    await world.settle()
    await say(world, body, **given)
    assert [one["text"] for one in await replies(client, intent="stop")] == [body]
    assert await world.told(ReplyReceived) == []


async def test_a_strangers_message_is_kept_for_the_seller_whose_number_it_came_to(
    world: World, client: SellerClient
) -> None:
    await world.customer()
    await world.settle()
    await say(world, "STOP", sender=STRANGER)
    [shown] = await replies(client)
    assert (shown["customer_id"], shown["customer_name"], shown["sender"]) == (None, None, STRANGER)
    assert await world.all_told() == []


async def test_what_a_database_cannot_hold_is_replaced_not_lost(world: World, client: SellerClient) -> None:
    await world.customer()
    await world.settle()
    await say(world, "a\x00b" + "x" * 10_000)
    [shown] = await replies(client)
    assert shown["text"].startswith("a\ufffdbxxx")
    assert len(shown["text"]) == 4_000


async def test_another_seller_sees_none_of_it(world: World, client: SellerClient) -> None:
    await world.customer()
    await world.settle()
    await say(world, "hello")
    [shown] = await replies(client)
    async with await client_for(world.service) as stranger:
        assert await replies(stranger) == []
        assert (await stranger.get(f"/v1/replies/{shown['id']}")).status_code == 404
