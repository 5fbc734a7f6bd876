"""Sending for real: try the providers, send a test to oneself, switch it on."""

from __future__ import annotations

import getpass
from datetime import UTC, datetime
from typing import Annotated

import typer

from remit_local.cli import Group, app, given
from remit_local.client import Remit
from remit_local.console import row, say, show, table
from remit_local.errors import RefusedError
from remit_local.sending_state import leaving_today
from remit_service.wording import counted

live_app = typer.Typer(cls=Group, no_args_is_help=True, help="Sending for real, switched on by hand.")
app.add_typer(live_app, name="live")


@live_app.command("check")
def check(ctx: typer.Context) -> None:
    """Connect and log in to SMTP and Twilio; sends nothing."""
    with Remit.of(given(ctx).folder) as remit:
        state = remit.get("notifier-svc", "/v1/live-mode")
        found = remit.post("notifier-svc", "/v1/providers/check")["data"]
    checks = table("provider", "works", "detail")
    for one in found:
        row(checks, one["provider"], "yes" if one["ok"] else "no", one["detail"])
    show(checks)
    say(f"DELIVERY_MODE is {state['mode']}; live sending is {'on' if state['on'] else 'off'}.")
    if state["missing"]:
        say(f"The seller lacks {', '.join(state['missing'])}: `remit seller set` adds it.")
    if not all(one["ok"] for one in found):
        raise typer.Exit(2)


@live_app.command("test")
def test(
    ctx: typer.Context,
    to: Annotated[list[str], typer.Option("--to", help="Your own e-mail address or phone number; repeat it.")],
) -> None:
    """Send one test message of each kind to yourself, for real."""
    failed = False
    with Remit.of(given(ctx).folder) as remit:
        for address in to:
            done = remit.post("notifier-svc", "/v1/providers/test", {"to": address})
            failed |= done["result"] != "sent"
            say(f"{address} by {done['provider']}: {done['result']} {done['provider_id'] or done['detail']}".rstrip())
    if failed:
        raise typer.Exit(2)


@live_app.command("on")
def switch_on(
    ctx: typer.Context,
    seller: Annotated[str | None, typer.Option("--seller", help="The seller's name, instead of being asked.")] = None,
) -> None:
    """Switch live sending on, after showing how much would leave today."""
    with Remit.of(given(ctx).folder) as remit:
        if missing := remit.get("notifier-svc", "/v1/live-mode")["missing"]:
            raise RefusedError(f"the seller lacks {', '.join(missing)}: `remit seller set` adds it")
        today = leaving_today(remit, datetime.now(UTC))
        messages, people = counted(today.waiting + today.planned, "message"), counted(today.people, "customer")
        parts = f"{today.waiting} decided already and waiting, {today.planned} planned until midnight"
        say(f"Today {messages} would leave, to {people}: {parts}.")
        for one in remit.post("notifier-svc", "/v1/providers/check")["data"]:
            if not one["ok"]:
                say(f"{one['provider']} does not work: {one['detail']}")
        name = seller or _asked()
        remit.call(
            "notifier-svc",
            "PUT",
            "/v1/live-mode",
            json={"on": True, "seller_name": name, "by": getpass.getuser()},
        )
        state = remit.get("notifier-svc", "/v1/live-mode")
    if state["sends_for_real"]:
        say("Messages leave for real from now on. `remit live off` stops that.")
    else:
        say(f"Switched on, but DELIVERY_MODE is {state['mode']}: start Remit with DELIVERY_MODE=live to send.")


@live_app.command("off")
def switch_off(ctx: typer.Context) -> None:
    """Switch live sending off."""
    with Remit.of(given(ctx).folder) as remit:
        remit.call("notifier-svc", "PUT", "/v1/live-mode", json={"on": False, "by": getpass.getuser()})
    say("Nothing leaves for real any more.")


def _asked() -> str:
    try:
        return str(typer.prompt("To confirm, type the seller's name"))
    except typer.Abort:
        raise RefusedError("not switched on: the seller's name was not given") from None
