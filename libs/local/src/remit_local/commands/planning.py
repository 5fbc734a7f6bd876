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
from remit_local.console import row, say, show, table
from remit_local.days import parse_day
from remit_local.errors import RefusedError
from remit_local.folders import must_be_writable

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
    from remit_local.rendering import render_plan
    from remit_local.sentences import sentence

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
        _tell_messages(messages, days)
        for one in skipped:
            say(f"{one['invoice_number']}: {sentence(_with_inputs(remit, one))}")
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
        typer.Option("--on", parser=parse_day, metavar="DATE", help="Only decisions of that day there."),
    ] = None,
) -> None:
    """Why was this customer, or was this customer not, contacted? In plain sentences."""
    with Remit.of(given(ctx).folder) as remit:
        invoice = remit.invoice(subject)
        about, params = _about_invoice(invoice) if invoice else _about_customer(remit, subject)
        day = on.date().isoformat() if on else None
        decisions = list(remit.pages("scheduler-svc", "/v1/decisions", **params, on=day))
        say(about)
        _tell_decisions(decisions)
        if invoice:
            _tell_next(remit, invoice)


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
    return list(found.values())


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


def _about_invoice(invoice: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """A line about it, and which decisions are asked for."""
    owed = money(invoice["balance_minor"], invoice["currency"])
    due = f"due {invoice['due_date']}" if invoice["due_date"] else "without a due date"
    return f"Invoice {invoice['number']}: {invoice['status']}, {due}, {owed} open", {"invoice": invoice["id"]}


def _about_customer(remit: Remit, subject: str) -> tuple[str, dict[str, Any]]:
    customer = remit.customer(subject)
    if customer is None:
        raise RefusedError(f"there is no invoice or customer {subject}: give a number, an external id or an id")
    return f"Customer {customer['external_id']}, {customer['name']}", {"customer": customer["id"]}


def _tell_decisions(decisions: list[dict[str, Any]]) -> None:
    from remit_local.sentences import headline, sentence

    if not decisions:
        say("No decision was made: nothing fell due (on that day).")
    for one in decisions:
        say(headline(one, one["timezone"]))
        say(f"  {sentence(one)}")


def _tell_next(remit: Remit, invoice: dict[str, Any]) -> None:
    """What is still to come for it: steps, and the ladder."""
    from remit_local.sentences import RULES, moment, standing

    customer = remit.customer(invoice["customer_id"]) or {}
    for line in standing(invoice, customer):
        say(line)
    zone = customer.get("timezone")
    for one in _steps(remit, invoice["id"]):
        if one["state"] in ("planned", "waiting"):
            when = f"goes {moment(one['at'], zone)}" if one["at"] else "waits for a change"
            because = f" (held back: {one['rule']})" if one["rule"] in RULES else ""
            by = f"by {', '.join(one['reachable'])}" if one["reachable"] else "to nobody, as no channel reaches them"
            say(f"Next: step {one['step']} {when} {by}, if nothing changes{because}.")
        elif one["state"] == "in-flight":
            say(f"Step {one['step']} is being sent.")
    for case in remit.pages("escalation-svc", "/v1/cases", invoice=invoice["id"]):
        _tell_case(case, zone)


def _steps(remit: Remit, invoice_id: str) -> list[dict[str, Any]]:
    try:
        return list(remit.get("scheduler-svc", f"/v1/follow-ups/{invoice_id}/plan")["steps"])
    except ApiError as error:
        if error.status != 404:
            raise
        return []  # a draft is not followed


def _tell_case(case: dict[str, Any], zone: str | None) -> None:
    from remit_local.sentences import moment

    for rung in case["rungs"]:
        by = f", approved by {rung['approved_by']}" if rung["approved_by"] else ""
        facts = f"{rung['days_overdue']} days overdue after {rung['reminders_sent']} reminders"
        say(f"{moment(rung['triggered_at'], zone)} · rung {rung['key']} was taken{by}: {facts}.")
    if case["status"] != "closed" and case["next_rung"] and (case["days_overdue"] or 0) > 0:
        waits = "; ".join(reason["text"] for reason in case["reasons"])
        say(f"Next rung: {case['next_rung']}" + (f" ({waits})." if waits else "."))
