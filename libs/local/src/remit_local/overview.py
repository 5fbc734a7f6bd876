"""What `remit run` shows once all is up: sent to whom and why, planned next, where to look, what to try."""

from __future__ import annotations

import shlex
import shutil
import sys
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from remit_local.client import Remit
from remit_local.commands.acting import money
from remit_local.commands.planning import in_time
from remit_local.console import row, say, show, table
from remit_local.explaining import review_needed
from remit_local.home import DEFAULT, SERVICES, Home
from remit_local.right_now import why_not_now
from remit_local.sending_state import sending_state
from remit_service.wording import counted

SENT_SHOWN = 14
PLANNED_SHOWN = 8
PLANNED_DAYS = 14
LONGEST_DAYS = 365  # as far as plans reach


def overview(remit: Remit, home: Home, urls: dict[str, str]) -> None:
    """The whole of it."""
    tell_sent(remit)
    _tell_planned(remit, program(home))
    _tell_reviews(remit, program(home))
    _tell_waiting(remit)
    say(f"Mailbox: {shown(home.mailbox)} (.eml files; SMS as .sms.txt and letters as .letter.pdf beside them)")
    for line in sending_state(remit):
        say(line)
    docs = ", ".join(f"{urls[name]}/docs ({name.removesuffix('-svc')})" for name in SERVICES)
    say(f"API docs: {docs}")
    say()
    say("Try next:")
    for command in suggestions(remit, home, urls):
        say(f"  {command}")
    say()


def tell_sent(remit: Remit) -> None:
    """The latest messages, oldest first."""
    newest = list(islice(remit.pages("notifier-svc", "/v1/deliveries", status="sent", newest_first=True), 1000))
    if not newest:
        say("Nothing has been sent yet.")
        return
    count = counted(len(newest), "message") if len(newest) < 1000 else "more than 1,000 messages"
    latest = f", the latest {SENT_SHOWN}" if len(newest) > SENT_SHOWN else ""
    sent = table(
        "when (UTC)",
        "to",
        "by",
        "why",
        "message",
        title=f"Sent: {count}{latest}",
        cut=["when (UTC)", "message"],
    )
    for one in sorted(newest, key=_sent_at)[-SENT_SHOWN:]:
        at = f"{_sent_at(one):%a %Y-%m-%d %H:%M}"
        row(sent, at, one["customer_name"], one["channel"], why_sent(one), one["subject"])
    show(sent)
    say()


def _sent_at(delivery: dict[str, Any]) -> datetime:
    """They are listed by when they were decided, and one of them may have waited."""
    return datetime.fromisoformat(delivery["sent_at"])


def why_sent(delivery: dict[str, Any]) -> str:
    """In a few words: which step, and how far each invoice is from its due date."""
    if delivery["stage"] == "invoice":
        return "issued"
    if delivery["stage"] == "thanks":
        return "paid in full"
    items = ", ".join(f"{item['number']} {_distance(item['days_overdue'])}" for item in delivery["items"][:3])
    more = f" and {len(delivery['items']) - 3} more" if len(delivery["items"]) > 3 else ""
    return f"step {delivery['step']}: {items}{more}"


def _distance(days: int) -> str:
    if days == 0:
        return "is due today"
    count = counted(abs(days), "day")
    return f"is {count} overdue" if days > 0 else f"is due in {count}"


def _tell_planned(remit: Remit, remit_: str) -> None:
    now = datetime.now(UTC)
    planned = _planned_until(remit, now + timedelta(days=PLANNED_DAYS))
    first = next(iter(planned or _planned_until(remit, now + timedelta(days=LONGEST_DAYS))), None)
    reason = why_not_now(remit, first, now) if first else _why_none(remit, remit_)
    if reason:
        say(reason)
    if not planned:
        return
    rows = table("when (UTC)", "to", "by", "step", "about", title=f"Planned: {len(planned)} in {PLANNED_DAYS} days")
    for one in planned[:PLANNED_SHOWN]:
        about = ", ".join(
            f"{item['number']} {money(item['amount_minor'], item['currency'])}" for item in one["items"][:3]
        )
        at = f"{datetime.fromisoformat(one['at']):%a %Y-%m-%d %H:%M}"
        row(rows, at, one["customer_name"], ", ".join(one["channels"]), one["step"], about)
    show(rows)
    say()


def _why_none(remit: Remit, remit_: str) -> str:
    open_one = next(remit.pages("invoice-svc", "/v1/invoices", status="open", limit=1), None)
    if open_one is None:
        return "No message is planned: there is no open invoice to follow."
    return f"No message is planned. What stands in the way: {remit_} why {shlex.quote(open_one['number'])}"


def _tell_reviews(remit: Remit, remit_: str) -> None:
    waiting = list(islice(remit.pages("scheduler-svc", "/v1/follow-ups", under_review=True), 1000))
    if waiting:
        say(f"{review_needed(len(waiting))}: {remit_} review")


def _planned_until(remit: Remit, until: datetime) -> list[dict[str, Any]]:
    return in_time(list(islice(remit.pages("scheduler-svc", "/v1/plans", until=until.isoformat()), 500)))


def _tell_waiting(remit: Remit) -> None:
    for one in remit.pages("escalation-svc", "/v1/approvals", status="pending"):
        owed = money(one["balance_minor"], one["currency"])
        say(
            f"Waits for your approval: {one['rung']} for {one['invoice_number']} of {one['customer_name']}, {owed}, "
            f"{counted(one['days_overdue'], 'day')} overdue after {counted(one['reminders_sent'], 'reminder')}"
        )


def suggestions(remit: Remit, home: Home, urls: dict[str, str]) -> list[str]:
    """Five commands that work as printed here and now."""
    remit_ = program(home)
    overdue = list(islice(remit.pages("invoice-svc", "/v1/invoices", status="open", overdue=True), 20))
    some = overdue or list(islice(remit.pages("invoice-svc", "/v1/invoices", status="open"), 20))
    waiting = next(remit.pages("escalation-svc", "/v1/approvals", status="pending"), None)
    number = waiting["invoice_number"] if waiting else some[0]["number"] if some else None
    commands = [f"{remit_} plan --days {PLANNED_DAYS} --render out/plan"]
    if number:
        commands.append(f"{remit_} why {shlex.quote(number)}")
    commands.append(f"{remit_} approvals")
    other = next((one for one in some if one["number"] != number), None)
    if other:
        amount = money(other["balance_minor"], other["currency"]).split()[0].replace(",", "")
        paid = shlex.quote(other["number"])  # a reference of its own each time, as one counts once
        commands.append(f"{remit_} pay {paid} {amount} --ref {shlex.quote('bank-' + other['number'])}")
    key = shlex.quote(str(shown(home.key_file)))
    commands.append(f"curl -H \"Authorization: Bearer $(cat {key})\" '{urls['invoice-svc']}/v1/invoices?overdue=true'")
    return commands


def program(home: Home) -> str:
    """How this very command is called from here, for this data folder."""
    called = Path(sys.argv[0])
    if called.name != "remit":
        name = f"{shlex.quote(sys.executable)} -m remit_local"
    else:
        found = shutil.which("remit")
        name = "remit" if found and Path(found).resolve() == called.resolve() else shlex.quote(str(shown(called)))
    if home.folder == DEFAULT.resolve():  # not REMIT_DATA: another terminal may not have it
        return name
    return f"{name} --data {shlex.quote(str(shown(home.folder)))}"


def shown(path: Path) -> Path:
    """A path relative to the working directory where it lies below it."""
    try:
        return path.absolute().relative_to(Path.cwd())
    except ValueError:
        return path
