"""What scheduler-svc is told by its environment."""

from __future__ import annotations

from pydantic import Field

from remit_service.settings import ServiceSettings


class Settings(ServiceSettings):
    """`SWEEP_BATCH`: customers decided about in one transaction."""

    port: int = Field(default=8002, ge=0, le=65535)
    sweep_batch: int = Field(default=500, ge=1, le=5000)
