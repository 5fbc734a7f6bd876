"""Policies and ladders: save one from a file, and say whose invoices follow it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from remit_local.cli import Group, app, given
from remit_local.client import Remit
from remit_local.console import row, say, show, table
from remit_local.errors import RefusedError
from remit_local.rule_files import save_ladder, save_policy

policy_app = typer.Typer(cls=Group, no_args_is_help=True, help="Follow-up policies: save, list, use, move to.")
ladder_app = typer.Typer(cls=Group, no_args_is_help=True, help="Escalation ladders: save.")
app.add_typer(policy_app, name="policy")
app.add_typer(ladder_app, name="ladder")

SERVICE, POLICIES = "scheduler-svc", "/v1/policies"
PROFILES = ("business", "individual", "government")
EVERYONE = "*"

RuleFile = Annotated[Path, typer.Argument(metavar="FILE.yaml", help="docs/files.md shows its form.")]
Key = Annotated[str, typer.Argument(metavar="KEY", help="The policy's key.")]
For = Annotated[
    list[str] | None,
    typer.Option("--for", metavar="PROFILE", help="Customers of this profile follow it; repeat it for more."),
]
All = Annotated[bool, typer.Option("--all", help="All customers follow it.")]


@policy_app.command("save")
def save_the_policy(ctx: typer.Context, file: RuleFile, profiles: For = None, everyone: All = False) -> None:
    """Save a policy as the next version of its key and have new invoices follow it: `--for business`, or `--all`."""
    wanted = _profiles(profiles, everyone)
    with Remit.of(given(ctx).folder) as remit:
        saved = save_policy(remit, file, wanted, everyone=everyone)
    say(f"Policy {saved['key']} is saved as version {saved['version']}.")
    _tell_followers(saved)


@policy_app.command("use")
def use_policy(ctx: typer.Context, key: Key, profiles: For = None, everyone: All = False) -> None:
    """Have new invoices follow a policy that is saved: `--for business`, or `--all`."""
    wanted = _profiles(profiles, everyone)
    if not wanted and not everyone:
        raise RefusedError("say for whom: --for business, individual or government, or --all")
    with Remit.of(given(ctx).folder) as remit:
        body = {"profiles": wanted, "everyone": everyone}
        used = remit.call(SERVICE, "PUT", f"{POLICIES}/{quote(key, safe='')}/assignment", json=body)
    _tell_followers(used)


@policy_app.command("move")
def move_to_policy(
    ctx: typer.Context,
    key: Key,
    source: Annotated[
        str | None,
        typer.Option("--from", metavar="KEY", help="Those that follow this one (default: older versions of KEY)."),
    ] = None,
) -> None:
    """Move open invoices to a policy's newest version; its steps that lie before today are passed over."""
    with Remit.of(given(ctx).folder) as remit:
        newest = list(remit.pages(SERVICE, f"{POLICIES}/{quote(key, safe='')}/versions"))[-1]
        path = f"{POLICIES}/{newest['key']}/versions/{newest['version']}/migrate"
        moved = remit.post(SERVICE, path, {"from_key": source})
    say(f"Open invoices moved to policy {moved['key']} version {moved['version']}: {moved['follow_ups']}.")


@policy_app.command("list")
def list_policies(ctx: typer.Context) -> None:
    """List the policies and which customers' new invoices follow them."""
    listed = table("policy", "version", "steps", "new invoices of", right=["version", "steps"])
    with Remit.of(given(ctx).folder) as remit:
        for one in remit.pages(SERVICE, POLICIES):
            steps = len(one["policy"]["steps"])
            row(listed, one["key"], one["version"], steps, _customers(one["assigned_to"]))
    show(listed)


@ladder_app.command("save")
def save_the_ladder(ctx: typer.Context, file: RuleFile, profiles: For = None, everyone: All = False) -> None:
    """Save a ladder as the next version of its key, and put it to use: `--for business`, or `--all`."""
    wanted = _profiles(profiles, everyone)
    with Remit.of(given(ctx).folder) as remit:
        saved = save_ladder(remit, file, wanted, everyone=everyone)
    say(f"Ladder {saved['key']} is saved as version {saved['version']}.")
    if saved["assigned_to"]:
        say(f"It is the ladder of {_customers(saved['assigned_to'])}; cases that took a rung stay on their version.")
    else:
        say("No profile is on it yet: save it with --for business, individual or government, or with --all.")


def _profiles(given_as: list[str] | None, everyone: bool) -> Sequence[str]:
    """Raises RefusedError for what is no profile."""
    for profile in given_as or ():
        if profile not in PROFILES:
            raise RefusedError(f"--for {profile}: say business, individual or government")
    if given_as and everyone:
        raise RefusedError("--for and --all: give one of them")
    return given_as or []


def _tell_followers(policy: dict[str, Any]) -> None:
    key, customers = policy["key"], _customers(policy["assigned_to"])
    if not customers:
        say(f"No profile follows it yet: `remit policy use {key} --for PROFILE`, or --all.")
        return
    say(f"New invoices of {customers} follow {key}. Open ones stay on the version they began with:")
    say(
        f"`remit policy move {key} --from OTHER` moves those of another policy, without --from those of older versions."
    )


def _customers(assigned: Sequence[str]) -> str:
    if EVERYONE in assigned:
        return "all customers"
    return f"{' and '.join(assigned)} customers" if assigned else ""
