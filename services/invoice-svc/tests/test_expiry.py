"""Promises and holds end at the end of a day at the customer's place, across clock changes and zones."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest_asyncio
from remit_testing.statements import sent_by

from invoice_svc.expiry import Expiry
from remit_events.invoices import PaymentReversed, PromiseBroken, PromiseReopened


def tasks(world: Any) -> list[Expiry]:
    return [task for task in world.service.tasks if isinstance(task, Expiry)]


async def run(world: Any) -> int:
    return sum([await task.run() for task in tasks(world)])


async def next_at(world: Any) -> datetime | None:
    return min(filter(None, [await task.next_at() for task in tasks(world)]), default=None)


@pytest_asyncio.fixture(loop_scope="session")
async def moved(own_world: Any) -> AsyncIterator[Any]:
    """A world whose clock the test may move."""
    return own_world


# Where, the promised day, and the moment its grace of one business day ends; in the order of those moments.
PLACES = [
    ("NZ", "Pacific/Chatham", "2026-03-05", datetime(2026, 3, 6, 10, 15, tzinfo=UTC)),
    ("LB", "Asia/Beirut", "2026-03-26", datetime(2026, 3, 27, 22, tzinfo=UTC)),
    ("DE", "Europe/Berlin", "2026-03-27", datetime(2026, 3, 30, 22, tzinfo=UTC)),  # summer time began on the 29th
    ("NP", "Asia/Kathmandu", "2026-06-03", datetime(2026, 6, 4, 18, 15, tzinfo=UTC)),
    ("US", None, "2026-06-03", datetime(2026, 6, 5, 10, tzinfo=UTC)),  # over in Hawaii too
    ("AU", "Australia/Lord_Howe", "2026-10-01", datetime(2026, 10, 2, 13, 30, tzinfo=UTC)),
    ("GB", "Europe/London", "2026-10-23", datetime(2026, 10, 27, 0, tzinfo=UTC)),  # winter time began on the 25th
]


async def test_a_promise_is_broken_when_its_grace_has_ended_there(moved: Any) -> None:
    made = []
    for country, zone, on, _ in PLACES:
        invoice = await moved.invoice(await moved.customer(country=country, timezone=zone))
        await moved.post(f"/v1/invoices/{invoice['id']}/promises", {"on": on, "amount_minor": 6_000})
        await moved.pay(invoice, 1_000)
        made.append(invoice)
    await moved.events()
    for invoice, (_, _, _, ends) in zip(made, PLACES, strict=True):
        assert await next_at(moved) == ends
        moved.clock.set(ends - timedelta(microseconds=1))
        assert (await run(moved), await moved.events()) == (0, [])
        moved.clock.set(ends)
        assert await run(moved) == 1
        [event] = await moved.events()
        assert isinstance(event, PromiseBroken)
        assert str(event.invoice.id) == invoice["id"]
        assert (event.paid_minor, event.invoice.promise, event.invoice.promises_broken) == (1_000, None, 1)
        assert await run(moved) == 0
        [promise] = (await moved.get(f"/v1/invoices/{invoice['id']}/promises"))["data"]
        assert (promise["status"], promise["paid_minor"]) == ("partly_kept", 1_000)
    assert await next_at(moved) is None


async def test_a_promise_nothing_was_paid_on_is_broken(moved: Any) -> None:
    invoice = await moved.invoice()
    await moved.post(f"/v1/invoices/{invoice['id']}/promises", {"on": "2026-03-06", "grace_business_days": 0})
    moved.clock.set(datetime(2026, 3, 6, 23, tzinfo=UTC))
    assert await run(moved) == 1
    [promise] = (await moved.get(f"/v1/invoices/{invoice['id']}/promises"))["data"]
    assert (promise["status"], promise["paid_minor"]) == ("broken", 0)


async def test_a_promise_kept_or_replaced_never_breaks(moved: Any) -> None:
    kept, replaced = await moved.invoice(), await moved.invoice()
    await moved.post(f"/v1/invoices/{kept['id']}/promises", {"on": "2026-03-06"})
    await moved.pay(kept, 10_000)
    assert await next_at(moved) is None
    for day in ("2026-03-06", "2026-05-04"):
        await moved.post(f"/v1/invoices/{replaced['id']}/promises", {"on": day})
    assert await next_at(moved) == datetime(2026, 5, 5, 22, tzinfo=UTC)
    await moved.events()
    moved.clock.set(datetime(2026, 4, 1, tzinfo=UTC))
    assert await run(moved) == 0
    assert await moved.events() == []


async def bounced(world: Any, payment: Any) -> list[str]:
    await world.events()
    await world.post(f"/v1/payments/{payment['id']}/reverse", {"reason": "bounced"}, 200)
    return await world.event_names()


async def promises_of(world: Any, invoice: Any) -> list[tuple[str, int]]:
    found = await world.get(f"/v1/invoices/{invoice['id']}/promises")
    return [(one["status"], one["paid_minor"]) for one in found["data"]]


async def test_a_kept_promise_runs_again_when_its_payment_bounces_in_time(moved: Any) -> None:
    invoice = await moved.invoice()
    made = await moved.post(f"/v1/invoices/{invoice['id']}/promises", {"on": "2026-03-06", "amount_minor": 6_000})
    first, second = await moved.pay(invoice, 1_000), await moved.pay(invoice, 9_000)
    assert await promises_of(moved, invoice) == [("kept", 6_000)]
    moved.clock.set(datetime(2026, 3, 9, 22, 59, tzinfo=UTC))  # the last minute of its grace
    await moved.events()
    await moved.post(f"/v1/payments/{second['id']}/reverse", {"reason": "bounced"}, 200)
    back, reopened = await moved.events()
    assert (type(back), type(reopened)) == (PaymentReversed, PromiseReopened)
    assert back.allocations[0].invoice == reopened.invoice
    assert (str(reopened.promise.id), reopened.promise) == (made["id"], reopened.invoice.promise)
    assert await promises_of(moved, invoice) == [("running", 0)]
    # What stands of it still counts, and its grace ends as it would have.
    assert await next_at(moved) == datetime(2026, 3, 9, 23, tzinfo=UTC)
    moved.clock.set(datetime(2026, 3, 9, 23, tzinfo=UTC))
    assert await run(moved) == 1
    [broken] = await moved.events()
    assert (broken.paid_minor, broken.invoice.promises_broken) == (1_000, 1)
    # Judged for good: what bounces later changes nothing of it.
    assert await bounced(moved, first) == ["PaymentReversed"]
    assert await promises_of(moved, invoice) == [("partly_kept", 1_000)]


async def test_a_kept_promise_is_broken_when_its_payment_bounces_after_its_grace(moved: Any) -> None:
    invoice = await moved.invoice()
    await moved.post(f"/v1/invoices/{invoice['id']}/promises", {"on": "2026-03-06", "amount_minor": 6_000})
    paid = await moved.pay(invoice, 10_000)
    moved.clock.set(datetime(2026, 3, 9, 23, tzinfo=UTC))
    await moved.events()
    await moved.post(f"/v1/payments/{paid['id']}/reverse", {"reason": "bounced"}, 200)
    back, broken = await moved.events()
    assert isinstance(broken, PromiseBroken)
    assert back.allocations[0].invoice == broken.invoice
    assert (broken.paid_minor, broken.invoice.promise, broken.invoice.promises_broken) == (0, None, 1)
    assert await promises_of(moved, invoice) == [("broken", 0)]
    assert (await run(moved), await next_at(moved)) == (0, None)


async def test_a_promise_stays_kept_while_enough_stands(moved: Any) -> None:
    invoice = await moved.invoice()
    await moved.post(f"/v1/invoices/{invoice['id']}/promises", {"on": "2026-03-06", "amount_minor": 3_000})
    first, other = await moved.pay(invoice, 3_000), await moved.pay(invoice, 4_000)
    moved.clock.set(datetime(2026, 3, 10, tzinfo=UTC))
    too_late = await moved.pay(invoice, 3_000)
    assert await bounced(moved, first) == ["PaymentReversed"]
    assert await promises_of(moved, invoice) == [("kept", 3_000)]
    assert await bounced(moved, other) == ["PaymentReversed", "PromiseBroken"]
    assert await bounced(moved, too_late) == ["PaymentReversed"]
    assert (await moved.read(invoice))["promises_broken"] == 1


async def test_a_kept_promise_another_was_made_after_is_replaced_by_it(moved: Any) -> None:
    invoice = await moved.invoice()
    url = f"/v1/invoices/{invoice['id']}/promises"
    await moved.post(url, {"on": "2026-03-06", "amount_minor": 3_000})
    paid = await moved.pay(invoice, 3_000)
    moved.clock.set(datetime(2026, 3, 4, tzinfo=UTC))
    second = await moved.post(url, {"on": "2026-03-12"})
    assert await bounced(moved, paid) == ["PaymentReversed"]
    assert await promises_of(moved, invoice) == [("replaced", 0), ("running", 0)]
    found = await moved.read(invoice)
    assert (found["promise"]["id"], found["promises_broken"]) == (second["id"], 0)


async def test_holds_end_by_themselves(moved: Any) -> None:
    berlin = await moved.customer(timezone="Europe/Berlin")
    invoice = await moved.invoice(berlin)
    await moved.post(f"/v1/customers/{berlin['id']}/hold", {"reason": "talks", "until": "2026-03-28"}, 200)
    await moved.post(f"/v1/invoices/{invoice['id']}/hold", {"reason": "order", "until": "2026-03-29"}, 200)
    await moved.events()
    assert await next_at(moved) == datetime(2026, 3, 28, 23, tzinfo=UTC)
    moved.clock.set(datetime(2026, 3, 28, 23, tzinfo=UTC))
    assert await run(moved) == 1
    [released] = await moved.events()
    assert (type(released).__name__, released.customer.hold, released.invoice) == ("FollowUpReleased", None, None)
    moved.clock.set(datetime(2026, 3, 29, 22, tzinfo=UTC))
    assert await run(moved) == 1
    [released] = await moved.events()
    assert (released.invoice.hold, released.reason) == (None, "the hold's last day has passed")
    assert await next_at(moved) is None


async def test_a_hold_released_or_replaced_does_not_end_again(moved: Any) -> None:
    invoice = await moved.invoice()
    url = f"/v1/invoices/{invoice['id']}"
    await moved.post(f"{url}/hold", {"reason": "a", "until": "2026-03-05"}, 200)
    await moved.post(f"{url}/hold", {"reason": "b"}, 200)
    moved.clock.set(datetime(2026, 3, 20, tzinfo=UTC))
    await moved.events()
    assert await run(moved) == 0
    assert (await moved.read(invoice))["hold"]["reason"] == "b"
    await moved.post(f"{url}/release", {"reason": "done"}, 200)
    assert await next_at(moved) is None


async def test_an_idle_run_sends_no_statement(moved: Any) -> None:
    await moved.invoice()
    await run(moved)
    with sent_by(moved.service.db.engine) as sent:
        for _ in range(10):
            assert await run(moved) == 0
            assert await next_at(moved) is None
    assert sent == []
