"""`<service> api | worker | run | migrate | dlq | parked`: the processes of a service, and what is done in it once."""

from __future__ import annotations

import argparse
import asyncio
import gc
import socket
import sys
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

import structlog
import uvloop
from sqlalchemy.exc import SQLAlchemyError

from remit_events.bus import Bus, BusError, open_bus
from remit_events.failures import StuckError
from remit_service import logs, migrations, serving, stuck_commands, telemetry
from remit_service.clock import WallClock
from remit_service.connections import Limits
from remit_service.database import Database
from remit_service.logs import scrubbed
from remit_service.one_shot import Command, Refused
from remit_service.probes import ProbesOnly
from remit_service.service import Service
from remit_service.settings import ServiceSettings, load, refuse

RETRY_SECONDS = 2.0
YOUNG_OBJECTS = 10_000  # a batch makes more than Python's 700 and drops them all
PROCESSES = {
    "api": "HTTP on HOST:PORT",
    "worker": "background tasks; probes on HEALTH_PORT",
    "run": "both in one process",
    "migrate": "bring database and topics up to date, and end",
}

log = structlog.get_logger(__name__)

Build = Callable[..., Awaitable[Service]]


class NotThere(Exception):  # noqa: N818  # said to the user in one line
    """A peer the process cannot do without; `str()` is one line that says what to do."""


def main(
    name: str,
    settings_class: type[ServiceSettings],
    build: Build,
    extra: Sequence[Command] = (),
    arguments: Sequence[str] | None = None,
) -> None:
    """Runs one command of the service `name`; exit code 2, after one line, when it cannot work as configured.

    A process that got stuck for good ends with exit code 1, for whoever started it to start it again.
    """
    once = {command.name: command for command in (*stuck_commands.COMMANDS, *extra)}
    given = _parser(name, once.values()).parse_args(arguments)
    settings = load(settings_class)
    logs.configure(settings.log_level)
    serving.as_many_files_as_allowed()
    telemetry.configure(name, settings.otlp_endpoint)
    if given.command in once:
        run = do_once(name, settings, once[given.command], given)
    else:
        run = migrate(name, settings) if given.command == "migrate" else process(settings, build, given.command)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(run)
    except (NotThere, Refused, serving.NoPortError, FileNotFoundError) as reason:
        refuse(str(reason))
    except StuckError as reason:
        sys.exit(f"{reason}; start it again")
    except KeyboardInterrupt:
        sys.exit(130)


def _parser(name: str, once: Iterable[Command]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=name, description=f"{name} of Remit; settings come from the environment.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command, does in PROCESSES.items():
        commands.add_parser(command, help=does)
    for one in once:
        one.declare(commands.add_parser(one.name, help=one.help))
    return parser


async def do_once(name: str, settings: ServiceSettings, command: Command, given: argparse.Namespace) -> None:
    """A command that does one thing in the service's database and prints what came of it; raises NotThere, Refused."""
    db = Database(settings.database_url, name=name)
    try:
        await _tables_are_there(name, settings, db)
        for line in await command.work(db, settings, given):
            print(line)  # noqa: T201  # what was asked for
    finally:
        await db.close()


async def migrate(name: str, settings: ServiceSettings) -> None:
    """The database to head and the topics as they must be; raises NotThere."""
    folder = migrations.migrations_of(package_of(name))
    try:
        await migrations.upgrade(settings.database_url, folder)
    except (OSError, SQLAlchemyError) as error:
        raise NotThere(_no_database(error)) from error
    bus = open_bus(settings.events_url, prefix=settings.events_topic_prefix)
    try:
        await bus.ensure_topics()
    except BusError as error:
        raise NotThere(_no_bus(error)) from error
    finally:
        await bus.close()
    log.info("migrated", service=name)


def package_of(name: str) -> str:
    """invoice-svc is the package invoice_svc."""
    return name.replace("-", "_")


async def process(settings: ServiceSettings, build: Build, command: str) -> None:
    """One process of a service until SIGTERM or SIGINT: `api`, `worker` or `run`; raises NotThere or NoPortError."""
    port = settings.health_port if command == "worker" else settings.port
    bound = None if port is None else serving.listen(settings.host, port)
    bus = open_bus(settings.events_url, prefix=settings.events_topic_prefix)
    try:
        service = await build(settings, clock=WallClock(), bus=bus)
        if settings.otlp_endpoint:
            telemetry.trace_statements(service.db.engine)
        try:
            await _live(service, bound, bus, command)
        finally:
            await service.stop()
    finally:
        await bus.close()
        if bound is not None:
            bound.close()


async def _live(service: Service, bound: socket.socket | None, bus: Bus, command: str) -> None:
    stop = asyncio.Event()
    service.health.failed("start", "the process is starting", at_once=True)
    with serving.stopped_by_signals(stop):
        server = _server(service, bound, stop, command)
        try:
            started = await _started(service, bus, stop)
            with what_stays_left_alone():
                if started and command != "api":
                    await service.run(stop)
                await stop.wait()
            service.health.draining = True
        finally:
            stop.set()
            await server


@contextmanager
def what_stays_left_alone() -> Iterator[None]:
    """Modules, models and statements stay as long as the process; every look for garbage among them takes 100 ms."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def _server(service: Service, bound: socket.socket | None, stop: asyncio.Event, command: str) -> Awaitable[None]:
    """Begins to answer at once: alive, but not ready before the service is started."""
    if bound is None:
        return asyncio.sleep(0)
    app = ProbesOnly(service.app) if command == "worker" else service.app
    settings = service.settings
    limits = Limits(seconds=settings.request_seconds)
    server = asyncio.create_task(serving.serve(app, bound, stop, grace=settings.drain_seconds, limits=limits))
    server.add_done_callback(lambda _: stop.set())
    host, port = bound.getsockname()[:2]
    log.info("listening", service=service.name, host=host, port=port)
    return server


async def _started(service: Service, bus: Bus, stop: asyncio.Event) -> bool:
    """Starts the service once its peers answer; False when told to stop before. Raises NotThere unless told to wait."""
    while not stop.is_set():
        try:
            await _peers_answer(service, bus)
            await service.start()
        except NotThere as reason:
            if not service.settings.wait_for_peers:
                raise
            service.health.failed("start", str(reason), at_once=True)
            log.warning("waiting", service=service.name, reason=str(reason))
            await _pause(stop)
        else:
            service.health.well("start")
            return True
    return False


async def _peers_answer(service: Service, bus: Bus) -> None:
    await _tables_are_there(service.name, service.settings, service.db)
    try:
        await bus.check()
    except BusError as error:
        raise NotThere(_no_bus(error)) from error


async def _tables_are_there(name: str, settings: ServiceSettings, db: Database) -> None:
    try:
        await db.ping()
        pending = await migrations.pending(settings.database_url, migrations.migrations_of(package_of(name)))
    except (OSError, SQLAlchemyError) as error:
        raise NotThere(_no_database(error)) from error
    if pending:
        raise NotThere(f"DATABASE_URL: the database is not at {pending}; run `{name} migrate` first")


async def _pause(stop: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(RETRY_SECONDS):
            await stop.wait()
    except TimeoutError:
        return


def _no_database(error: Exception) -> str:
    return f"DATABASE_URL: the database does not answer ({_reason(error)}); start PostgreSQL there or correct the URL"


def _no_bus(error: Exception) -> str:
    return f"EVENTS_URL: the event bus does not answer ({_reason(error)}); start it there or correct the URL"


def _reason(error: Exception) -> str:
    return scrubbed(str(error)) or type(error).__name__
