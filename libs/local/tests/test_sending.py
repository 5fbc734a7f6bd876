"""What `remit run` says about sending right now, and `remit live on`, which counts what then leaves."""

from __future__ import annotations

import asyncio
import csv
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from remit_testing.ports import free_ports
from remit_testing.smtp import MailServer
from remit_testing.terminal import RemitRun, Terminal

from remit_local.right_now import closed_because
from scheduler_svc.days import Days
from scheduler_svc.policy import WindowSpec

OFFICE = WindowSpec.model_validate({"days": "business", "from": "09:00", "to": "17:00"})
LACKS = "sender_email, reply_to, a way to pay (iban or payment_link)"
COLUMNS = ("customer_id", "customer_name", "country", "timezone", "email", "profile", "invoice_number", "due_date")


@pytest.mark.parametrize(
    ("at", "said"),
    [
        ("2026-11-22T18:40", "it is a Sunday (Sun 2026-11-22 19:40 CET)"),
        ("2026-11-23T07:59", "it is before hours (Mon 2026-11-23 08:59 CET)"),
        ("2026-11-23T16:00", "it is after hours (Mon 2026-11-23 17:00 CET)"),
        ("2026-12-25T10:00", "it is a day off (Christmas Day) (Fri 2026-12-25 11:00 CET)"),
        ("2026-11-23T08:00", None),
    ],
)
def test_why_nothing_may_be_sent(at: str, said: str | None) -> None:
    days = Days(OFFICE, "DE", "Europe/Berlin", "business")
    assert closed_because(days, datetime.fromisoformat(at).replace(tzinfo=UTC)) == said


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    with TemporaryDirectory(prefix="remit-sending-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        yield Terminal(Path(folder))


def zone_where_it_is(hour: int) -> str:
    """A zone without a summer time in which it is that hour now, or the same on another date."""
    offset = (hour - datetime.now(UTC).hour + 12) % 24 - 12
    return f"Etc/GMT{-offset:+d}"


def write_ledger(folder: Path) -> None:
    """The next to be written to is a customer whose night it is; the later invoice is to be paid, where it is day."""
    today = datetime.now(UTC).date()
    rows = [
        ("C1", "Nacht GmbH", "DE", zone_where_it_is(3), "ap@nacht.example", "business", "N-1", today + timedelta(14)),
        ("C2", "Tag GmbH", "DE", zone_where_it_is(11), "ap@tag.example", "business", "T-1", today + timedelta(28)),
    ]
    same = {"issue_date": today - timedelta(5), "amount": "100.00", "currency": "EUR"}
    with (folder / "own.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [*COLUMNS, *same])
        writer.writeheader()
        writer.writerows(dict(zip(COLUMNS, row, strict=True)) | same for row in rows)


async def test_going_live(terminal: Terminal) -> None:
    write_ledger(terminal.folder)
    remit = "remit --data .remit-own "
    async with MailServer() as mail:
        smtp = {"SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(mail.port), "SMTP_SECURITY": "none"}
        terminal.environment |= smtp | {"DELIVERY_MODE": "live"}
        with RemitRun(terminal, "--invoices", "own.csv", "--port", str(free_ports())) as running:
            said = await asyncio.to_thread(running.ready, 90)
            assert re.search(r"Nothing may be sent right now: it is (a S\w+day|before hours|a day off)", said)
            assert re.search(r"policy business writes on working days from 09:00 to 17:00\. The next message", said)
            assert "DELIVERY_MODE is live, but nothing leaves before `remit live on`." in said
            assert f"The seller lacks {LACKS}: `remit" in said
            done = await asyncio.to_thread(terminal.typed, f"{remit}live on --seller Nobody")
            assert (done.returncode, done.stdout) == (2, ""), "refused before anything is counted or asked"
            assert done.stderr == f"the seller lacks {LACKS}: `remit seller set` adds it\n"
            done = await asyncio.to_thread(terminal.typed, f"{remit}seller set name=")
            assert done.stderr == "name: This may not be empty; give a value.\n"
            for line in (
                "seller set name=Acme sender_email=billing@acme.example reply_to=ar@acme.example",
                "seller set iban=DE89370400440532013000",
                "pay T-1 100.00 --ref bank-1",
            ):
                done = await asyncio.to_thread(terminal.typed, remit + line)
                assert done.returncode == 0, done.stderr
            waiting = (
                "Today 1 message would leave, to 1 customer: 1 decided already and waiting, 0 planned until midnight."
            )
            await said_soon(terminal, f"{remit}live on --seller nobody", waiting)
            assert mail.messages == []
            done = await asyncio.to_thread(terminal.typed, f"{remit}live on --seller Acme")
            assert waiting in done.stdout
            assert "Messages leave for real from now on." in done.stdout
            async with asyncio.timeout(60):
                while not mail.messages:  # noqa: ASYNC110 - another process sends
                    await asyncio.sleep(0.1)
    assert [message.recipients for message in mail.messages] == [["ap@tag.example"]]


async def said_soon(terminal: Terminal, line: str, words: str) -> None:
    """Events travel: types it until it says so."""
    for _ in range(30):
        done = await asyncio.to_thread(terminal.typed, line)
        if words in done.stdout:
            return
    raise AssertionError(done.stdout + done.stderr)
