"""What the routes reach of the service, and the dependencies they share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request
from pydantic import ConfigDict

from notifier_svc.balances import StillOwed
from notifier_svc.modes import Ways
from notifier_svc.planning import Links, Render
from notifier_svc.settings import Settings
from remit_events.state import CustomerState, SellerState
from remit_service.api import Caller, require
from remit_service.auth import authenticate, missing_scope
from remit_service.shared import shared


@dataclass(frozen=True)
class Wiring:
    """Put at `app.state.notifier`; `links` are those of a preview, `nudge` says that something is to be sent."""

    settings: Settings
    ways: Ways
    still_owed: StillOwed
    render: Render
    links: Callable[[SellerState, CustomerState], Links]
    nudge: Callable[[], None]


async def _wiring(request: Request) -> Wiring:
    found: Wiring = request.app.state.notifier
    return found


WiringDep = Annotated[Wiring, Depends(_wiring)]
Reader = Annotated[Caller, require("deliveries:read")]
Writer = Annotated[Caller, require("deliveries:write")]


def outside(scope: str) -> Any:
    """Like `require`, for routes without a transaction because they ask other peers."""

    async def permitted(request: Request) -> Caller:
        async with shared(request).db.reading() as session:
            request.state.session = session
            caller = await authenticate(request)
        if not caller.allows(scope):
            raise missing_scope(scope, caller)
        return caller

    return Depends(permitted)


OutsideReader = Annotated[Caller, outside("deliveries:read")]
OutsideWriter = Annotated[Caller, outside("deliveries:write")]


def example(**given: Any) -> ConfigDict:
    """A model's example in OpenAPI."""
    return ConfigDict(json_schema_extra={"examples": [given]})
