"""A message all of whose channels failed: on which channel it goes again, and when it does not."""

from __future__ import annotations

from typing import Any

from remit_testing.scheduler_world import World

from remit_events.schedule import PaymentDue
from remit_events.state import Channel
from scheduler_svc.policy_file import shipped

TEXTED: dict[str, Any] = {"phone": "+4915112345678", "sms_consent": True}


async def inputs_of_last(world: World) -> dict[str, Any]:
    found: dict[str, Any] = (await world.rows("SELECT inputs FROM decision ORDER BY at, id"))[-1].inputs
    return found


async def without(world: World, *steps: str) -> None:
    """Moves every follow-up to the next version of the business policy, which lacks these steps."""
    body = shipped("business").as_body()
    body["steps"] = [step for step in body["steps"] if step["key"] not in steps]
    saved = await world.save_policy(body)
    answer = await world.client.post(f"/v1/policies/business/versions/{saved['version']}/migrate", json={})
    assert answer.json()["follow_ups"] > 0


class TestChannels:
    async def test_text_messages_only_where_the_policy_has_some(self, world: World) -> None:
        _, invoice = await world.followed(profile="government", **TEXTED)
        due = await world.go("2026-02-03 09:00")
        await world.tell(world.failed(due))
        again = await world.go("2026-02-03 09:00")
        assert again.channels == (Channel.LETTER,)
        await world.tell(world.sent(again))
        assert (await world.log(invoice))[-1] == ("plus-1", "sent", "sent")
        said = await inputs_of_last(world)
        assert (said["fallback_after"], said["noted"]) == (["email"], {"sms": "not-allowed"})

    async def test_where_it_has_the_next_is_a_text_message(self, world: World) -> None:
        await world.followed(**TEXTED)
        due = await world.go("2026-02-03 09:00")
        await world.tell(world.failed(due))
        assert (await world.go("2026-02-03 09:00")).channels == (Channel.SMS,)

    async def test_a_demand_goes_by_email_and_letter_only(self, world: World) -> None:
        _, invoice = await world.followed(address=None, **TEXTED)
        await world.play("2026-02-20 10:00")
        await world.tell(world.rung(invoice))
        due = await world.go("2026-02-20 10:00")
        assert due.channels == (Channel.EMAIL,)
        await world.tell(world.failed(due))
        await world.sweep()
        assert await world.published(PaymentDue) == []
        assert (await world.log(invoice))[-1] == ("formal-demand", "suppressed", "undeliverable")
        said = await inputs_of_last(world)
        assert said == {"tried": ["email"], "noted": {"sms": "not-allowed", "letter": "no-address"}}


class TestMovedToAnotherPolicy:
    """While the message was on its way the follow-up moved to a policy without its step."""

    async def test_failed_it_ends_and_the_rest_goes_on(self, world: World) -> None:
        customer, first = await world.followed()
        second = await world.issue(customer, "R2", due="2026-02-10")
        due = await world.go("2026-02-03 09:00")
        assert [item.step for item in due.items] == ["day-after", "courtesy"]
        await without(world, "day-after")
        await world.tell(world.failed(due))
        again = await world.go("2026-02-03 09:00")
        assert [(item.invoice.id, item.step) for item in again.items] == [(second.id, "courtesy")]
        assert again.touch_id != due.touch_id
        assert (await world.log(first))[-1] == ("day-after", "skipped", "before-entry")
        assert [due.step for due in await world.play("2026-02-10 00:00") if due.items[0].invoice.id == first.id] == [
            "second"
        ]

    async def test_refused_at_the_last_moment_it_ends_too(self, world: World) -> None:
        _, invoice = await world.followed()
        due = await world.go("2026-02-03 09:00")
        await without(world, "day-after")
        await world.tell(world.cancelled(due, {}, whole=True, rule="expired"))
        await world.sweep()
        assert (await world.log(invoice))[-1] == ("day-after", "skipped", "before-entry")

    async def test_a_step_that_the_new_policy_has_goes_again(self, world: World) -> None:
        await world.followed(phone=None)
        due = await world.go("2026-02-03 09:00")
        await without(world, "third")
        await world.tell(world.failed(due))
        again = await world.go("2026-02-03 09:00")
        assert (again.touch_id, again.channels, again.policy_version) == (due.touch_id, (Channel.LETTER,), 2)
