"""What will leave, and why something did or did not."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from remit_local.cli import app, given
from remit_local.client import ApiError, Remit
from remit_local.commands.acting import money
from remit_local.console import complain, row, say, show, table
from remit_local.errors import RefusedError


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
    from remit_local.rendering import render_plan

    with Remit.of(given(ctx).folder) as remit:
        number = remit.need_invoice(invoice)["number"] if invoice else None
        until = (datetime.now(UTC) + timedelta(days=days)).isoformat()
        messages, skipped = _planned(remit, until)
        if number:
            messages = [m for m in messages if number in (item["number"] for item in m["items"])]
            skipped = [s for s in skipped if s["invoice_number"] == number]
        _tell_messages(messages, days)
        _tell_skipped(skipped)
        if render is not None:
            files = render_plan(remit, messages, render)
            say(f"{len(files)} files in {render}, as the messages would read now.")


@app.command()
def why(
    ctx: typer.Context,
    subject: Annotated[
        str, typer.Argument(metavar="INVOICE|CUSTOMER", help="An invoice's number, or a customer's id.")
    ],
    on: Annotated[
        datetime | None,
        typer.Option("--on", formats=["%Y-%m-%d"], metavar="DATE", help="Only decisions of that day there."),
    ] = None,
) -> None:
    """Why was this customer, or was this customer not, contacted? In plain sentences."""
    with Remit.of(given(ctx).folder) as remit:
        about, params = _subject(remit, subject)
        day = on.date().isoformat() if on else None
        decisions = list(remit.pages("scheduler-svc", "/v1/decisions", **params, on=day))
        say(about)
        _tell_decisions(decisions)
        if invoice := params.get("invoice"):
            _tell_next(remit, invoice)


def _planned(remit: Remit, until: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    messages: list[dict[str, Any]] = []
    skipped: list[dict[str, Any]] = []
    for page in _pages(remit, until):
        messages += page["data"]
        skipped += page["skipped"]
    return in_time(messages), in_time(skipped)


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
    if not messages:
        say(f"Nothing would leave in the next {days} days.")
        return
    rows = table("when (UTC)", "customer", "by", "stage", "step", "tone", "about", title=f"In the next {days} days")
    for one in messages:
        about = ", ".join(f"{item['number']} {money(item['amount_minor'], item['currency'])}" for item in one["items"])
        at = f"{datetime.fromisoformat(one['at']):%a %Y-%m-%d %H:%M}"
        channels = ", ".join(one["channels"])
        row(rows, at, one["customer_name"], channels, one["stage"], one["step"], one["tone"], about)
    show(rows)


def _tell_skipped(skipped: list[dict[str, Any]]) -> None:
    from remit_local.sentences import sentence

    for one in skipped:
        say(f"{one['invoice_number']}: {sentence(one)}")


def _subject(remit: Remit, subject: str) -> tuple[str, dict[str, Any]]:
    """A line about what is meant, and which decisions are asked for. Raises RefusedError."""
    if invoice := remit.invoice(subject):
        owed = money(invoice["balance_minor"], invoice["currency"])
        due = f"due {invoice['due_date']}" if invoice["due_date"] else "without a due date"
        return f"Invoice {invoice['number']}: {invoice['status']}, {due}, {owed} open", {"invoice": invoice["id"]}
    if customer := remit.customer(subject):
        return f"Customer {customer['external_id']}, {customer['name']}", {"customer": customer["id"]}
    raise RefusedError(f"there is no invoice or customer {subject}: give a number, an external id or an id")


def _tell_decisions(decisions: list[dict[str, Any]]) -> None:
    from remit_local.sentences import headline, sentence

    if not decisions:
        say("No decision was made: nothing fell due (on that day).")
    for one in decisions:
        say(headline(one, one["timezone"]))
        say(f"  {sentence(one)}")


def _tell_next(remit: Remit, invoice_id: str) -> None:
    """What is still to come for it."""
    from remit_local.sentences import RULES, moment

    try:
        steps = remit.get("scheduler-svc", f"/v1/follow-ups/{invoice_id}/plan")["steps"]
    except ApiError as error:
        complain(str(error))
        return
    for one in steps:
        if one["state"] in ("planned", "waiting"):
            when = f"goes {moment(one['at'], None)}" if one["at"] else "waits for a change"
            because = f" (held back: {one['rule']})" if one["rule"] in RULES else ""
            say(f"Next: step {one['step']} {when} by {', '.join(one['channels'])}, if nothing changes{because}.")
        elif one["state"] == "in-flight":
            say(f"Step {one['step']} is being sent.")
