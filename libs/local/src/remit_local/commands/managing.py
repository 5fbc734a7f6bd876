"""The seller and the API keys."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from remit_local.cli import Group, app, given
from remit_local.client import Remit
from remit_local.console import row, say, show, table
from remit_local.errors import RefusedError

seller_app = typer.Typer(cls=Group, no_args_is_help=True, help="Who sends, where replies go, how to pay.")
key_app = typer.Typer(cls=Group, no_args_is_help=True, help="API keys: make, list, revoke.")
app.add_typer(seller_app, name="seller")
app.add_typer(key_app, name="key")

FLAGS = ("thank_you", "send_invoices")
FIXED = ("id", "version")


@seller_app.command("show")
def show_seller(ctx: typer.Context) -> None:
    """Show the seller."""
    with Remit.of(given(ctx).folder) as remit:
        _tell(remit.get("invoice-svc", "/v1/sellers/me"))


@seller_app.command("set")
def set_seller(
    ctx: typer.Context,
    changes: Annotated[
        list[str], typer.Argument(metavar="FIELD=VALUE...", help="As name='Acme Ltd' iban=DE89…; empty clears it.")
    ],
) -> None:
    """Change fields of the seller: `remit seller set name='Acme Ltd' sender_email=billing@acme.example`."""
    with Remit.of(given(ctx).folder) as remit:
        now = remit.get("invoice-svc", "/v1/sellers/me")
        body = {name: value for name, value in now.items() if name not in FIXED} | _changes(changes, now)
        headers = {"If-Match": f'"{now["version"]}"'}
        _tell(remit.call("invoice-svc", "PUT", "/v1/sellers/me", json=body, headers=headers))


@key_app.command("create")
def create_key(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="What it is for.")] = "remit",
    scope: Annotated[list[str] | None, typer.Option("--scope", help="As invoices:read; repeat it. Default: *.")] = None,
) -> None:
    """Make an API key; it is shown this once."""
    with Remit.of(given(ctx).folder) as remit:
        made = remit.post("invoice-svc", "/v1/api-keys", {"name": name, "scopes": scope or ["*"]})
    say(made["key"])


@key_app.command("list")
def list_keys(ctx: typer.Context) -> None:
    """List the keys; the keys themselves are kept nowhere."""
    with Remit.of(given(ctx).folder) as remit:
        listed = table("id", "name", "scopes", "state")
        for one in remit.get("invoice-svc", "/v1/api-keys")["data"]:
            row(listed, one["id"], one["name"], ", ".join(one["scopes"]), "revoked" if one["revoked"] else "valid")
    show(listed)


@key_app.command("revoke")
def revoke_key(ctx: typer.Context, key_id: Annotated[str, typer.Argument(metavar="ID")]) -> None:
    """Revoke a key."""
    with Remit.of(given(ctx).folder) as remit:
        remit.call("invoice-svc", "DELETE", f"/v1/api-keys/{key_id}")
    say(f"Key {key_id} is revoked.")


def _changes(given_as: list[str], now: dict[str, Any]) -> dict[str, Any]:
    """The fields to change; raises RefusedError for what is none."""
    fields = [name for name in now if name not in FIXED]
    changes: dict[str, Any] = {}
    for change in given_as:
        name, equals, value = change.partition("=")
        if not equals or name not in fields:
            raise RefusedError(f"{change!r}: write FIELD=VALUE, with a field of {', '.join(fields)}")
        changes[name] = _flag(name, value) if name in FLAGS else value.replace("\\n", "\n") or None
    return changes


def _flag(name: str, value: str) -> bool:
    if value.casefold() not in ("yes", "no", "true", "false"):
        raise RefusedError(f"{name}={value}: say yes or no")
    return value.casefold() in ("yes", "true")


def _tell(seller: dict[str, Any]) -> None:
    shown = table("field", "value")
    for name, value in seller.items():
        row(shown, name, "yes" if value is True else "no" if value is False else value)
    show(shown)
