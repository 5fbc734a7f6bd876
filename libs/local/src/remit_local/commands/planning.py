"""What will leave, and why something did or did not."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from remit_local.cli import app, given
from remit_local.client import ApiError, Remit
from remit_local.commands.acting import money
from remit_local.console import row, say, show, table
from remit_local.days import parse_day
from remit_local.errors import RefusedError
from remit_local.folders import must_be_writable
from remit_service.wording import counted

INVOICES_SHOWN = 10

# What a message that was decided waits for, in plain words.
HELD_BY = {
    "live-off": "sending for real is off",
    "automation-off": "automation is off",
    "hours": "it is too early or too late there",
    "rate": "others go first",
    "provider-down": "the provider does not answer",
}


@app.command()
def plan(
    ctx: typer.Context,
    invoice: Annotated[str | None, typer.Argument(metavar="[INVOICE]", help="Only this one, by number or id.")] = None,
    days: Annotated[int, typer.Option("--days", min=1, max=366, help="How far to look.")] = 14,
    render: Annotated[
        Path | None, typer.Option("--render", metavar="DIR", help="Write every message there as it would read.")
    ] = None,
) -> None:
    """Every message that would leave, and everyone passed over with why."""
    from remit_local.explaining import foretold
    from remit_local.rendering import render_plan

    if render is not None:
        must_be_writable(render)
    with Remit.of(given(ctx).folder) as remit:
        number = remit.need_invoice(invoice)["number"] if invoice else None
        until = (datetime.now(UTC) + timedelta(days=days)).isoformat()
        messages, skipped = _planned(remit, until)
        messages = in_time([*_decided(remit), *messages])
        if number:
            messages = [m for m in messages if number in (item["number"] for item in m["items"])]
            skipped = [s for s in skipped if s["invoice_number"] == number]
        untrue = [one for one in messages if one["stage"] == "thanks" and not _still_paid(remit, one)]
        messages = [one for one in messages if one not in untrue]
        _tell_messages(messages, days)
        for one in untrue:
            say(f"{_numbers(one)}: the thank-you will not be sent: it is owed again.")
        for one in skipped:
            say(f"{one['invoice_number']}: {foretold(_with_inputs(remit, one))}")
        if render is not None:
            files = render_plan(remit, messages, render)
            say(f"{counted(len(files), 'file')} in {render}, as the messages would read now.")


@app.command()
def why(
    ctx: typer.Context,
    subject: Annotated[
        str, typer.Argument(metavar="INVOICE|CUSTOMER", help="An invoice's number, or a customer's id.")
    ],
    on: Annotated[
        datetime | None,
        typer.Option("--on", parser=parse_day, metavar="DATE", help="Only decisions of that day there."),
    ] = None,
) -> None:
    """Why was this customer, or was this customer not, contacted? In plain sentences."""
    day = on.date() if on else None
    with Remit.of(given(ctx).folder) as remit:
        invoice = remit.invoice(subject)
        if invoice:
            _why_invoice(remit, invoice, day)
        else:
            _why_customer(remit, subject, day)


@app.command()
def review(ctx: typer.Context) -> None:
    """List old debt that a person must let go on: it came in more than 180 days overdue; `remit release INVOICE`."""
    with Remit.of(given(ctx).folder) as remit:
        waiting = list(remit.pages("scheduler-svc", "/v1/follow-ups", under_review=True))
    if not waiting:
        say("Nothing waits for review.")
        return
    listed = table("invoice", "customer", "due", "open", right=["open"])
    for one in waiting:
        name = f"{one['customer_name']} ({one['customer_external_id']})"
        row(listed, one["number"], name, one["due_date"], money(one["balance_minor"], one["currency"]))
    show(listed)
    say("`remit release INVOICE` has one followed up from today on.")


def _planned(remit: Remit, until: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    messages: list[dict[str, Any]] = []
    skipped: list[dict[str, Any]] = []
    for page in _pages(remit, until):
        messages += page["data"]
        skipped += page["skipped"]
    return messages, in_time(skipped)


def _decided(remit: Remit) -> list[dict[str, Any]]:
    """What was decided already, invoices and thank-yous among it, and waits for its moment: one per message."""
    found: dict[str, dict[str, Any]] = {}
    for one in remit.pages("notifier-svc", "/v1/deliveries", status="pending"):
        at = one["next_attempt_at"] or one["created_at"]
        found.setdefault(one["touch_id"], one | {"at": at, "channels": []})["channels"].append(one["channel"])
    if found and not remit.get("scheduler-svc", "/v1/automation")["on"]:
        return [one | {"held_by": "automation-off"} for one in found.values()]
    return list(found.values())


def _still_paid(remit: Remit, thanks: dict[str, Any]) -> bool:
    """Whether the last check will find something to say thanks for: a payment may have been taken back since."""
    found = (remit.invoice(item["invoice_id"]) for item in thanks["items"])
    return any(one and one["status"] == "paid" for one in found)


def _numbers(message: dict[str, Any]) -> str:
    return ", ".join(item["number"] for item in message["items"])


def in_time(planned: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The services list by customer; here it is by time, then customer."""
    return sorted(planned, key=lambda one: (datetime.fromisoformat(one["at"]), one["customer_external_id"]))


def _pages(remit: Remit, until: str) -> Iterator[dict[str, Any]]:
    cursor: str | None = None
    while True:
        page = remit.get("scheduler-svc", "/v1/plans", until=until, limit=200, cursor=cursor)
        yield page
        cursor = page.get("next_cursor")
        if not cursor:
            return


def _tell_messages(messages: list[dict[str, Any]], days: int) -> None:
    within = "day" if days == 1 else counted(days, "day")
    if not messages:
        say(f"Nothing would leave in the next {within}.")
        return
    rows = table("when (UTC)", "customer", "by", "stage", "step", "tone", "about", title=f"In the next {within}")
    for one in messages:
        about = ", ".join(f"{item['number']} {money(item['amount_minor'], item['currency'])}" for item in one["items"])
        at = f"{datetime.fromisoformat(one['at']):%a %Y-%m-%d %H:%M}"
        channels = ", ".join(one["channels"])
        about += f" (waits: {HELD_BY.get(one['held_by'], one['held_by'])})" if one.get("held_by") else ""
        row(rows, at, one["customer_name"], channels, one["stage"], one["step"], one["tone"], about)
    show(rows)


def _with_inputs(remit: Remit, skipped: dict[str, Any]) -> dict[str, Any]:
    """What is held back already was explained when it was logged."""
    if not skipped["standing"]:
        return skipped
    logged = remit.pages("scheduler-svc", "/v1/decisions", invoice=skipped["invoice_id"], rule=skipped["rule"])
    same = [one["inputs"] for one in logged if one["step"] == skipped["step"]]
    return skipped | {"inputs": same[-1]} if same else skipped


def _why_invoice(remit: Remit, invoice: dict[str, Any], on: date | None) -> None:
    from remit_local.explaining import ahead, rungs_ahead
    from remit_local.sentences import standing

    customer = remit.customer(invoice["customer_id"]) or {}
    zone = customer.get("timezone")
    owed = money(invoice["balance_minor"], invoice["currency"])
    due = f"due {invoice['due_date']}" if invoice["due_date"] else "without a due date"
    say(f"Invoice {invoice['number']}: {invoice['status']}, {due}, {owed} open")
    cases = _tell_history(remit, zone, on, invoice=invoice["id"])
    if on:
        return
    for line in standing(invoice, customer):
        say(line)
    plan = _plan_of(remit, invoice["id"])
    for line in ahead(plan, zone) if plan else ():
        say(line)
    for case in cases:
        for line in rungs_ahead(case):
            say(line)


def _why_customer(remit: Remit, subject: str, on: date | None) -> None:
    from remit_local.explaining import ahead, rungs_ahead

    customer = remit.customer(subject)
    if customer is None:
        raise RefusedError(f"there is no invoice or customer {subject}: give a number, an external id or an id")
    zone = customer["timezone"]
    say(f"Customer {customer['external_id']}, {customer['name']}")
    cases = {case["invoice_id"]: case for case in _tell_history(remit, zone, on, customer=customer["id"])}
    if on:
        return
    followed = list(remit.pages("scheduler-svc", "/v1/follow-ups", customer=customer["id"]))
    for one in followed[:INVOICES_SHOWN]:
        plan = _plan_of(remit, one["invoice_id"])
        case = cases.get(one["invoice_id"])
        for line in [*(ahead(plan, zone) if plan else ()), *(rungs_ahead(case) if case else ())]:
            say(f"{one['number']}: {line}")
    if len(followed) > INVOICES_SHOWN:
        say(f"… and {len(followed) - INVOICES_SHOWN} more invoices: `remit why INVOICE`")


def _tell_history(remit: Remit, zone: str | None, on: date | None, **whose: str) -> list[dict[str, Any]]:
    """What was decided and done, on one day or ever; gives the cases."""
    from remit_local.explaining import history

    day = on.isoformat() if on else None
    decisions = remit.pages("scheduler-svc", "/v1/decisions", **whose, on=day)
    cases = list(remit.pages("escalation-svc", "/v1/cases", **whose))
    lines = history(decisions, cases, zone, on)
    for line in lines:
        say(line)
    if not lines:
        say("Nothing was decided on that day." if on else "Nothing was decided yet: no step has fallen due.")
    return cases


def _plan_of(remit: Remit, invoice_id: str) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = remit.get("scheduler-svc", f"/v1/follow-ups/{invoice_id}/plan")
    except ApiError as error:
        if error.status != 404:
            raise
        return None  # a draft is not followed
    return found
