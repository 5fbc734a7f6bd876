"""`/v1/plans`: what would leave, and who would be passed over."""

from __future__ import annotations

from remit_testing.scheduler_world import World

from remit_events.schedule import PaymentDue
from remit_events.state import Hold


async def test_what_would_leave_is_what_then_leaves(world: World) -> None:
    world.at("2026-01-02 08:00")
    for name in ("C1", "C2", "C3"):
        customer = await world.customer(name, email="shared@x.example" if name != "C3" else "c3@x.example")
        await world.issue(customer, f"R-{name}")
        await world.issue(customer, f"S-{name}", due="2026-02-05")
    plans = await world.get("/v1/plans", until="2026-03-31T00:00:00Z")
    messages = [one for one in plans["data"] if one["customer_external_id"] == "C3"]
    gone = await world.play("2026-03-30 00:00")
    mine = [due for due in gone if due.items[0].invoice.number.endswith("C3")]
    assert [(one["at"], one["step"], [item["number"] for item in one["items"]]) for one in messages] == [
        (due.decided_at.isoformat().replace("+00:00", "Z"), due.step, [item.invoice.number for item in due.items])
        for due in mine
    ]
    first = messages[0]
    assert first["items"][0]["days_overdue"] == -7
    assert (first["customer_name"], first["policy_key"], first["template"]) == ("Kunde", "business", "courtesy")


async def test_who_is_skipped_and_why(world: World) -> None:
    world.at("2026-01-02 08:00")
    customer = await world.customer(email=None, address=None)
    await world.issue(customer)
    held = await world.customer("C2", hold=Hold(reason="talking"))
    await world.issue(held, "R2", due="2026-01-20", issue="2026-01-01")
    await world.play("2026-01-27 00:00")
    plans = await world.get("/v1/plans", until="2026-02-04T00:00:00Z")
    assert plans["data"] == []
    skipped = {(one["invoice_number"], one["step"]): (one["rule"], one["standing"]) for one in plans["skipped"]}
    assert skipped[("R1", "tomorrow")] == ("no-channel", False)
    assert skipped[("R2", "day-after")] == ("held", True)


async def test_a_demand_that_waits_is_planned_after_the_last_step_too(world: World) -> None:
    _, invoice = await world.followed()
    await world.play("2026-03-07 12:00")  # a Saturday; final-notice went on Wednesday
    await world.tell(world.rung(invoice))
    for looked in range(2):
        plans = await world.get("/v1/plans")
        assert [(one["at"], one["stage"], one["step"]) for one in plans["data"]] == [
            ("2026-03-09T08:00:00Z", "demand", "formal-demand")
        ]
        said = [(one["step"], one["rule"], one["standing"]) for one in plans["skipped"]]
        assert said == [("formal-demand", "outside-window", bool(looked))]
        await world.sweep()


async def test_a_fallback_that_waits_is_planned(world: World) -> None:
    await world.followed()
    await world.play("2026-03-03 12:00")
    due = await world.go("2026-03-04 09:00")
    await world.tell(*(world.failed(due, touch_failed=n == 1) for n in range(2)))
    world.at("2026-03-04 18:00")
    await world.customer_changes(world.customers[due.customer_id], phone="+4915112345678", sms_consent=True)
    for looked in range(2):
        plans = await world.get("/v1/plans")
        assert [(one["at"], one["step"], one["channels"]) for one in plans["data"]] == [
            ("2026-03-05T08:00:00Z", "final-notice", ["sms"])
        ]
        said = [(one["step"], one["rule"], one["standing"]) for one in plans["skipped"]]
        assert said == [("final-notice", "outside-window", bool(looked))]
        await world.sweep()


async def test_customers_are_paged(world: World) -> None:
    world.at("2026-01-02 08:00")
    for n in range(5):
        await world.issue(await world.customer(f"C{n}"), f"R{n}")
    seen: list[str] = []
    cursor = None
    while True:
        params = {"limit": 2, "until": "2026-01-27T00:00:00Z"} | ({"cursor": cursor} if cursor else {})
        page = await world.get("/v1/plans", **params)
        seen += [one["customer_external_id"] for one in page["data"]]
        cursor = page["next_cursor"]
        if not cursor:
            break
    assert seen == [f"C{n}" for n in range(5)]
    assert (await world.client.get("/v1/plans", params={"until": "2030-01-01T00:00:00Z"})).status_code == 422


async def test_a_preview_changes_nothing(world: World) -> None:
    world.at("2026-01-02 08:00")
    await world.issue(await world.customer())
    world.at("2026-01-26 09:00")
    assert len((await world.get("/v1/plans"))["data"]) == 4
    assert await world.log() == []
    assert await world.published(PaymentDue) == []
