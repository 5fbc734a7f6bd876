"""The subcommands of `remit`, by noun; importing a module adds its own to the app."""

from __future__ import annotations

from importlib import import_module

MODULES = (
    "running",
    "importing",
    "simulating",
    "planning",
    "acting",
    "approving",
    "managing",
    "ruling",
    "sending",
    "letters",
    "operating",
)


def load() -> None:
    for name in MODULES:
        import_module(f"remit_local.commands.{name}")
