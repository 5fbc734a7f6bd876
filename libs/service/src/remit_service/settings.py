"""Settings every service has, from the environment; a missing or contradictory one ends the process at boot."""

from __future__ import annotations

import sys
from typing import Annotated, NoReturn, TypeVar

from pydantic import AfterValidator, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


def _database_url(url: str) -> str:
    for scheme in ("postgresql+asyncpg://", "postgresql://", "postgres://"):
        if url.startswith(scheme):
            return "postgresql+asyncpg://" + url.removeprefix(scheme)
    raise ValueError("must start with postgresql://, for example postgresql://remit:secret@localhost/invoice")


def _events_url(url: str) -> str:
    if url.startswith("kafka://"):
        return url
    try:
        return _database_url(url)
    except ValueError:
        raise ValueError("must start with kafka:// or postgresql://, for example kafka://127.0.0.1:9092") from None


DatabaseUrl = Annotated[str, AfterValidator(_database_url)]
EventsUrl = Annotated[str, AfterValidator(_events_url)]


class ServiceSettings(BaseSettings):
    """One variable per field, upper-case, without a prefix; a service adds its own fields in a subclass.

    `health_port`: where a worker answers probes. `wait_for_peers`: stay unready while database or bus do not answer,
    as in Kubernetes, rather than end with exit code 2.
    """

    model_config = SettingsConfigDict(extra="forbid", frozen=True, env_ignore_empty=True)

    database_url: DatabaseUrl
    events_url: EventsUrl
    events_topic_prefix: str = ""
    host: str = "127.0.0.1"
    port: int = 8000
    health_port: int | None = None
    wait_for_peers: bool = False
    log_level: Annotated[str, Field(pattern="^(debug|info|warning|error)$")] = "info"
    otlp_endpoint: str | None = None
    max_body_bytes: int = Field(default=2_000_000, gt=0)
    service_key: SecretStr = Field(min_length=16)
    drain_seconds: float = Field(default=25.0, gt=0)

    @field_validator("port", "health_port")
    @classmethod
    def _port(cls, port: int | None) -> int | None:
        """Holds for a subclass that only gives its default, too."""
        if port is not None and not 0 <= port <= 65535:
            raise ValueError("must be a port from 0 to 65535 (0: any free one)")
        return port


SettingsT = TypeVar("SettingsT", bound=ServiceSettings)


def load(settings: type[SettingsT]) -> SettingsT:
    """Reads the environment; on an error one line per variable on standard error, and exit code 2."""
    try:
        return settings()
    except ValidationError as error:
        for fault in error.errors(include_url=False, include_input=False):
            name = str(fault["loc"][0]).upper() if fault["loc"] else "settings"
            print(f"{name}: {_said(fault['type'], fault['msg'])}", file=sys.stderr)  # noqa: T201
        refuse()


def refuse(line: str | None = None) -> NoReturn:
    """Ends the process with exit code 2, after one line that says what to do."""
    if line:
        print(line, file=sys.stderr)  # noqa: T201
    raise SystemExit(2)


def _said(kind: str, message: str) -> str:
    if kind == "missing":
        return "is not set; set this environment variable (docs/operations names them all)"
    return message.removeprefix("Value error, ")
