"""Rungs that wait for a person: list them, look at what would be sent, approve, reject, or think again."""

from __future__ import annotations

import getpass
from typing import Annotated, Any

import typer

from remit_local.cli import app, given
from remit_local.client import Remit, is_uuid
from remit_local.commands.acting import money
from remit_local.console import row, say, show, table
from remit_local.errors import RefusedError

Approval = Annotated[str, typer.Argument(metavar="ID", help="The approval's id, or the invoice's number.")]
By = Annotated[str | None, typer.Option("--by", help="Who decides (default: your user name).")]


@app.command()
def approvals(
    ctx: typer.Context,
    status: Annotated[str, typer.Option("--status", help="pending, approved, rejected, expired or all.")] = "pending",
) -> None:
    """List what waits for approval."""
    with Remit.of(given(ctx).folder) as remit:
        wanted = None if status == "all" else status
        found = list(remit.pages("escalation-svc", "/v1/approvals", status=wanted))
    if not found:
        say("Nothing waits for approval." if status == "pending" else f"There are no approvals ({status}).")
        return
    listed = table("id", "invoice", "customer", "rung", "balance", "overdue", "reminders", "status", right=["balance"])
    for one in found:
        balance = money(one["balance_minor"], one["currency"])
        blocked = "; ".join(reason["text"] for reason in one["reasons"])
        state = f"{one['status']} ({blocked})" if blocked else one["status"]
        overdue = f"{one['days_overdue']} d" if one["days_overdue"] is not None else ""
        name = f"{one['customer_name']} ({one['customer_external_id']})"
        row(listed, one["id"], one["invoice_number"], name, one["rung"], balance, overdue, one["reminders_sent"], state)
    show(listed)
    if status == "pending":
        say("`remit approve ID` shows what would be sent, then asks.")


@app.command()
def approve(
    ctx: typer.Context,
    approval: Approval,
    reason: Annotated[str | None, typer.Option("--reason", help="Why; it is kept.")] = None,
    by: By = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask after showing it.")] = False,
) -> None:
    """Approve a rung, after showing the demand as it would be sent."""
    with Remit.of(given(ctx).folder) as remit:
        approval_id = _id(remit, approval)
        preview = remit.get("escalation-svc", f"/v1/approvals/{approval_id}/preview")
        _show(preview)
        if not yes and not _confirmed():
            raise RefusedError("nothing was approved; give --yes to approve without being asked")
        # Only what was shown is approved: other facts meanwhile are a 409.
        body: dict[str, Any] = {
            "by": by or getpass.getuser(),
            "evidence_sha256": preview["approval"]["evidence_sha256"],
        }
        if reason:
            body["reason"] = reason
        done = remit.post("escalation-svc", f"/v1/approvals/{approval_id}/approve", body)
    say(f"Approved: {done['rung']} of invoice {done['invoice_number']}. It goes when the contact gate allows.")


@app.command()
def reject(
    ctx: typer.Context, approval: Approval, reason: Annotated[str, typer.Option("--reason")], by: By = None
) -> None:
    """Reject a rung; it is not taken until its case is re-opened (`remit reopen`)."""
    with Remit.of(given(ctx).folder) as remit:
        body = {"by": by or getpass.getuser(), "reason": reason}
        done = remit.post("escalation-svc", f"/v1/approvals/{_id(remit, approval)}/reject", body)
    say(f"Rejected: {done['rung']} of invoice {done['invoice_number']}.")


@app.command()
def reopen(
    ctx: typer.Context,
    invoice: Annotated[str, typer.Argument(metavar="INVOICE", help="Its number or id.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; it is kept.")],
    by: By = None,
) -> None:
    """Have a rung that was rejected asked for again, or a demand that could not be sent ordered again."""
    with Remit.of(given(ctx).folder) as remit:
        found = remit.need_invoice(invoice)
        case = next(remit.pages("escalation-svc", "/v1/cases", invoice=found["id"]), None)
        if case is None:
            raise RefusedError(f"invoice {found['number']} has no case: it is {found['status']}")
        body = {"by": by or getpass.getuser(), "reason": reason}
        case = remit.post("escalation-svc", f"/v1/cases/{case['case_id']}/reopen", body)
    waits = "; ".join(one["text"] for one in case["reasons"])
    say(f"Re-opened: {case['next_rung']} of invoice {found['number']}{f' ({waits})' if waits else ''}.")


def _id(remit: Remit, given_as: str) -> str:
    """The approval's id: as given, or of the one that is pending for an invoice."""
    pending = list(remit.pages("escalation-svc", "/v1/approvals", status="pending"))
    found = [one["id"] for one in pending if given_as in (one["id"], one["invoice_number"])]
    if not found and not is_uuid(given_as):
        raise RefusedError(f"nothing of invoice {given_as} waits for approval; `remit approvals` lists what does")
    return str(found[0]) if found else given_as


def _show(preview: dict[str, Any]) -> None:
    about, rendered = preview["approval"], preview["rendered"]
    owed = money(about["balance_minor"], about["currency"])
    say(f"{about['rung']}: invoice {about['invoice_number']} of {about['customer_name']}, {owed}")
    if rendered:
        say(f"\nSubject: {rendered['subject']}\n\n{rendered['text']}")
    if preview["note"]:
        say(preview["note"])
    for reason in about["reasons"]:
        say(f"Stands against it: {reason['text']}")


def _confirmed() -> bool:
    try:
        return typer.confirm("Approve it?")
    except typer.Abort:
        return False
