"""`remit run`: everything on this machine, from an empty folder or where it stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr
from datetime import datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import TextColumn

from remit_local.cli import app, given
from remit_local.client import Remit
from remit_local.commands.importing import (
    CommaOption,
    DateOption,
    IgnoreOption,
    MapOption,
    imported,
    read_options,
    tell,
    tell_problems,
)
from remit_local.console import complain, out, progress, say
from remit_local.errors import RefusedError
from remit_local.home import KIND, OWN_LEDGER, Addresses, Home, data_folder
from remit_local.ledger import Ledger

if TYPE_CHECKING:
    from remit_local.ports import Bound

LEDGER = "ledger"


@app.command("run")
def run_all(
    ctx: typer.Context,
    invoices: Annotated[
        Path | None,
        typer.Option("--invoices", metavar="FILE.csv", help="Follow up your own ledger, in a data folder of its own."),
    ] = None,
    sample: Annotated[bool, typer.Option(help="On the first start, play the shipped sample's last 45 days.")] = True,
    processes: Annotated[bool, typer.Option("--processes", help="Each service in a process of its own.")] = False,
    host: Annotated[str | None, typer.Option("--host", help="Listen there (default 127.0.0.1, or HOST).")] = None,
    port: Annotated[
        int | None, typer.Option("--port", min=1, max=65532, help="First of four ports (default 8001, or REMIT_PORT).")
    ] = None,
    mapping: MapOption = None,
    ignore_unknown: IgnoreOption = False,
    date_format: DateOption = None,
    decimal_comma: CommaOption = False,
) -> None:
    """Start PostgreSQL, the four services and a local mailbox here; Ctrl-C stops all of it cleanly."""
    from remit_local.ledger_csv import read_ledger

    ledger = None
    if invoices:
        ledger = read_ledger(invoices, read_options(mapping, ignore_unknown, date_format, decimal_comma))
        if not ledger.rows:
            tell_problems(ledger, None)
            raise RefusedError(f"{invoices} has no row that can be taken")
    folder = data_folder(given(ctx).data, default=OWN_LEDGER if invoices else data_folder(None))
    addresses, home = Addresses.from_environment(host, port), Home(folder)
    with _claimed(home, addresses) as bound:
        if ledger is not None:
            _need_for_itself(home, ledger)
        _run(home, bound, ledger, addresses=addresses, sample=sample and ledger is None, processes=processes)
    say("Stopped.")


@contextmanager
def _claimed(home: Home, addresses: Addresses) -> Iterator[Bound]:
    """The folder and the ports, for this process alone; a folder that is not there yet is made last."""
    from remit_local.ports import claimed_ports

    fresh = not home.folder.exists()
    with ExitStack() as claims:
        if not fresh:
            claims.enter_context(home.make().locked())
        bound = claims.enter_context(claimed_ports(addresses))
        if fresh:
            claims.enter_context(home.made())
            claims.enter_context(home.locked())
        yield bound


def _need_for_itself(home: Home, ledger: Ledger) -> None:
    """Raises RefusedError where the folder follows other invoices: theirs and these would be mixed for good."""
    if (home.note(KIND) or {}).get("sample"):
        raise RefusedError(
            f"{home.folder} holds the shipped sample: give your own invoices another folder with --data or REMIT_DATA"
        )
    followed = home.note(LEDGER)
    if followed and followed["file"] != str(ledger.path.resolve()):
        raise RefusedError(
            f"{home.folder} follows {followed['file']}: to take over a later export of it start without --invoices and "
            f"`remit import` it; give another ledger a folder of its own with --data or REMIT_DATA"
        )


def _run(home: Home, bound: Bound, ledger: Ledger | None, **plan: Any) -> None:
    import uvloop

    from remit_local.postgres import EmbeddedPostgres
    from remit_local.running import Plan, Told, run

    with home.log() as log, _Bar() as bar:
        _configure_logs(log)
        told = Told(bar.passed, _loader(home, ledger, bar.close), _teller(home, plan["addresses"]))
        loop = asyncio.Runner(loop_factory=uvloop.new_event_loop)
        with EmbeddedPostgres(home.postgres) as server, loop as runner:
            runner.run(run(Plan(**plan), home, server, bound, told))


def _loader(home: Home, ledger: Ledger | None, first: Callable[[], None]) -> Callable[[], None]:
    def load() -> None:
        first()
        if ledger is None:
            return
        try:
            home.remember(LEDGER, {"file": str(ledger.path.resolve())})
            with Remit.of(home.folder) as remit:
                tell(ledger, imported(remit, ledger, dry_run=False), dry_run=False)
        except RefusedError as error:  # what is up stays up
            complain(str(error))

    return load


def _teller(home: Home, addresses: Addresses) -> Callable[[], None]:
    def ready() -> None:
        from remit_local.overview import overview

        try:
            with Remit.of(home.folder) as remit:
                overview(remit, home, addresses.urls())
        except RefusedError as error:
            complain(str(error))
        say("Remit is running. Ctrl-C stops it; starting it again goes on where it was.")
        out.file.flush()

    return ready


class _Bar:
    """The progress bar of the time-lapse, in simulated days; shown once there is something to play."""

    def __init__(self) -> None:
        self._progress = progress(TextColumn("{task.percentage:.0f}%"))
        self._task = self._progress.add_task("Playing the sample's last 45 days", total=None, visible=False)

    def __enter__(self) -> _Bar:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._progress.stop()

    def passed(self, begin: datetime, at: datetime, end: datetime) -> None:
        share = (at - begin) / (end - begin)
        self._progress.update(self._task, completed=100 * share, total=100, visible=True, description=f"{at:%Y-%m-%d}")


def _configure_logs(file: IO[str]) -> None:
    """JSON lines into a file of the data folder, so that the terminal stays readable."""
    import os

    from remit_service import logs, telemetry

    with redirect_stderr(file):
        logs.configure((os.environ.get("LOG_LEVEL") or "info").lower())
    telemetry.configure("remit", os.environ.get("OTLP_ENDPOINT") or None)
