"""The whole road as its users see it: import, reminders, payment, dispute, hold, promise, escalation, demand, the end.

Over the HTTP APIs of the four services, under a simulated clock; what is sent arrives at a real SMTP server.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from remit_testing.fixtures import MakeDatabase
from remit_testing.installations import SELLER, make_installation
from remit_testing.lapse import Lapse, lapse
from remit_testing.smtp_peer import Accepted, SmtpPeer

from remit_service.clock import SimulatedClock

BERLIN = ZoneInfo("Europe/Berlin")
ISSUED, DUE = date(2026, 3, 2), date(2026, 3, 16)
PAYS, DISPUTES, HELD, PROMISES, SILENT = "R-1", "R-2", "R-3", "R-4", "R-5"
INVOICES = (PAYS, DISPUTES, HELD, PROMISES, SILENT)
AMOUNT = 119_000


def at(day: date, hour: int, minute: int = 0) -> datetime:
    """A wall time in Berlin."""
    return datetime.combine(day, time(hour, minute), BERLIN).astimezone(UTC)


def march(day: int) -> date:
    return date(2026, 3, day)


def april(day: int) -> date:
    return date(2026, 4, day)


@dataclass
class Road:
    """A seller's system on the morning the invoices are imported."""

    lapse: Lapse
    peer: SmtpPeer
    letters: Path
    ids: dict[str, str]

    async def invoice(self, number: str, about: str, body: dict[str, Any]) -> Any:
        """POST /v1/invoices/{id}/{about}, and everything that follows from it at once."""
        answer = await self.lapse.api.post("invoice-svc", f"/v1/invoices/{self.ids[number]}/{about}", body)
        await self.lapse.settle()
        return answer

    async def pay(self, number: str, reference: str) -> None:
        body = {"invoice_number": number, "amount_minor": AMOUNT, "currency": "EUR", "reference": reference}
        await self.lapse.api.post("invoice-svc", "/v1/payments", body)
        await self.lapse.settle()

    async def sent(self, number: str) -> list[tuple[str, date, str]]:
        """What was sent about an invoice, oldest first: step, day in Berlin, channel."""
        found = await self.lapse.api.all("notifier-svc", "/v1/deliveries", invoice=number, status="sent")
        moments = [(datetime.fromisoformat(one["sent_at"]), one["step"], one["channel"]) for one in found]
        return [(step, moment.astimezone(BERLIN).date(), channel) for moment, step, channel in sorted(moments)]

    def mail(self, number: str) -> list[Accepted]:
        return self.peer.to(f"{number.lower()}@customers.example")

    async def decisions(self, number: str) -> list[tuple[str, str, str]]:
        """Step, outcome and rule, oldest first."""
        found = await self.lapse.api.all("scheduler-svc", "/v1/decisions", invoice=number)
        return [(one["step"], one["outcome"], one["rule"]) for one in found]

    async def timeline(self, number: str) -> list[dict[str, Any]]:
        return await self.lapse.api.all("invoice-svc", f"/v1/invoices/{self.ids[number]}/timeline")


@asynccontextmanager
async def road(make_database: MakeDatabase, folder: Path, events_url: str | None) -> AsyncIterator[Road]:
    clock = SimulatedClock(at(ISSUED, 8))
    with SmtpPeer() as peer:
        installation = await make_installation(
            make_database,
            folder,
            events_url=events_url,
            extras={
                "notifier-svc": peer.settings | {"letters_folder": folder / "letters"},
                "escalation-svc": {"rungs_settle_seconds": 0},
            },
            clock=clock,
        )
        async with lapse(installation, clock) as running:
            live = {"on": True, "seller_name": SELLER["name"], "by": "Mara Lind"}
            await running.api.put("notifier-svc", "/v1/live-mode", live)
            ids = await imported(running)
            yield Road(running, peer, folder / "letters", ids)


async def imported(running: Lapse) -> dict[str, str]:
    """Imports five invoices of five customers as `remit import` does, and again, which changes nothing."""
    for status in ("created", "unchanged"):
        about = {"file_name": "open-items.csv", "rows_total": len(INVOICES), "dry_run": False, "live": True}
        run = await running.api.post("invoice-svc", "/v1/imports", about)
        rows = {"rows": [row(line, number) for line, number in enumerate(INVOICES, start=2)]}
        answer = await running.api.post("invoice-svc", f"/v1/imports/{run['id']}/rows", rows)
        assert [one["status"] for one in answer["results"]] == [status] * len(INVOICES), answer
        done = await running.api.post("invoice-svc", f"/v1/imports/{run['id']}/finish", {})
        assert done[status] == len(INVOICES)
    await running.settle()
    found = await running.api.all("invoice-svc", "/v1/invoices")
    return {one["number"]: one["id"] for one in found}


def row(line: int, number: str) -> dict[str, Any]:
    return {
        "line": line,
        "customer_external_id": f"C-{number}",
        "customer_name": f"Blumen {number} KG",
        "email": f"{number.lower()}@customers.example",
        "profile": "business",
        "country": "DE",
        "language": "en",
        "address": "Marktplatz 5\n10115 Berlin",
        "invoice_number": number,
        "issue_date": ISSUED.isoformat(),
        "due_date": DUE.isoformat(),
        "amount_minor": AMOUNT,
        "currency": "EUR",
        "disputed": False,
    }


async def test_from_import_to_the_end_of_the_road(
    make_database: MakeDatabase, tmp_path: Path, events_url: str | None
) -> None:
    async with road(make_database, tmp_path, events_url) as on:
        await the_first_messages(on)
        await what_stops_reminders(on)
        await what_lets_them_go_on(on)
        await the_demand_and_the_end(on)
        await every_step_has_one_end(on)
    assert len(on.peer.ledger) == len(on.peer.by_delivery())


async def the_first_messages(on: Road) -> None:
    for number in INVOICES:
        [invoice] = on.mail(number)
        assert number in invoice.subject
        assert "1,190.00" in invoice.text
        assert str(invoice.message["From"]) == f"{SELLER['name']} <{SELLER['sender_email']}>"
    await on.lapse.until(at(march(9), 8, 59))
    assert len(on.peer.ledger) == len(INVOICES), "nothing before the window opens"
    await on.lapse.until(at(march(9), 9))
    for number in INVOICES:
        assert await on.sent(number) == [("invoice", ISSUED, "email"), ("courtesy", march(9), "email")]
    plan = await on.lapse.api.get("scheduler-svc", "/v1/plans", until=at(march(14), 0).isoformat())
    planned = [(one["step"], item["number"]) for one in plan["data"] for item in one["items"]]
    assert sorted(planned) == [("tomorrow", number) for number in INVOICES]


async def what_stops_reminders(on: Road) -> None:
    """On 11 March one pays, one disputes, one is held, one promises; only the silent one hears more."""
    await on.lapse.until(at(march(11), 10))
    await on.pay(PAYS, "SEPA R-1")
    thanks = on.mail(PAYS)[-1]
    assert "thank" in thanks.subject.lower()
    await on.invoice(DISPUTES, "disputes", {"reason": "two of five boxes arrived"})
    await on.invoice(HELD, "hold", {"reason": "they are moving house"})
    await on.invoice(PROMISES, "promises", {"on": march(25).isoformat()})
    await on.lapse.until(at(march(17), 18))
    first = [("invoice", ISSUED, "email"), ("courtesy", march(9), "email")]
    assert await on.sent(PAYS) == [*first, ("thanks", march(11), "email")]
    for number in (DISPUTES, HELD, PROMISES):
        assert await on.sent(number) == first
    # The 15th is a Sunday.
    assert await on.sent(SILENT) == [*first, ("tomorrow", march(13), "email"), ("day-after", march(17), "email")]
    assert ("tomorrow", "suppressed", "disputed") in await on.decisions(DISPUTES)
    assert ("tomorrow", "deferred", "held") in await on.decisions(HELD)
    assert ("tomorrow", "deferred", "promise") in await on.decisions(PROMISES)


async def what_lets_them_go_on(on: Road) -> None:
    """A release lets the hardest missed step go at once; a broken promise resumes one step harder."""
    await on.lapse.until(at(march(18), 12))
    await on.invoice(HELD, "release", {"reason": "they have moved"})
    assert (await on.sent(HELD))[-1] == ("day-after", march(18), "email")
    assert ("tomorrow", "skipped", "too-late") in await on.decisions(HELD)
    # Promised for the 25th, one business day of grace; the second reminder would have been due on the 23rd.
    await on.lapse.until(at(march(26), 23))
    assert (await on.sent(PROMISES))[-1][0] == "courtesy"
    await on.lapse.until(at(march(27), 9))
    assert (await on.sent(PROMISES))[-1] == ("third", march(27), "email")
    types = [one["type"] for one in await on.timeline(PROMISES)]
    assert "com.remit.promise.broken.v1" in types


async def the_demand_and_the_end(on: Road) -> None:
    """Three reminders, a task, an approval, a demand by e-mail and letter, and the payment that ends the case."""
    api = on.lapse.api
    await on.lapse.until(at(april(19), 12))
    assert await api.all("escalation-svc", "/v1/approvals", status="pending") == []
    assert {one["invoice_number"] for one in await api.all("escalation-svc", "/v1/tasks")} >= {SILENT}
    await on.lapse.until(at(april(20), 10))
    waiting = {one["invoice_number"]: one for one in await api.all("escalation-svc", "/v1/approvals", status="pending")}
    assert waiting.keys() == {HELD, SILENT}, "the promise cost one reminder: there are not three yet"
    path = f"/v1/approvals/{waiting[SILENT]['id']}"
    preview = await api.get("escalation-svc", f"{path}/preview")
    assert SILENT in preview["rendered"]["text"]
    before = len(on.mail(SILENT))
    await api.post("escalation-svc", f"{path}/approve", {"by": "Mara Lind", "reason": "called twice"})
    refusal = {"by": "Mara Lind", "reason": "they are insolvent"}
    await api.post("escalation-svc", f"/v1/approvals/{waiting[HELD]['id']}/reject", refusal)
    await on.lapse.settle()
    [demand] = on.mail(SILENT)[before:]
    assert demand.subject == preview["rendered"]["subject"]
    assert {channel for step, day, channel in await on.sent(SILENT) if day == april(20)} == {"email", "letter"}
    assert [path for path in on.letters.rglob("*.pdf") if path.read_bytes().startswith(b"%PDF")]
    assert not [one for one in await on.sent(HELD) if one[1] == april(20)]
    await on.lapse.until(at(april(22), 11))
    await on.pay(SILENT, "SEPA R-5")
    await on.lapse.until(at(date(2026, 6, 30), 12))
    assert (await on.sent(SILENT))[-1] == ("thanks", april(22), "email")
    [case] = await api.all("escalation-svc", "/v1/cases", invoice=SILENT)
    assert (case["status"], case["outcome"]) == ("closed", "paid")
    await all_four_tell_it(on)


async def all_four_tell_it(on: Road) -> None:
    """The timeline has the events of all four services about the silent one's invoice, in the order they happened."""
    events = await on.timeline(SILENT)
    assert [one["time"] for one in events] == sorted(one["time"] for one in events)
    assert {one["source"] for one in events} == {
        "/invoice-svc",
        "/scheduler-svc",
        "/notifier-svc",
        "/escalation-svc",
    }
    told = [(one["type"].removeprefix("com.remit.").removesuffix(".v1"), one["data"].get("step")) for one in events]
    story = [
        ("invoice.issued", None),
        ("reminder.sent", "invoice"),
        *[(kind, step) for step in ("courtesy", "tomorrow", "day-after", "second", "third") for kind in REMINDED],
        ("escalation.triggered", None),
        *[(kind, "final-notice") for kind in REMINDED],
        ("escalation.triggered", None),
        *[(kind, "formal-demand") for kind in REMINDED],
        ("payment.received", None),
        ("invoice.paid", None),
    ]
    left = iter(told)
    for happened in story:
        assert happened in left, f"{happened} is not there, or not in its place: {told}"
    # The case ends and thanks go at the same instant: neither waits for the other.
    assert {("escalation.resolved", None), ("reminder.sent", "thanks")} <= set(left)


REMINDED = ("payment.due", "reminder.sent")


async def every_step_has_one_end(on: Road) -> None:
    """And the log says which: why each invoice was, or was not, written about."""
    ends = {number: [d for d in await on.decisions(number) if d[1] != "deferred"] for number in INVOICES}
    for number, found in ends.items():
        steps = [step for step, _, _ in found]
        assert len(steps) == len(set(steps)), f"{number}: {found}"
    assert ends[PAYS] == [("courtesy", "sent", "sent")], "the payment came before any other step fell due"
    assert [end for end in ends[SILENT] if end[0] != "formal-demand"] == [
        (step, "sent", "sent") for step in ("courtesy", "tomorrow", "day-after", "second", "third", "final-notice")
    ]
    assert {rule for _, outcome, rule in ends[DISPUTES] if outcome == "suppressed"} == {"disputed"}
