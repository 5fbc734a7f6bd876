"""invoice-svc's settings: those every service has."""

from __future__ import annotations

from pydantic import Field

from remit_service.settings import ServiceSettings


class Settings(ServiceSettings):
    port: int = Field(default=8001, ge=0, le=65535)
