"""docker-compose.yml and the Dockerfiles against the services they run."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
import yaml
from remit_testing.deployables import ALL, ROOT, Deployable

from remit_events.catalogue import TOPICS

IN_TEXT = re.compile(r"\$\{([A-Z_]+):-([^}]*)\}")
EVERY = re.compile(r"\$\{?[A-Za-z_]+[^}]*\}?")
BY_NAME = pytest.mark.parametrize("service", ALL, ids=[service.name for service in ALL])


def filled(value: Any) -> Any:
    """Variables replaced by their defaults, as compose does in an empty environment."""
    if isinstance(value, dict):
        return {key: filled(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [filled(inner) for inner in value]
    return IN_TEXT.sub(lambda found: found[2], value) if isinstance(value, str) else value


@pytest.fixture(scope="module")
def raw() -> str:
    return (ROOT / "docker-compose.yml").read_text("utf-8")


@pytest.fixture(scope="module")
def compose(raw: str) -> Any:
    return filled(yaml.safe_load(raw))


def containers(compose: Any, service: Deployable) -> dict[str, Any]:
    names = {"migrate": f"{service.short}-migrate", "api": service.name, "worker": f"{service.short}-worker"}
    return {command: compose["services"][name] for command, name in names.items()}


def test_every_variable_has_a_default_and_none_is_misspelt(raw: str) -> None:
    content = "\n".join(line for line in raw.splitlines() if not line.lstrip().startswith("#"))
    assert [found for found in EVERY.findall(content) if not IN_TEXT.fullmatch(found)] == []
    anchors = {part for part in yaml.safe_load(raw) if part.startswith("x-")}
    assert anchors == {"x-service", "x-environment", "x-probe", "x-migrate"}


@BY_NAME
def test_each_runs_commands_it_has_with_settings_it_accepts(compose: Any, service: Deployable) -> None:
    for command, container in containers(compose, service).items():
        assert container["command"] == [command]
        assert service.knows_command(command)
        environment = {name: str(value) for name, value in container["environment"].items()}
        assert set(environment) <= service.variables
        settings = service.settings(environment)
        assert settings.wait_for_peers
        assert settings.database_url.endswith(f"@postgres/{service.short}")


def test_the_first_seller_is_made_by_a_command_that_ends(compose: Any) -> None:
    container = compose["services"]["invoice-bootstrap"]
    (invoices,) = (service for service in ALL if service.short == "invoice")
    assert container["command"] == ["bootstrap"]
    assert invoices.knows_command("bootstrap")
    environment = {name: str(value) for name, value in container["environment"].items()}
    assert set(environment) <= invoices.variables
    settings: Any = invoices.settings(environment)
    assert settings.seller_name
    assert settings.bootstrap_key
    assert container["restart"] == "on-failure"
    assert container["depends_on"] == {"invoice-migrate": {"condition": "service_completed_successfully"}}


@BY_NAME
def test_ports_and_probes_are_those_it_listens_on(compose: Any, service: Deployable) -> None:
    found = containers(compose, service)
    assert found["api"]["ports"] == [f"127.0.0.1:{service.port}:{service.port}"]
    assert f":{service.port}/readyz" in found["api"]["healthcheck"]["test"][-1]
    assert f"HEALTH_PORT={_worker_port(found['worker'])}" in dockerfile(service)
    assert f"PORT={service.port} " in dockerfile(service)
    assert "ports" not in found["worker"]


def _worker_port(worker: Any) -> str:
    found = re.search(r":(\d+)/readyz", worker["healthcheck"]["test"][-1])
    assert found
    return found[1]


@BY_NAME
def test_nothing_starts_before_what_it_needs(compose: Any, service: Deployable) -> None:
    found = containers(compose, service)
    done = {"condition": "service_completed_successfully"}
    for command in ("api", "worker"):
        assert found[command]["depends_on"][f"{service.short}-migrate"] == done
    for needed in ("postgres", "kafka"):
        assert found["migrate"]["depends_on"][needed] == {"condition": "service_healthy"}
        assert compose["services"][needed]["healthcheck"]["test"]
    assert found["migrate"]["restart"] == "on-failure"


def test_services_call_one_another_by_names_and_ports_that_exist(compose: Any) -> None:
    ports = {service.name: service.port for service in ALL}
    seen = 0
    for container in compose["services"].values():
        for name, value in container.get("environment", {}).items():
            if name.endswith("_URL") and str(value).startswith("http://"):
                host, port = value.removeprefix("http://").split(":")
                assert ports[host] == int(port)
                seen += 1
    assert seen


@BY_NAME
def test_images_are_built_from_its_own_dockerfile_and_replaceable(raw: str, service: Deployable) -> None:
    given = yaml.safe_load(raw)["services"][service.name]
    assert given["image"] == f"${{{service.short.upper()}_IMAGE:-remit/{service.name}:dev}}"
    assert given["build"]["dockerfile"] == f"services/{service.name}/Dockerfile"
    assert given["build"]["args"] == {"BASE_IMAGE": "${BASE_IMAGE:-python:3.12-slim}"}


@BY_NAME
def test_containers_have_no_more_rights_than_they_need(compose: Any, service: Deployable) -> None:
    for container in containers(compose, service).values():
        assert container["read_only"] is True
        assert container["cap_drop"] == ["ALL"]
        assert container["security_opt"] == ["no-new-privileges:true"]


def test_both_brokers_remember_groups_longer_than_they_keep_records(compose: Any) -> None:
    properties = (ROOT / "deploy/kafka/server.properties").read_text("utf-8")
    found = re.search(r"^offsets\.retention\.minutes=(\d+)$", properties, re.MULTILINE)
    assert found
    here = compose["services"]["kafka"]["environment"]["KAFKA_OFFSETS_RETENTION_MINUTES"]
    kept = max(topic.retention for topic in TOPICS)
    assert all(timedelta(minutes=int(minutes)) > kept for minutes in (found[1], here))


def test_databases_and_roles_are_those_the_services_use() -> None:
    script = (ROOT / "deploy/compose/databases.sh").read_text("utf-8")
    listed = re.search(r"for service in ([a-z ]+);", script)
    assert listed
    assert listed[1].split() == [service.short for service in ALL]


def dockerfile(service: Deployable) -> str:
    return (ROOT / f"services/{service.name}/Dockerfile").read_text("utf-8")


@BY_NAME
def test_a_dockerfile_is_locked_multi_stage_and_non_root(service: Deployable) -> None:
    lines = dockerfile(service).splitlines()
    assert [line for line in lines if line.startswith("FROM")] == [
        "FROM ${BASE_IMAGE} AS builder",
        "FROM ${BASE_IMAGE}",
    ]
    assert "ARG BASE_IMAGE=python:3.12-slim" in lines
    assert "--require-hashes" in dockerfile(service)
    assert [line for line in lines if line.startswith("USER")] == ["USER 10001:10001"]
    assert f'ENTRYPOINT ["python", "-m", "{service.short}_svc"]' in lines
    final = lines[lines.index("FROM ${BASE_IMAGE}") :]
    assert not [line for line in final if "pip" in line or "apt-get" in line]
    for copied in re.findall(r"^COPY (?!--from)(\S+)", dockerfile(service), re.MULTILINE):
        assert (ROOT / copied).exists(), copied


def test_the_dockerfiles_differ_in_nothing_but_names_and_ports() -> None:
    plain = {
        dockerfile(service)
        .replace(service.name, "X-svc")
        .replace(f"{service.short}_svc", "X_svc")
        .replace(str(service.port), "PORT")
        for service in ALL
    }
    assert len(plain) == 1
