"""Importing again: only what the file says differently is taken over, and what people did by hand stands."""

from __future__ import annotations

from typing import Any

import pytest
from remit_testing.import_rows import balance, row, take

from remit_events.envelope import Event


async def invoice(world: Any, number: str = "I-2") -> Any:
    [found] = (await world.get("/v1/invoices", number=number))["data"]
    return found


async def dispute(world: Any, **given: Any) -> Any:
    path = f"/v1/invoices/{(await invoice(world))['id']}/disputes"
    return await world.post(path, {"reason": "two boxes missing"} | given)


async def resolve(world: Any, dispute_id: Any) -> None:
    await world.post(f"/v1/disputes/{dispute_id}/resolve", {"outcome": "settled"}, 200)


async def reverse(world: Any) -> None:
    """Takes back the newest payment of I-2 by hand."""
    found = await world.get(f"/v1/invoices/{(await invoice(world))['id']}/payments")
    standing = [one for one in found["data"] if one["status"] == "received"]
    await world.post(f"/v1/payments/{standing[-1]['id']}/reverse", {"reason": "bounced"}, 200)


async def again(world: Any, **said: Any) -> tuple[str, list[Any], list[Event]]:
    """Imports I-2 as `said`; gives its status, its conflicts and what was emitted."""
    await world.events()
    [status], summary = await take(world, row(2, **said))
    conflicts = [(one["field"], one["ours"], one["theirs"]) for one in summary["results"][0]["conflicts"]]
    return status, conflicts, await world.events()


@pytest.mark.parametrize("amount", [None, 4_000])
@pytest.mark.parametrize("said", [False, None])
async def test_what_people_disputed_stays_disputed(world: Any, amount: int | None, said: bool | None) -> None:
    await take(world, row(2, disputed=said))
    await dispute(world, amount_minor=amount)
    reported = [] if said is None else [("disputed", True, False)]
    assert await again(world, disputed=said) == ("conflict" if reported else "unchanged", reported, [])
    assert await balance(world, "I-2") == ("issued", 10_000, amount or 10_000)


async def test_what_people_resolved_stays_resolved_until_the_export_says_so_again(world: Any) -> None:
    await take(world, row(2, disputed=True))
    [event] = [one for one in await world.events() if type(one).__name__ == "DisputeOpened"]
    await resolve(world, event.dispute_id)
    assert await again(world, disputed=True) == ("conflict", [("disputed", False, True)], [])
    assert await again(world, disputed=False) == ("unchanged", [], [])
    status, conflicts, [reopened] = await again(world, disputed=True)
    assert (status, conflicts, type(reopened).__name__) == ("changed", [], "DisputeOpened")


async def test_an_export_ends_its_own_dispute_only(world: Any) -> None:
    await take(world, row(2, disputed=True))
    [own] = [one for one in await world.events() if type(one).__name__ == "DisputeOpened"]
    assert await again(world, disputed=None) == ("conflict", [("disputed", True, None)], [])
    await resolve(world, own.dispute_id)
    await dispute(world, amount_minor=4_000)
    assert await again(world, disputed=False) == ("conflict", [("disputed", True, False)], [])
    await again(world, disputed=True)
    assert await balance(world, "I-2") == ("issued", 10_000, 4_000)


async def test_a_part_people_dispute_is_disputed_enough(world: Any) -> None:
    await take(world, row(2))
    await dispute(world, amount_minor=4_000)
    assert await again(world, disputed=True) == ("unchanged", [], [])
    assert await again(world, disputed=False) == ("conflict", [("disputed", True, False)], [])


@pytest.mark.parametrize("said", [{"paid_date": "2026-02-20"}, {"open_amount_minor": 0}])
async def test_a_payment_taken_back_by_hand_is_not_recorded_again(world: Any, said: dict[str, Any]) -> None:
    await take(world, row(2, **said))
    await reverse(world)
    assert await again(world, **said) == ("conflict", [("open_amount_minor", 10_000, 0)], [])
    assert await again(world) == ("unchanged", [], [])  # a blank says nothing
    assert await again(world, **said) == ("conflict", [("open_amount_minor", 10_000, 0)], [])
    status, conflicts, events = await again(world, paid_date="2026-02-27")
    assert (status, conflicts) == ("changed", [])
    assert [type(one).__name__ for one in events] == ["PaymentReceived", "InvoicePaid"]


async def test_reopened_in_the_export_too_it_can_be_paid_again(world: Any) -> None:
    await take(world, row(2, paid_date="2026-02-20"))
    await reverse(world)
    assert await again(world, open_amount_minor=10_000) == ("unchanged", [], [])
    assert (await again(world, paid_date="2026-02-20"))[0] == "changed"
    assert await balance(world, "I-2") == ("paid", 0, 0)


async def test_what_was_a_conflict_once_is_never_acted_on_by_the_same_file(world: Any) -> None:
    await take(world, row(2))
    await world.pay(await invoice(world), 10_000)
    assert (await again(world, open_amount_minor=4_000))[0] == "conflict"
    await reverse(world)
    assert await again(world, open_amount_minor=4_000) == ("conflict", [("open_amount_minor", 10_000, 4_000)], [])


async def test_money_known_here_first_counts_once(world: Any) -> None:
    await take(world, row(2, open_amount_minor=10_000))
    await world.pay(await invoice(world), 3_000)
    assert (await again(world, open_amount_minor=10_000))[0] == "conflict"
    status, conflicts, events = await again(world, open_amount_minor=4_000)
    assert (status, conflicts) == ("changed", [])
    assert [one.amount_minor for one in events if type(one).__name__ == "PaymentReceived"] == [3_000]


async def test_money_recorded_by_hand_keeps_its_day(world: Any) -> None:
    """The export takes back what it had brought, and dates what is left otherwise than people did."""
    await take(world, row(2))
    await world.pay(await invoice(world), 6_000)
    await again(world, paid_date="2026-02-20")
    status, conflicts, events = await again(world, open_amount_minor=4_000, paid_date="2026-02-27")
    assert (status, conflicts) == ("changed", [("paid_date", "2026-03-02", "2026-02-27")])
    assert [type(one).__name__ for one in events] == ["PaymentReversed"]
    assert await balance(world, "I-2") == ("partly_paid", 4_000, 0)


async def test_money_imported_before_gets_the_day_the_export_says_now(world: Any) -> None:
    await take(world, row(2, open_amount_minor=7_000))
    await again(world, open_amount_minor=4_000, paid_date="2026-02-20")
    await again(world, paid_date="2026-02-25")
    status, conflicts, events = await again(world, open_amount_minor=4_000, paid_date="2026-02-27")
    assert (status, conflicts) == ("changed", [])
    assert [type(one).__name__ for one in events] == ["PaymentReversed", "PaymentReversed", "PaymentReceived"]
    assert await balance(world, "I-2") == ("partly_paid", 4_000, 0)


async def test_open_amounts_alone_tell_the_whole_story(world: Any) -> None:
    await take(world, row(2, open_amount_minor=10_000))
    for still_open, left in ((4_000, "partly_paid"), (0, "paid")):
        assert (await again(world, open_amount_minor=still_open))[0] == "changed"
        assert await balance(world, "I-2") == (left, still_open, 0)
        assert await again(world, open_amount_minor=still_open) == ("unchanged", [], [])
    found = await world.get(f"/v1/invoices/{(await invoice(world))['id']}/payments")
    assert [(one["amount_minor"], one["received_on"]) for one in found["data"]] == [
        (6_000, "2026-03-02"),
        (4_000, "2026-03-02"),
    ]


async def test_a_row_that_speaks_of_another_invoice_says_nothing_of_this_one(world: Any) -> None:
    await take(world, row(2))
    wrong = {"customer_external_id": "K-2", "disputed": True, "paid_date": "2026-02-20"}
    assert (await again(world, **wrong))[0] == "conflict"
    assert (await again(world, currency="USD", disputed=True, paid_date="2026-02-20"))[0] == "conflict"
    assert await balance(world, "I-2") == ("issued", 10_000, 0)
    assert (await again(world, disputed=True, paid_date="2026-02-20"))[0] == "changed"
    assert (await balance(world, "I-2"))[0] == "paid"


async def test_a_blank_consent_contradicts_none(world: Any) -> None:
    await take(world, row(2, sms_consent=True, phone="+4915112345678"))
    assert await again(world, phone="+4915112345678") == ("unchanged", [], [])
    assert (await again(world, sms_consent=False, phone="+4915112345678"))[1] == [("sms_consent", True, False)]


async def test_a_dry_run_remembers_nothing(world: Any) -> None:
    await take(world, row(2))
    assert (await take(world, row(2, paid_date="2026-02-20"), dry_run=True))[0] == ["changed"]
    assert (await again(world, paid_date="2026-02-20"))[0] == "changed"


async def test_a_promise_an_import_had_kept_runs_again_when_the_export_takes_the_payment_back(world: Any) -> None:
    await take(world, row(2))
    path = f"/v1/invoices/{(await invoice(world))['id']}/promises"
    await world.post(path, {"on": "2026-03-06", "amount_minor": 3_000})
    _, _, kept = await again(world, open_amount_minor=6_000)
    _, _, back = await again(world, open_amount_minor=10_000)
    assert [type(one).__name__ for one in [*kept, *back]] == [
        "PaymentReceived",
        "PromiseKept",
        "PaymentReversed",
        "PromiseReopened",
    ]
    [promise] = (await world.get(path))["data"]
    assert promise["status"] == "running"
