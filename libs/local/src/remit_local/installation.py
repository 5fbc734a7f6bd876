"""How the four services of one installation are told where everything is: as settings, or as an environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from remit_local.errors import RefusedError
from remit_local.home import SERVICES, Addresses
from remit_local.postgres import EmbeddedPostgres
from remit_service.settings import ServiceSettings, said

EVENTS_DATABASE = "remit_events"
LOCAL_DATABASE = "remit_local"


def package_of(service: str) -> str:
    """invoice-svc is the package invoice_svc."""
    return service.replace("-", "_")


def database_of(service: str) -> str:
    """invoice-svc keeps its tables in the database remit_invoice."""
    return f"remit_{service.removesuffix('-svc')}"


@dataclass(frozen=True)
class Installation:
    """Databases by service, the bus, addresses, the key services show each other, and the mailbox folder.

    `own_bus` is the embedded bus, whether it is used or not; `extras` are further settings by service, which the
    environment does not change.
    """

    databases: dict[str, str]
    local_database: str
    own_bus: str
    events_url: str
    topic_prefix: str
    addresses: Addresses
    service_key: str
    mailbox: Path
    extras: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @classmethod
    def on(
        cls,
        server: EmbeddedPostgres,
        *,
        addresses: Addresses,
        service_key: str,
        mailbox: Path,
        events_url: str | None = None,
        topic_prefix: str = "",
    ) -> Installation:
        """On an embedded server; its own events database is the bus unless `events_url` names another."""
        return cls(
            databases={service: server.url(database_of(service)) for service in SERVICES},
            local_database=server.url(LOCAL_DATABASE),
            own_bus=server.url(EVENTS_DATABASE),
            events_url=events_url or server.url(EVENTS_DATABASE),
            topic_prefix=topic_prefix,
            addresses=addresses,
            service_key=service_key,
            mailbox=mailbox,
        )

    def with_extras(self, extras: Mapping[str, Mapping[str, Any]]) -> Installation:
        return replace(self, extras=extras)

    def values(self, service: str) -> dict[str, Any]:
        """What is fixed for a service here, by setting; everything else it reads from the environment."""
        urls = self.addresses.urls()
        values = {
            "database_url": self.databases[service],
            "events_url": self.events_url,
            "events_topic_prefix": self.topic_prefix,
            "host": self.addresses.host,
            "port": self.addresses.ports[service],
            "service_key": self.service_key,
            "mailbox_folder": self.mailbox,
            **{f"{name.removesuffix('-svc')}_url": urls[name] for name in SERVICES},
            **self.extras.get(service, {}),
        }
        known = settings_class(service).model_fields
        return {name: value for name, value in values.items() if name in known}

    def settings(self, service: str) -> ServiceSettings:
        """Raises RefusedError naming the variables of the environment that are wrong."""
        try:
            return settings_class(service)(**self.values(service))
        except ValidationError as error:
            raise RefusedError(said(error)) from None

    def environment(self, service: str) -> dict[str, str]:
        """The same as variables, for a process of its own."""
        return {name.upper(): str(value) for name, value in self.values(service).items()}


def settings_class(service: str) -> type[ServiceSettings]:
    found: type[ServiceSettings] = import_module(f"{package_of(service)}.settings").Settings
    return found
