"""Dead letters: events a consumer could not handle, and what a person decides about them."""

from __future__ import annotations

import asyncio
import getpass
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from remit_local.cli import Group, app, given
from remit_local.console import row, say, show, table
from remit_local.errors import RefusedError
from remit_local.home import SERVICES

dlq_app = typer.Typer(cls=Group, no_args_is_help=True, help="Dead letters: events that could not be handled.")
app.add_typer(dlq_app, name="dlq")

Service = Annotated[str, typer.Argument(metavar="SERVICE", help="Whose: " + ", ".join(SERVICES))]
Ids = Annotated[list[int], typer.Argument(metavar="ID...")]
Work = Callable[[Any, datetime], Awaitable[Any]]


@dlq_app.command("list")
def list_letters(
    ctx: typer.Context,
    service: Annotated[str | None, typer.Argument(metavar="[SERVICE]", help="Default: all four.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Resolved ones too.")] = False,
) -> None:
    """List dead letters; `parked` ones wait behind an earlier event of their customer."""
    from remit_events import dead_letters
    from remit_events.tables import STATUSES, UNRESOLVED

    statuses = STATUSES if every else UNRESOLVED

    async def read(session: Any, _now: datetime) -> Any:
        return await dead_letters.list_letters(session, statuses=statuses, limit=1000)

    listed = table("service", "id", "status", "consumer", "type", "at", "error", right=["id"])
    for name in [service] if service else SERVICES:
        for one in _in(ctx, name, read):
            at = f"{one.recorded_at:%Y-%m-%d %H:%M:%S}Z"
            row(listed, name, one.id, one.status, one.consumer, one.type, at, one.error.splitlines()[0][:100])
    if listed.row_count:
        show(listed)
    else:
        say("There are no dead letters.")


@dlq_app.command("show")
def show_letter(ctx: typer.Context, service: Service, letter_id: Annotated[int, typer.Argument(metavar="ID")]) -> None:
    """Show one with its event and history."""
    from remit_events import dead_letters

    async def read(session: Any, _now: datetime) -> Any:
        return await dead_letters.show(session, letter_id)

    one = _in(ctx, service, read)
    if one is None:
        raise RefusedError(f"{service} has no dead letter {letter_id}")
    record = one.record
    say(f"{one.consumer} · {one.status} · {one.type} · {record.topic}/{record.partition}/{record.offset}")
    say(f"tried {one.attempts} times: {one.error}")
    for entry in one.history:
        say(f"{entry['at']} {entry['by']}: {entry['action']} {entry['reason']}".rstrip())
    say(record.value.decode(errors="replace"))


@dlq_app.command("replay")
def replay_letters(
    ctx: typer.Context,
    service: Service,
    ids: Ids,
    reason: Annotated[str, typer.Option("--reason", help="Why; it is kept.")] = "",
    rate: Annotated[float | None, typer.Option("--rate", help="At most so many per second.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say which.")] = False,
) -> None:
    """Have the consumer try them again; an event that took effect after all takes no second one."""
    from remit_events import dead_letters

    async def ask(session: Any, now: datetime) -> Any:
        who = getpass.getuser()
        return await dead_letters.replay(session, ids, by=who, now=now, reason=reason, dry_run=dry_run, rate=rate)

    found = _in(ctx, service, ask)
    say(f"{len(found)} dead letters {'would be' if dry_run else 'are being'} tried again.")


@dlq_app.command("discard")
def discard_letters(
    ctx: typer.Context,
    service: Service,
    ids: Ids,
    reason: Annotated[str, typer.Option("--reason", help="Why the event may be dropped; it is kept.")],
) -> None:
    """Give them up for good; what waited behind them goes on."""
    from remit_events import dead_letters

    async def drop(session: Any, now: datetime) -> Any:
        return await dead_letters.discard(session, ids, reason=reason, by=getpass.getuser(), now=now)

    say(f"{len(_in(ctx, service, drop))} dead letters are discarded.")


def _in(ctx: typer.Context, service: str, work: Work) -> Any:
    """Does `work` in one transaction of a service's database."""
    from remit_events.dead_letters import DeadLetterError
    from remit_local.databases import database, installation_of, server_of

    async def done() -> Any:
        async with AsyncExitStack() as stack:
            db = await stack.enter_async_context(database(await installation_of(home, server), service))
            session = await stack.enter_async_context(db.transaction())
            return await work(session, datetime.now(UTC))

    with server_of(given(ctx).folder) as (home, server):
        try:
            return asyncio.run(done())
        except DeadLetterError as error:
            raise RefusedError(str(error)) from None
