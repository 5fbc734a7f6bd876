"""Commands of a service that do one thing in its database, say so and end."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from remit_service.database import Database

Lines = Sequence[str]


class Refused(Exception):  # noqa: N818  # said to the user in one line
    """What was asked cannot be done; `str()` is one line that says why and the way out."""


def no_arguments(_: ArgumentParser) -> None:
    """For a command that takes none."""


@dataclass(frozen=True)
class Command:
    """`work(database, settings, arguments)` gives the lines to print, or raises Refused; `declare` adds arguments."""

    name: str
    help: str
    work: Callable[[Database, Any, Namespace], Awaitable[Lines]]
    declare: Callable[[ArgumentParser], None] = no_arguments
