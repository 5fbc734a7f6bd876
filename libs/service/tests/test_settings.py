"""Settings fail at boot, naming the variable, and never show a secret."""

from __future__ import annotations

import pytest

from remit_service.settings import ServiceSettings, load
from remit_service.validation import WebAddress

GIVEN = {
    "DATABASE_URL": "postgresql://remit:pw@db/invoice",
    "EVENTS_URL": "kafka://k1:9092,k2:9092",
    "SERVICE_KEY": "0123456789abcdef-secret",
}


class Settings(ServiceSettings):
    port: int = 8001
    invoice_url: str = "http://127.0.0.1:8001"
    proxy_url: WebAddress | None = None


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for name in (*GIVEN, "PORT", "HOST", "LOG_LEVEL", "DRAIN_SECONDS", "PROXY_URL"):
        monkeypatch.delenv(name, raising=False)

    def give(**change: str | None) -> None:
        for name, value in (GIVEN | change).items():
            if value is not None:
                monkeypatch.setenv(name, value)

    return give


def test_what_is_given_is_read(environment):
    environment(PORT="9000")
    settings = load(Settings)
    assert settings.database_url == "postgresql+asyncpg://remit:pw@db/invoice"
    assert settings.events_url == GIVEN["EVENTS_URL"]
    assert (settings.port, settings.max_body_bytes, settings.host) == (9000, 2_000_000, "127.0.0.1")
    assert settings.otlp_endpoint is None


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+asyncpg"])
def test_the_embedded_bus_is_a_postgresql_url(environment, scheme):
    environment(EVENTS_URL=f"{scheme}://u@/bus?host=/tmp/x")
    assert load(Settings).events_url == "postgresql+asyncpg://u@/bus?host=/tmp/x"


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"DATABASE_URL": None}, "DATABASE_URL: is not set"),
        ({"DATABASE_URL": ""}, "DATABASE_URL: is not set"),
        ({"DATABASE_URL": "mysql://x"}, "DATABASE_URL: must start with postgresql://"),
        ({"EVENTS_URL": "amqp://x"}, "EVENTS_URL: must start with kafka:// or postgresql://"),
        ({"SERVICE_KEY": "short"}, "SERVICE_KEY: must have at least 16 characters, not 5\n"),
        ({"PORT": "http"}, "PORT: must be a whole number (given: 'http')"),
        ({"PORT": "70000"}, "PORT: must be a port from 0 to 65535 (0: any free one), not 70000"),
        ({"LOG_LEVEL": "loud"}, "LOG_LEVEL: must be 'debug', 'info', 'warning' or 'error' (given: 'loud')"),
        ({"DRAIN_SECONDS": "0"}, "DRAIN_SECONDS: must be greater than 0 (given: '0')"),
        ({"PROXY_URL": "ftp://u:abcdef-secret@h"}, "PROXY_URL: Write a web address, as https://remit.example\n"),
    ],
)
def test_what_cannot_be_ends_the_process_with_one_line(environment, capsys, change, line):
    environment(**change)
    with pytest.raises(SystemExit) as ended:
        load(Settings)
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert said.startswith(line)
    assert said.count("\n") == 1
    assert "abcdef-secret" not in said


def test_every_fault_has_its_line(environment, capsys):
    environment(DATABASE_URL=None, PORT="x")
    with pytest.raises(SystemExit):
        load(Settings)
    assert [line.split(":")[0] for line in capsys.readouterr().err.splitlines()] == ["DATABASE_URL", "PORT"]


def test_secrets_do_not_show(environment):
    environment()
    assert "abcdef-secret" not in repr(load(Settings))
