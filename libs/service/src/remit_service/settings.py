"""Settings every service has, from the environment; a missing or contradictory one ends the process at boot."""

from __future__ import annotations

import sys
from typing import Annotated, Literal, NoReturn, TypeVar

from pydantic import AfterValidator, Field, SecretStr, ValidationError, field_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

from remit_service.ways_out import way_out


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

    `request_seconds`: how long a request may take to come in whole. `health_port`: where a worker answers probes.
    `wait_for_peers`: stay unready while database or bus do not answer, as in Kubernetes, rather than end with exit
    code 2.
    """

    model_config = SettingsConfigDict(extra="forbid", frozen=True, env_ignore_empty=True)

    database_url: DatabaseUrl
    events_url: EventsUrl
    events_topic_prefix: str = ""
    host: str = "127.0.0.1"
    port: int = 8000
    health_port: int | None = None
    wait_for_peers: bool = False
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    otlp_endpoint: str | None = None
    max_body_bytes: int = Field(default=2_000_000, gt=0)
    request_seconds: float = Field(default=30.0, gt=0)
    service_key: SecretStr = Field(min_length=16)
    drain_seconds: float = Field(default=25.0, gt=0)

    @field_validator("port", "health_port")
    @classmethod
    def _port(cls, port: int | None) -> int | None:
        """Holds for a subclass that only gives its default, too."""
        if port is not None and not 0 <= port <= 65535:
            raise ValueError(f"must be a port from 0 to 65535 (0: any free one), not {port}")
        return port


# A number, a choice: what stands there may be shown. A text or a URL may hold a secret.
_NO_SECRET = ("int_", "float_", "bool_", "greater_", "less_", "literal_error")

SettingsT = TypeVar("SettingsT", bound=ServiceSettings)


def load(settings: type[SettingsT]) -> SettingsT:
    """Reads the environment; on an error one line per variable on standard error, and exit code 2."""
    try:
        return settings()
    except ValidationError as error:
        refuse(said(error))


def refuse(line: str | None = None) -> NoReturn:
    """Ends the process with exit code 2, after one line that says what to do."""
    if line:
        print(line, file=sys.stderr)  # noqa: T201
    raise SystemExit(2)


def said(error: ValidationError) -> str:
    """What is wrong with the environment: one line per variable, with its value where that can be no secret."""
    return "\n".join(f"{_name(fault)}{_said(fault)}" for fault in error.errors(include_url=False))


def _name(fault: ErrorDetails) -> str:
    return f"{str(fault['loc'][0]).upper()}: " if fault["loc"] else ""


def _said(fault: ErrorDetails) -> str:
    if fault["type"] == "missing":
        return "is not set; set this environment variable (docs/operations names them all)"
    line = way_out(fault).removesuffix(".").replace("This must", "must", 1)
    if fault["type"].startswith(_NO_SECRET):
        return f"{line} (given: {fault['input']!r})"
    return line.replace(" items", " characters")  # of a secret pydantic says items
