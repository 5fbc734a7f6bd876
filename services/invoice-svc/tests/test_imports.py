"""Imports: good rows go in, the same file changes nothing, tomorrow's says exactly what changed."""

from __future__ import annotations

from typing import Any

import pytest
from remit_testing.import_rows import Import, balance, row, take
from remit_testing.statements import sent_by

FIRST = [
    row(2),
    row(3, paid_date="2026-02-20"),
    row(4, open_amount_minor=4_000),
    row(5, disputed=True, paid_date="2026-02-01"),
    row(6, disputed=True, customer_external_id="K-2", customer_name="Meyer", timezone="Europe/Berlin"),
]


async def test_a_first_import_and_the_same_file_again(world: Any) -> None:
    statuses, summary = await take(world, *FIRST)
    assert statuses == ["created"] * 5
    assert (summary["created"], summary["rejected"], summary["gone"]) == (5, 0, [])
    assert await balance(world, "I-2") == ("issued", 10_000, 0)
    assert await balance(world, "I-3") == ("paid", 0, 0)
    assert await balance(world, "I-4") == ("partly_paid", 4_000, 0)
    assert await balance(world, "I-5") == ("paid", 0, 0)
    assert await balance(world, "I-6") == ("issued", 10_000, 10_000)
    names = await world.event_names()
    assert names == [
        "CustomerChanged",
        "CustomerChanged",
        "InvoiceIssued",
        *("InvoiceIssued", "PaymentReceived", "InvoicePaid"),
        *("InvoiceIssued", "PaymentReceived"),
        *("InvoiceIssued", "DisputeOpened", "PaymentReceived", "InvoicePaid"),
        *("InvoiceIssued", "DisputeOpened"),
    ]
    [payment] = (await world.get("/v1/payments", reference="import:I-3"))["data"]
    assert (payment["provider"], payment["received_on"], payment["amount_minor"]) == ("import", "2026-02-20", 10_000)
    again, summary = await take(world, *FIRST)
    assert again == ["unchanged"] * 5
    assert (summary["unchanged"], summary["conflicts"]) == (5, 0)
    assert await world.events() == []


async def test_tomorrows_export_says_exactly_what_changed(world: Any) -> None:
    await take(world, *FIRST)
    await world.events()
    statuses, summary = await take(
        world,
        row(2, paid_date="2026-03-01"),
        row(3, paid_date="2026-02-20"),
        row(4, open_amount_minor=1_500),
        row(5, disputed=False, paid_date="2026-02-01"),
        row(6, disputed=False, customer_external_id="K-2", customer_name="Meyer", timezone="Europe/Berlin"),
    )
    assert statuses == ["changed", "unchanged", "changed", "changed", "changed"]
    assert [one["changes"] for one in summary["results"]] == [
        [
            {"field": "paid_date", "from": None, "to": "2026-03-01"},
            {"field": "open_amount_minor", "from": 10_000, "to": 0},
        ],
        [],
        [{"field": "open_amount_minor", "from": 4_000, "to": 1_500}],
        [{"field": "disputed", "from": True, "to": False}],
        [{"field": "disputed", "from": True, "to": False}],
    ]
    assert await balance(world, "I-2") == ("paid", 0, 0)
    assert await balance(world, "I-4") == ("partly_paid", 1_500, 0)
    assert await balance(world, "I-6") == ("issued", 10_000, 0)
    assert await world.event_names() == [
        "PaymentReceived",
        "InvoicePaid",
        "PaymentReceived",
        "DisputeResolved",
        "DisputeResolved",
    ]


async def test_other_differences_are_conflicts(world: Any) -> None:
    await take(world, row(2), row(3))
    await world.events()
    statuses, summary = await take(
        world,
        row(2, email="new@x.example", amount_minor=12_000, due_date="2026-02-10", customer_name="Kessler & Co"),
        row(3, customer_external_id="K-9", currency="USD"),
    )
    assert statuses == ["conflict", "conflict"]
    assert summary["conflicts"] == 2
    first, second = (one["conflicts"] for one in summary["results"])
    assert {one["field"]: (one["ours"], one["theirs"]) for one in first} == {
        "due_date": ("2026-02-09", "2026-02-10"),
        "amount_minor": (10_000, 12_000),
        "customer_name": ("Kessler KG", "Kessler & Co"),
        "email": ("kessler@x.example", "new@x.example"),
    }
    assert {one["field"] for one in second} == {"customer_external_id", "currency"}
    assert [name for name in await world.event_names() if name != "CustomerChanged"] == []


async def test_a_change_goes_in_beside_a_conflict(world: Any) -> None:
    await take(world, row(2))
    [status], summary = await take(world, row(2, paid_date="2026-02-28", amount_minor=9_000))
    assert status == "changed"
    assert summary["results"][0]["conflicts"] == [{"field": "amount_minor", "ours": 10_000, "theirs": 9_000}]
    assert await balance(world, "I-2") == ("paid", 0, 0)


async def test_imported_money_the_export_no_longer_shows_is_a_conflict(world: Any) -> None:
    await take(world, row(2, paid_date="2026-02-20"), row(3, open_amount_minor=4_000))
    await world.events()
    statuses, summary = await take(world, row(2), row(3))
    assert statuses == ["conflict", "conflict"]
    assert [one["conflicts"] for one in summary["results"]] == [
        [{"field": "paid_date", "ours": "2026-02-20", "theirs": None}],
        [{"field": "open_amount_minor", "ours": 4_000, "theirs": None}],
    ]
    assert await world.events() == []


@pytest.mark.parametrize("amount", [10_000, 3_000])
async def test_money_people_recorded_contradicts_no_blank(world: Any, amount: int) -> None:
    await take(world, row(2))
    [invoice] = (await world.get("/v1/invoices", number="I-2"))["data"]
    await world.pay(invoice, amount, received_on="2026-03-01")
    await world.events()
    statuses, summary = await take(world, row(2))
    assert (statuses, summary["conflicts"]) == (["unchanged"], 0)
    # Nor is it taken back by a file that says something.
    assert (await take(world, row(2, open_amount_minor=9_000)))[0] == ["conflict"]
    assert await world.events() == []


async def test_what_is_open_is_no_difference_where_only_the_amount_differs(world: Any) -> None:
    await take(world, row(2))
    _, summary = await take(world, row(2, amount_minor=11_000, open_amount_minor=10_000))
    assert [one["field"] for one in summary["results"][0]["conflicts"]] == ["amount_minor"]


async def test_an_imported_payment_is_taken_back_and_dated_anew(world: Any) -> None:
    await take(world, row(2, open_amount_minor=3_000), row(3, paid_date="2026-02-20"))
    await world.events()
    statuses, _ = await take(world, row(2, open_amount_minor=8_000), row(3, paid_date="2026-02-25"))
    assert statuses == ["changed", "changed"]
    assert await balance(world, "I-2") == ("partly_paid", 8_000, 0)
    assert await balance(world, "I-3") == ("paid", 0, 0)
    names = ["PaymentReversed", "PaymentReceived"]
    assert await world.event_names() == [*names, *names, "InvoicePaid"]
    [payment] = (await world.get("/v1/payments", reference="import-2:I-3"))["data"]
    assert payment["received_on"] == "2026-02-25"
    again, _ = await take(world, row(2, open_amount_minor=8_000), row(3, paid_date="2026-02-25"))
    assert again == ["unchanged", "unchanged"]


async def test_gone_invoices_are_listed_and_left_alone(world: Any) -> None:
    await take(world, row(2), row(3, paid_date="2026-02-20"), row(4), row(5))
    await world.invoice(number="BY-HAND")
    [void] = (await world.get("/v1/invoices", number="I-5"))["data"]
    await world.post(f"/v1/invoices/{void['id']}/void", {"reason": "x"}, 200)
    run = await Import.begin(world)
    await run.rows(row(4, amount_minor=0))
    await world.events()
    summary = await run.finish()
    # Line 4 is refused, yet its invoice is in the file.
    assert (summary["gone"], summary["gone_open"]) == (["I-2", "I-3"], ["I-2"])
    assert summary["rejected"] == 1
    assert await run.finish() == summary
    assert await world.events() == []
    late = await world.client.post(f"/v1/imports/{run.run['id']}/rows", json={"rows": [row(9)]})
    assert late.json()["type"] == "urn:remit:problem:import-finished"
    other = await Import.begin(world)
    await other.rows(row(2))
    assert (await other.finish({"present": ["I-4"]}))["gone"] == ["I-3"]


BAD = [
    (row(2, amount_minor=0), "/amount_minor"),
    (row(3, email="no address"), "/email"),
    (row(4, due_date="2026-01-09"), "/due_date"),
    (row(5, paid_date="2026-03-03"), "/paid_date"),
    (row(6, open_amount_minor=10_001), "/open_amount_minor"),
    (row(7, paid_date="2026-02-01", open_amount_minor=10_000), "/open_amount_minor"),
    (row(8, country=""), "/country"),
    (row(9, timezone="Nowhere"), "/timezone"),
    (row(10, currency="EURO"), "/currency"),
    (row(11, colour="red"), "/colour"),
    (row(12, customer_name="nul\x00"), "/customer_name"),
    (row(13, invoice_number="n\x00ul"), "/invoice_number"),
    (row(14, issue_date="01/02/2026"), "/issue_date"),
    (row(16, invoice_number="I-15"), "/invoice_number"),
    (row(17, paid_date="2026-03-03", customer_external_id="K-new"), "/paid_date"),
]


async def test_a_bad_row_never_stops_the_others(world: Any) -> None:
    run = await Import.begin(world, rows_total=17)
    rows = [*(bad for bad, _ in BAD), row(18)]
    rows.insert(13, row(15))
    results = await run.rows(*rows)
    good = {one["line"] for one in results if one["status"] == "created"}
    assert good == {15, 18}
    found = {one["line"]: one for one in results}
    for bad, pointer in BAD:
        problem = found[bad["line"]]["problem"]
        assert [error["pointer"] for error in problem["errors"]] == [pointer], problem
        assert problem["errors"][0]["detail"]
    listed = await world.get(f"/v1/imports/{run.run['id']}/rejected", limit=10)
    assert [one["line"] for one in listed["data"]] == [bad["line"] for bad, _ in BAD][:10]
    assert found[16]["problem"]["errors"][0]["detail"].startswith("Line 15 of this file")
    # A customer whose only row was refused was not made.
    assert (await world.get("/v1/customers", external_id="K-new"))["data"] == []


async def test_a_chunk_sent_twice_and_a_number_repeated_in_a_later_chunk(world: Any) -> None:
    run = await Import.begin(world)
    first = await run.rows(row(2), row(3))
    await world.events()
    assert await run.rows(row(2), row(3)) == first
    [later] = await run.rows(row(4, invoice_number="I-2"))
    assert later["status"] == "rejected"
    assert await world.events() == []
    answer = await world.client.post(f"/v1/imports/{run.run['id']}/rows", json={"rows": [{"invoice_number": "x"}]})
    assert answer.json()["errors"][0]["pointer"] == "/rows/0/line"


async def test_dry_run_computes_everything_and_keeps_nothing(world: Any) -> None:
    await take(world, row(2))
    await world.events()
    statuses, summary = await take(world, row(2, paid_date="2026-03-01"), row(3), row(4, amount_minor=-1), dry_run=True)
    assert statuses == ["changed", "created", "rejected"]
    assert (summary["changed"], summary["created"], summary["rejected"]) == (1, 1, 1)
    assert await world.events() == []
    assert (await world.get("/v1/invoices", number="I-3"))["data"] == []
    assert await balance(world, "I-2") == ("issued", 10_000, 0)


async def test_not_live_leaves_what_is_to_come(world: Any) -> None:
    [status], summary = await take(world, row(2, paid_date="2026-03-20"), live=False)
    assert status == "created"
    assert await balance(world, "I-2") == ("issued", 10_000, 0)
    assert any("still to come" in note for note in summary["notes"])


async def test_notes(world: Any) -> None:
    _, summary = await take(
        world,
        row(2),
        row(3, customer_external_id="K-3", customer_name="Kessler", due_date=None),
        row(4, customer_external_id="K-4", email=None, country="US"),
        row(5, customer_external_id="K-5", email=None, country="VA"),
    )
    notes = "\n".join(summary["notes"])
    assert "K-1: time zone Europe/Berlin filled in" in notes
    assert "Invoice I-3 has no due date" in notes
    assert "K-4: US has several time zones" in notes
    assert "K-1 has the same e-mail address as K-3" in notes
    assert "K-3 has the same e-mail address as K-1" in notes


async def test_issued_now_whatever_the_issue_date(world: Any) -> None:
    await take(world, row(2))
    [invoice] = (await world.get("/v1/invoices", number="I-2"))["data"]
    assert (invoice["issue_date"], invoice["issued_at"]) == ("2026-01-10", "2026-03-02T09:00:00Z")


async def test_void_here_is_a_conflict(world: Any) -> None:
    await take(world, row(2))
    [invoice] = (await world.get("/v1/invoices", number="I-2"))["data"]
    await world.post(f"/v1/invoices/{invoice['id']}/void", {"reason": "x"}, 200)
    [status], summary = await take(world, row(2, paid_date="2026-03-01", disputed=True))
    assert status == "conflict"
    assert summary["results"][0]["conflicts"] == [{"field": "status", "ours": "void", "theirs": "paid"}]


@pytest.mark.parametrize("days", [["2026-02-20", "2026-02-20"]])
async def test_disputed_again_on_a_paid_invoice(world: Any, days: list[str]) -> None:
    await take(world, row(2, paid_date=days[0]))
    await world.events()
    [status], _ = await take(world, row(2, paid_date=days[1], disputed=True))
    assert status == "changed"
    [event] = await world.events()
    assert (type(event).__name__, event.amount_minor, event.invoice.disputed_minor) == ("DisputeOpened", 10_000, 0)
    assert (await take(world, row(2, paid_date=days[1], disputed=True)))[0] == ["unchanged"]


async def test_an_import_of_a_thousand_rows_sends_as_many_statements_as_one_of_two(world: Any) -> None:
    def lines(count: int, series: str, **given: Any) -> list[Any]:
        return [
            row(n + 2, invoice_number=f"{series}-{n}", customer_external_id=f"{series}{n % 90}", **given)
            for n in range(count)
        ]

    counts = []
    for count, series in ((2, "small"), (300, "large")):
        await take(world, *lines(count, series, open_amount_minor=5_000, disputed=True))
        run = await Import.begin(world)
        with sent_by(world.service.db.engine) as sent:
            results = await run.rows(*lines(count, series, paid_date="2026-02-20", disputed=False))
        assert {one["status"] for one in results} == {"changed"}
        counts.append(len(sent))
    assert counts[0] == counts[1] <= 30, counts
