"""Databases, topics, dead letters, replay and versions."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Coroutine
from datetime import UTC, datetime
from importlib.metadata import version as package_version
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from remit_local.cli import Group, app, given
from remit_local.console import say
from remit_local.days import parse_moment
from remit_local.errors import RefusedError
from remit_local.home import SERVICES, Home

topics_app = typer.Typer(cls=Group, no_args_is_help=True, help="Topics of the event bus.")
app.add_typer(topics_app, name="topics")

T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


@app.command()
def migrate(
    ctx: typer.Context,
    check: Annotated[
        bool, typer.Option("--check", help="Only compare the tables in code with the migrations, on an empty database.")
    ] = False,
) -> None:
    """Bring every service's database, and the topics, up to date."""
    if check:
        _check_migrations()
        return
    with Home(given(ctx).folder).made() as home:  # refused before the services are loaded
        from remit_local.databases import installation_of, joined
        from remit_local.system import prepare

        async def work() -> None:
            await prepare(await installation_of(home, server), server)

        with joined(home) as server:
            run(work())
    say(f"The databases in {home.folder} are up to date.")


@topics_app.command("create")
def create_topics(ctx: typer.Context) -> None:
    """Create the topics with their partitions and retention on EVENTS_URL, or on the embedded bus."""
    with Home(given(ctx).folder).made() as home:  # refused before the services are loaded
        from remit_events.catalogue import TOPICS
        from remit_local.databases import installation_of, joined
        from remit_local.installation import EVENTS_DATABASE
        from remit_local.system import ensure_topics

        async def work() -> str:
            await server.create_databases(EVENTS_DATABASE)
            installation = await installation_of(home, server)
            await ensure_topics(installation)
            return installation.topic_prefix

        with joined(home) as server:
            prefix = run(work())
    for topic in TOPICS:
        say(f"{prefix}{topic.name}: {topic.partitions} partitions, kept {topic.retention.days} days")


@app.command()
def replay(
    ctx: typer.Context,
    service: Annotated[str, typer.Argument(metavar="SERVICE", help="Whose events: " + ", ".join(SERVICES))],
    since: Annotated[datetime, typer.Option("--since", parser=parse_moment, metavar="TIME", help="First moment, UTC.")],
    until: Annotated[
        datetime | None, typer.Option("--until", parser=parse_moment, metavar="TIME", help="End (default: now).")
    ] = None,
    topic: Annotated[list[str] | None, typer.Option("--topic", help="Only these topics; repeat it.")] = None,
    key: Annotated[str | None, typer.Option("--key", help="Only this customer's events (its id).")] = None,
    rate: Annotated[float | None, typer.Option("--rate", help="At most so many per second.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count them.")] = False,
) -> None:
    """Publish a range of a service's events once more, with their original ids: who had them ignores them."""
    from remit_events.bus import BusError
    from remit_events.replay import ReplayError, republish
    from remit_local.bus_choice import where_events_are
    from remit_local.databases import database, server_of
    from remit_local.system import bus_at, no_bus
    from remit_service.wording import counted

    async def work() -> int:
        bus = bus_at(url, prefix)
        now = datetime.now(UTC)
        try:
            async with database(server, service) as db:
                return await republish(
                    db,
                    bus,
                    f"/{service}",
                    since=since,
                    until=until or now,
                    now=now,
                    topics=topic or (),
                    key=key,
                    rate=rate,
                    dry_run=dry_run,
                )
        except ReplayError as error:
            raise RefusedError(str(error)) from None
        except BusError as error:
            raise RefusedError(no_bus(url, error)) from None
        finally:
            await bus.close()

    with server_of(given(ctx).folder) as (home, server):
        url, prefix = where_events_are(home, server)
        count = run(work())
    where = url.rpartition("@")[2] if url.startswith("kafka") else "the embedded bus"
    again = "would be published again" if dry_run else "published again"
    say(f"{counted(count, 'event')} {again}, on {where.removeprefix('kafka://')}.")


@app.command()
def version() -> None:
    """Show the versions of Remit and of what it stands on."""
    import platform

    from remit_service.calendars import calendar_source

    say(f"remit {package_version('remit-local')}, Python {platform.python_version()}, {calendar_source()}")
    for service in SERVICES:
        say(f"{service} {package_version(f'remit-{service}')}")


def _check_migrations() -> None:
    from remit_local.home import Addresses
    from remit_local.installation import Installation, package_of
    from remit_local.postgres import EmbeddedPostgres
    from remit_local.system import prepare
    from remit_service import migrations

    async def work() -> list[str]:
        installation = Installation.on(
            server, addresses=Addresses.from_environment(), service_key="only-for-this-check", mailbox=folder
        )
        await prepare(installation, server)
        found: list[str] = []
        for service in SERVICES:
            place = migrations.migrations_of(package_of(service))
            found += [f"{service}: {one}" for one in await migrations.check(installation.databases[service], place)]
        return found

    with tempfile.TemporaryDirectory(prefix="remit-migrations-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        with EmbeddedPostgres(folder / "data", durable=False) as server:
            differences = run(work())
    if differences:
        raise RefusedError("the tables in code differ from the migrations:\n  " + "\n  ".join(differences))
    say("The migrations make the tables that are in code.")
