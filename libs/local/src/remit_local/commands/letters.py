"""What is stuck and what a person decides about it: dead letters, and events the broker refused."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any, TypeVar
from uuid import UUID

import typer

from remit_local.cli import Group, app, given
from remit_local.console import say
from remit_local.errors import RefusedError
from remit_local.home import SERVICES

dlq_app = typer.Typer(cls=Group, no_args_is_help=True, help="Dead letters: events that could not be handled.")
app.add_typer(dlq_app, name="dlq")
parked_app = typer.Typer(cls=Group, no_args_is_help=True, help="Events the broker refused, and those behind them.")
app.add_typer(parked_app, name="parked")

Service = Annotated[str, typer.Argument(metavar="SERVICE", help="Whose: " + ", ".join(SERVICES))]
AnyService = Annotated[str | None, typer.Argument(metavar="[SERVICE]", help="Default: all four.")]
Ids = Annotated[list[int], typer.Argument(metavar="ID...")]
Reason = Annotated[str, typer.Option("--reason", help="Why the event may be dropped; it is kept.")]
T = TypeVar("T")
Work = Callable[[Any], Awaitable[T]]


@dlq_app.command("list")
def list_letters(
    ctx: typer.Context,
    service: AnyService = None,
    every: Annotated[bool, typer.Option("--all", help="Resolved ones too.")] = False,
) -> None:
    """List dead letters; `parked` ones wait behind an earlier event of their customer."""
    from remit_service import stuck

    _list(ctx, service, stuck.LETTER_COLUMNS, lambda session: stuck.letters(session, every=every), "no dead letters")


@dlq_app.command("show")
def show_letter(ctx: typer.Context, service: Service, letter_id: Annotated[int, typer.Argument(metavar="ID")]) -> None:
    """Show one with its event and history."""
    from remit_service import stuck

    _tell(ctx, service, lambda session: stuck.letter(session, letter_id))


@dlq_app.command("replay")
def replay_letters(
    ctx: typer.Context,
    service: Service,
    ids: Ids,
    reason: Annotated[str, typer.Option("--reason", help="Why; it is kept.")] = "",
    rate: Annotated[float | None, typer.Option("--rate", help="At most so many per second.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say how many.")] = False,
) -> None:
    """Have the consumer try them again; an event that took effect after all takes no second one."""
    from remit_service import stuck

    def ask(session: Any) -> Awaitable[Sequence[str]]:
        return stuck.replay(session, ids, by=stuck.who(), reason=reason, dry_run=dry_run, rate=rate)

    _tell(ctx, service, ask)


@dlq_app.command("discard")
def discard_letters(ctx: typer.Context, service: Service, ids: Ids, reason: Reason) -> None:
    """Give them up for good; what waited behind them goes on."""
    from remit_service import stuck

    _tell(ctx, service, lambda session: stuck.discard(session, ids, reason=reason, by=stuck.who()))


@parked_app.command("list")
def list_parked(ctx: typer.Context, service: AnyService = None) -> None:
    """List events the broker refused, and later ones of their keys."""
    from remit_service import stuck

    _list(ctx, service, stuck.PARKED_COLUMNS, stuck.parked_events, "no parked events")


@parked_app.command("retry")
def retry_parked(
    ctx: typer.Context, service: Service, keys: Annotated[list[str], typer.Argument(metavar="KEY...")]
) -> None:
    """Publish all of these keys again, in their order."""
    from remit_service import stuck

    _tell(ctx, service, lambda session: stuck.retry_parked(session, keys))


@parked_app.command("drop")
def drop_parked(
    ctx: typer.Context, service: Service, ids: Annotated[list[UUID], typer.Argument(metavar="EVENT...")], reason: Reason
) -> None:
    """Give events up for good: no other service will ever see them."""
    from remit_service import stuck

    _tell(ctx, service, lambda session: stuck.drop_parked(session, ids, reason=reason, by=stuck.who()))


def _list(ctx: typer.Context, service: str | None, columns: Sequence[str], work: Work[Any], nothing: str) -> None:
    from remit_service import stuck

    found = [(name, *cells) for name in ([service] if service else SERVICES) for cells in _in(ctx, name, work)]
    for line in stuck.aligned(("service", *columns), found) if found else [f"There are {nothing}."]:
        say(line)


def _tell(ctx: typer.Context, service: str, work: Work[Any]) -> None:
    for line in _in(ctx, service, work):
        say(line)


def _in(ctx: typer.Context, service: str, work: Work[T]) -> T:
    """Does `work` in one transaction of a service's database; neither the bus nor a running Remit is needed."""
    from remit_local.databases import database, server_of
    from remit_service.one_shot import Refused

    async def done() -> T:
        async with database(server, service) as db, db.transaction() as session:
            return await work(session)

    with server_of(given(ctx).folder) as (_, server):
        try:
            return asyncio.run(done())
        except Refused as reason:
            raise RefusedError(f"{service}: {reason}") from None
