"""The four services as whoever deploys them sees them: settings, commands and routes."""

from __future__ import annotations

import contextlib
import importlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from unittest import mock

from remit_service.service import Service
from remit_service.settings import ServiceSettings

ROOT = Path(__file__).parents[3]
NAMES = ("invoice", "scheduler", "notifier", "escalation")


@dataclass(frozen=True)
class Deployable:
    """One service; `name` is as in invoice-svc."""

    short: str

    @property
    def name(self) -> str:
        return f"{self.short}-svc"

    @property
    def port(self) -> int:
        """Where it listens by default."""
        port: int = self.settings_class.model_fields["port"].default
        return port

    @property
    def settings_class(self) -> type[ServiceSettings]:
        found: type[ServiceSettings] = self._module("settings").Settings
        return found

    @property
    def variables(self) -> set[str]:
        """The environment variables it knows."""
        return {field.upper() for field in self.settings_class.model_fields}

    def settings(self, environment: Mapping[str, str]) -> ServiceSettings:
        """What it makes of an environment; raises pydantic.ValidationError."""
        with mock.patch.dict("os.environ", environment, clear=True):
            return self.settings_class()

    def knows_command(self, command: str) -> bool:
        """Whether `python -m X_svc COMMAND` gets past its arguments (and then ends, as nothing is set)."""
        said = io.StringIO()
        arguments = mock.patch("sys.argv", [self.name, command])
        nothing_set = mock.patch.dict("os.environ", {}, clear=True)
        with nothing_set, arguments, contextlib.redirect_stderr(said), contextlib.suppress(SystemExit):
            self._module("__main__").main()
        unknown = "invalid choice" in said.getvalue()
        if not unknown and "DATABASE_URL" not in said.getvalue():
            raise AssertionError(f"{self.name} {command} ended otherwise than expected: {said.getvalue()}")
        return not unknown

    async def build(self, environment: Mapping[str, str]) -> Service:
        """Its composition; nothing is connected to."""
        from remit_events.bus import open_bus
        from remit_service.clock import WallClock

        settings = self.settings(environment)
        service: Service = await self._module("app").build(
            settings, clock=WallClock(), bus=open_bus(settings.events_url)
        )
        return service

    def _module(self, name: str) -> ModuleType:
        return importlib.import_module(f"{self.short}_svc.{name}")


ALL = tuple(Deployable(short) for short in NAMES)
