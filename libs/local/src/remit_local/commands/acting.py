"""What staff do about one invoice or customer: pay, hold, release; and the kill switch."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

import typer

from remit_local.cli import app, given
from remit_local.client import ApiError, Remit
from remit_local.commands.importing import CommaOption
from remit_local.console import say
from remit_local.days import parse_day
from remit_local.errors import RefusedError

Subject = Annotated[str, typer.Argument(metavar="INVOICE|CUSTOMER", help="An invoice's number, or a customer's id.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; it is kept.")]
Until = Annotated[
    datetime | None, typer.Option("--until", parser=parse_day, metavar="DATE", help="Its last day, inclusive.")
]


@app.command()
def pay(
    ctx: typer.Context,
    subject: Subject,
    amount: Annotated[str, typer.Argument(metavar="AMOUNT", help="In the invoice's currency, as 120.00.")],
    ref: Annotated[str, typer.Option("--ref", help="The payment's reference; the same one counts once, for ever.")],
    on: Annotated[
        datetime | None,
        typer.Option("--on", parser=parse_day, metavar="DATE", help="Day of payment (default: today there)."),
    ] = None,
    currency: Annotated[
        str | None, typer.Option("--currency", metavar="EUR", help="Of the amount; a customer's payment needs it.")
    ] = None,
    decimal_comma: CommaOption = False,
) -> None:
    """Record a payment; the chasing of what it pays stops at once.

    A customer's goes to the invoices REF names, then to what has been due longest; what is left is credit on account.
    """
    with Remit.of(given(ctx).folder) as remit:
        kind, found = subject_of(remit, subject)
        of = (currency or found.get("currency") or "").upper()
        if not of:
            raise RefusedError(f"{subject} is a customer: say the currency of the amount with --currency EUR")
        minor = _minor(amount, of, decimal_comma)
        body = {f"{kind}_id": found["id"], "amount_minor": minor, "currency": of, "reference": ref}
        if on:
            body["received_on"] = on.date().isoformat()
        payment = remit.post("invoice-svc", "/v1/payments", body)
    _say_where(payment["allocations"], of)
    if payment["credit_minor"]:
        say(f"{money(payment['credit_minor'], of)} stays as credit on account; `remit allocate` puts it to invoices.")


@app.command()
def allocate(ctx: typer.Context, subject: Subject) -> None:
    """Put credit on account to an invoice, or to what a customer has had due longest; the oldest credit goes first."""
    with Remit.of(given(ctx).folder) as remit:
        kind, found = subject_of(remit, subject)
        body, owner = ({"invoice_id": found["id"]}, found["customer_id"]) if kind == "invoice" else ({}, found["id"])
        left_over = _with_credit(remit, owner, found.get("currency"))
        if not left_over:
            raise RefusedError(f"{subject} has no credit on account")
        _put(remit, left_over, body)


def _put(remit: Remit, left_over: list[dict[str, Any]], body: dict[str, Any]) -> None:
    """Puts what payments left over to invoices; ApiError when nothing of it could be put."""
    refused = list[ApiError]()
    for one in left_over:
        try:
            after = remit.post("invoice-svc", f"/v1/payments/{one['id']}/allocations", body)
        except ApiError as error:
            if error.status != 409:
                raise
            refused.append(error)  # nothing is open in its currency, or no more
        else:
            _say_where(after["allocations"][len(one["allocations"]) :], one["currency"])
    if len(refused) == len(left_over):
        raise refused[0]


def _with_credit(remit: Remit, customer_id: str, currency: str | None) -> list[dict[str, Any]]:
    """The customer's payments of which something is on account, in the order they were recorded."""
    paid = remit.pages("invoice-svc", "/v1/payments", customer=customer_id)
    standing = (one for one in paid if one["status"] == "received" and one["credit_minor"])
    return [one for one in standing if currency in (None, one["currency"])]


def _say_where(allocations: list[dict[str, Any]], currency: str) -> None:
    for part in allocations:
        left = money(part["balance_minor"], currency)
        say(f"{money(part['amount_minor'], currency)} put to {part['invoice_number']}; {left} is still owed on it.")


def _minor(amount: str, currency: str, decimal_comma: bool) -> int:
    from remit_local.cells import CellError, parse_amount
    from remit_service.money import currencies

    if currency not in currencies():
        raise RefusedError(f"--currency {currency}: this is no ISO 4217 code, as EUR or USD")
    try:
        return parse_amount(amount, currency, decimal_comma=decimal_comma)
    except CellError as error:
        raise RefusedError(f"AMOUNT {amount!r} {error}") from None


@app.command()
def hold(ctx: typer.Context, subject: Subject, reason: Reason, until: Until = None) -> None:
    """Leave an invoice or a whole customer alone, until a day or until released."""
    body: dict[str, Any] = {"reason": reason}
    if until:
        body["until"] = until.date().isoformat()
    with Remit.of(given(ctx).folder) as remit:
        name, path = subject_path(remit, subject)
        remit.post("invoice-svc", f"{path}/hold", body)
    ends = f"through {until:%Y-%m-%d}" if until else "until it is released"
    say(f"{name} is on hold {ends}.")


@app.command()
def release(ctx: typer.Context, subject: Subject, reason: Reason = "released by staff") -> None:
    """End a hold, and let old debt go on (`remit review`); what was missed follows the policy's catch-up rule."""
    with Remit.of(given(ctx).folder) as remit:
        kind, found = subject_of(remit, subject)
        if kind == "invoice" and not found["hold"] and (enters_on := _reviewed(remit, found["id"])):
            say(f"Invoice {found['number']} is followed up from {enters_on} on.")
            return
        name, path = subject_path(remit, subject)
        remit.post("invoice-svc", f"{path}/release", {"reason": reason})
    say(f"{name} is followed up again.")


def _reviewed(remit: Remit, invoice_id: str) -> str | None:
    """Lets old debt go on that waited for review; None when it did not."""
    try:
        return str(remit.post("scheduler-svc", f"/v1/follow-ups/{invoice_id}/release")["enters_on"])
    except ApiError as error:
        if error.status not in (404, 409):
            raise
        return None


@app.command()
def automation(
    ctx: typer.Context,
    switch: Annotated[str | None, typer.Argument(metavar="on|off", help="Without it, says how it stands.")] = None,
    reason: Annotated[str, typer.Option("--reason", help="Why; it is kept.")] = "by staff",
) -> None:
    """The kill switch: off, nothing leaves at all, invoices and demands included."""
    if switch not in (None, "on", "off"):
        raise RefusedError(f"{switch}: say on or off")
    with Remit.of(given(ctx).folder) as remit:
        if switch is None:
            state = remit.get("scheduler-svc", "/v1/automation")
        else:
            state = remit.call("scheduler-svc", "PUT", "/v1/automation", json={"on": switch == "on", "reason": reason})
    because = f" ({state['reason']})" if state.get("reason") else ""
    say(f"Automation is {'on' if state['on'] else 'off: nothing leaves'}{because}.")


def subject_of(remit: Remit, subject: str) -> tuple[Literal["invoice", "customer"], dict[str, Any]]:
    """What is meant: an invoice first, then a customer. Raises RefusedError."""
    if invoice := remit.invoice(subject):
        return "invoice", invoice
    if customer := remit.customer(subject):
        return "customer", customer
    raise RefusedError(f"there is no invoice or customer {subject}: give a number, an external id or an id")


def subject_path(remit: Remit, subject: str) -> tuple[str, str]:
    """What is meant, in words, and its path. Raises RefusedError."""
    kind, found = subject_of(remit, subject)
    if kind == "invoice":
        return f"Invoice {found['number']}", f"/v1/invoices/{found['id']}"
    return f"Customer {found['external_id']}", f"/v1/customers/{found['id']}"


def money(minor: int, currency: str) -> str:
    """`1,234.50 EUR`."""
    from remit_service.money import from_minor

    return f"{from_minor(minor, currency):,} {currency}"
