"""What a request can reach of its service: `request.app.state.remit`."""

from __future__ import annotations

from dataclasses import dataclass, field

from starlette.requests import Request

from remit_service.clock import Clock
from remit_service.database import Database
from remit_service.health import Health
from remit_service.settings import ServiceSettings


@dataclass
class Shared:
    name: str
    db: Database
    clock: Clock
    settings: ServiceSettings
    health: Health = field(default_factory=Health)


def shared(request: Request) -> Shared:
    found: Shared = request.app.state.remit
    return found
