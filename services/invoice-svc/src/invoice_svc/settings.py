"""invoice-svc's settings: those every service has, and the first seller."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, SecretStr

from invoice_svc.field_types import Name
from remit_service.settings import ServiceSettings
from remit_service.validation import Country, LanguageTag

SHORTEST_KEY = 32


class Settings(ServiceSettings):
    """`seller_…` and `bootstrap_key` are read by the command `bootstrap` only."""

    port: int = Field(default=8001, ge=0, le=65535)
    seller_name: Name | None = None
    seller_country: Country = "DE"
    seller_language: LanguageTag = "en"
    bootstrap_key: Annotated[SecretStr, Field(min_length=SHORTEST_KEY)] | None = None
