"""What escalation-svc is told by its environment; by default nothing hard happens without a person's approval."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, field_validator

from remit_service.settings import ServiceSettings
from remit_service.validation import Key, WebAddress


class Settings(ServiceSettings):
    """`APPROVE`: ask (a person decides), auto (given at once, by `APPROVE_AS`: simulations), never.

    `LADDER_DEFAULT` is the ladder of customers without one of their own or their profile's; `none`: nobody is
    escalated. `RUNGS_SETTLE_SECONDS` is what the day's steps get, from the opening of the window on, before rungs are
    looked at; a simulation settles them itself and sets 0.
    """

    port: int = Field(default=8004, ge=0, le=65535)
    notifier_url: WebAddress = "http://127.0.0.1:8003"
    approve: Literal["ask", "auto", "never"] = "ask"
    approve_as: Annotated[str, StringConstraints(min_length=1, max_length=100, strip_whitespace=True)] = "simulation"
    ladder_default: Key = "default"
    rungs_settle_seconds: float = Field(default=120, ge=0, le=3600)

    @field_validator("notifier_url")
    @classmethod
    def _no_trailing_slash(cls, url: str) -> str:
        return url.rstrip("/")
