"""The `remit` command: what is common to all subcommands, and how a refusal ends one."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from remit_local.console import complain
from remit_local.errors import RefusedError, about_file
from remit_local.home import data_folder


class Group(TyperGroup):
    """Ends a command that was refused with one line and its exit code, rather than with a traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except RefusedError as error:
            complain(str(error))
            raise typer.Exit(error.code) from None
        except OSError as error:
            if error.errno == errno.EPIPE:  # whoever read the output has gone: nobody to tell
                raise
            complain(about_file(error))
            raise typer.Exit(RefusedError.code) from None


@dataclass(frozen=True)
class Given:
    """The options before the subcommand."""

    data: Path | None

    @property
    def folder(self) -> Path:
        return data_folder(self.data)


app = typer.Typer(
    cls=Group,
    name="remit",
    help="Remit gets invoices paid: it follows them up from issue to payment or escalation.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

DataOption = Annotated[
    Path | None,
    typer.Option("--data", metavar="DIR", help="Data folder (default .remit, or REMIT_DATA).", show_default=False),
]


@app.callback()
def options(ctx: typer.Context, data: DataOption = None) -> None:
    """Common to all subcommands."""
    ctx.obj = Given(data)


def given(ctx: typer.Context) -> Given:
    found = ctx.find_object(Given)
    return found or Given(None)


def add_commands() -> typer.Typer:
    """The app with every subcommand; importing a module adds its own."""
    from remit_local import commands

    commands.load()
    return app


def main() -> None:
    add_commands()(prog_name="remit")
