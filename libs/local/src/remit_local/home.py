"""The data folder of one installation on this machine: databases, mailbox, keys, and who is using it."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from remit_local.errors import RefusedError, about_file
from remit_local.postgres import PostgresFailedError, check_parents

DEFAULT = Path(".remit")
OWN_LEDGER = Path(".remit-own")
SERVICES = ("invoice-svc", "scheduler-svc", "notifier-svc", "escalation-svc")
FIRST_PORT = 8001
LAST_PORT = 65535
GIT_IGNORE = "*\n"
KIND = "installation"  # the note of what a folder was begun with


def data_folder(given: Path | None, *, default: Path = DEFAULT) -> Path:
    """The folder a command works in: the flag, else REMIT_DATA, else `default` below the working directory."""
    return given or Path(os.environ.get("REMIT_DATA") or default)


@dataclass(frozen=True)
class Addresses:
    """Where the four services listen: one host, a port each."""

    host: str
    ports: dict[str, int]

    @classmethod
    def from_environment(cls, host: str | None = None, first_port: int | None = None) -> Addresses:
        """From flags, else HOST and REMIT_PORT (the first of four), INVOICE_PORT and so on; raises RefusedError."""
        first = first_port or _port("REMIT_PORT", FIRST_PORT)
        ports = {name: _port(f"{variable(name)}_PORT", first + index) for index, name in enumerate(SERVICES)}
        return cls(host or os.environ.get("HOST") or "127.0.0.1", ports)

    def url(self, service: str) -> str:
        """The base URL to reach a service at; a wildcard host is reached on the loopback."""
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.host, self.host)  # noqa: S104 - not bound, replaced
        return f"http://{host}:{self.ports[service]}"

    def urls(self) -> dict[str, str]:
        return {service: self.url(service) for service in SERVICES}


def variable(service: str) -> str:
    """`INVOICE` for invoice-svc: how its variables begin."""
    return service.removesuffix("-svc").upper()


def _port(name: str, default: int) -> int:
    given = os.environ.get(name)
    if not given:
        if default > LAST_PORT:
            raise RefusedError(f"REMIT_PORT: {name} would be {default}; give at most {LAST_PORT - len(SERVICES) + 1}")
        return default
    if not given.isdigit() or not 0 < int(given) <= LAST_PORT:
        raise RefusedError(f"{name}: {given!r} is not a port; give a number from 1 to 65535")
    return int(given)


class Home:
    """A data folder; every part of it is made when first asked for, secrets with mode 0600."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()

    @property
    def postgres(self) -> Path:
        return self.folder / "postgres"

    @property
    def mailbox(self) -> Path:
        return self.folder / "mailbox"

    @property
    def key_file(self) -> Path:
        """The development key `remit` and the printed curls use."""
        return self.folder / "key"

    def key(self) -> str | None:
        """The development key, None when there is none yet."""
        return self.key_file.read_text(encoding="utf-8").strip() if self.key_file.exists() else None

    def make(self) -> Home:
        """Creates the folder; raises RefusedError, before making any, where it cannot be or PostgreSQL cannot run."""
        check_parents(self.folder)
        with self._written():
            self.folder.mkdir(parents=True, exist_ok=True)
            ignore = self.folder / ".gitignore"
            if not ignore.exists():
                ignore.write_text(GIT_IGNORE)
            self.mailbox.mkdir(mode=0o700, exist_ok=True)
        return self

    @contextmanager
    def made(self) -> Iterator[Home]:
        """`make`; what is refused before anything began in a folder that was not there leaves none."""
        fresh = not self.folder.exists()
        self.make()
        try:
            yield self
        except RefusedError as error:
            # Where PostgreSQL does not start, its log in the folder says why.
            if fresh and self.note(KIND) is None and not isinstance(error, PostgresFailedError):
                shutil.rmtree(self.folder, ignore_errors=True)
            raise

    def log(self) -> IO[str]:
        """Where the services running in this process write their log; raises RefusedError when it is not ours."""
        with self._written():
            return (self.folder / "remit.log").open("a", encoding="utf-8")

    @contextmanager
    def _written(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise RefusedError(f"the data folder cannot be used: {about_file(error)} (--data, REMIT_DATA)") from None

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps every other `remit run` out of this folder; raises RefusedError when there is one."""
        with self._written():
            lock = (self.folder / "lock").open("a+")
        with lock as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                file.seek(0)
                raise RefusedError(
                    f"Remit already runs in {self.folder} (process {file.read().strip() or 'unknown'}): "
                    "stop it, or choose another data folder with --data or REMIT_DATA"
                ) from None
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            yield

    def secret(self, name: str) -> str:
        """A random secret of this folder, made at first; the file has mode 0600."""
        path = self.folder / name
        if not path.exists():
            self.keep_secret(name, secrets.token_urlsafe(32))
        return path.read_text(encoding="utf-8").strip()

    def keep_secret(self, name: str, value: str) -> None:
        with (
            self._written(),
            os.fdopen(os.open(self.folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file,
        ):
            file.write(value + "\n")

    def note(self, name: str) -> Any:
        """What was remembered under `name`, or None."""
        try:
            return json.loads((self.folder / f"{name}.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None

    def remember(self, name: str, value: Any) -> None:
        """Writes a small JSON note, whole or not at all."""
        path = self.folder / f"{name}.json"
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps(value, indent=1), encoding="utf-8")
        fresh.replace(path)
