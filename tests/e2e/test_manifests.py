"""deploy/k8s: kustomize renders it, kubernetes-validate accepts it strictly, and it fits the services."""

from __future__ import annotations

import copy
import os
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from typing import Any

import kubernetes_validate
import pytest
import yaml
from remit_testing.deployables import ALL, ROOT

VERSIONS = ("1.34", kubernetes_validate.latest_version())
FOLDERS = ("base", "overlays/dev", "overlays/prod")
# In CI the tool is there or the run fails.
pytestmark = pytest.mark.skipif(
    shutil.which("kubectl") is None and not os.environ.get("REMIT_REQUIRE_KAFKA"), reason="needs kubectl"
)
EACH = pytest.mark.parametrize("folder", FOLDERS)


@cache
def rendered(folder: str) -> list[dict[str, Any]]:
    done = subprocess.run(
        ["kubectl", "kustomize", str(ROOT / "deploy/k8s" / folder)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def kind(folder: str, *kinds: str) -> dict[str, dict[str, Any]]:
    return {d["metadata"]["name"]: d for d in rendered(folder) if d["kind"] in kinds}


def pods(folder: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, workload in kind(folder, "Deployment", "Job").items():
        yield name, workload["spec"]["template"]["spec"]


def refuses(document: dict[str, Any], versions: tuple[str, ...] = VERSIONS) -> bool:
    try:
        for version in versions:
            kubernetes_validate.validate(document, version, strict=True)
    except kubernetes_validate.ValidationError:
        return True
    return False


@EACH
def test_every_manifest_is_valid_strictly(folder: str) -> None:
    documents = rendered(folder)
    assert len(documents) > 30
    # What the base holds is in the overlays again.
    versions = VERSIONS if folder != "base" else VERSIONS[-1:]
    assert [f"{d['kind']}/{d['metadata']['name']}" for d in documents if refuses(d, versions)] == []


def test_the_validation_can_fail() -> None:
    """A misspelt field, a wrong type, a missing one: each is refused, so that accepting means something."""
    good = kind("base", "Deployment")["invoice-svc-api"]
    assert not refuses(good)
    misspelt, mistyped, incomplete = copy.deepcopy(good), copy.deepcopy(good), copy.deepcopy(good)
    misspelt["spec"]["template"]["spec"]["containers"][0]["readinesProbe"] = {}
    mistyped["spec"]["replicas"] = "three"
    del incomplete["spec"]["selector"]
    assert [refuses(document) for document in (misspelt, mistyped, incomplete)] == [True, True, True]


def insecurities(pod: dict[str, Any]) -> list[str]:
    """What the restricted profile of Pod Security (and we) would object to."""
    found = []
    whole = pod.get("securityContext", {})
    if not whole.get("runAsNonRoot") or not whole.get("runAsUser"):
        found.append("may run as root")
    if whole.get("seccompProfile") != {"type": "RuntimeDefault"}:
        found.append("no seccomp profile")
    if pod.get("automountServiceAccountToken") is not False:
        found.append("has a token")
    if pod.get("enableServiceLinks") is not False:
        found.append("is given other services' variables")
    for container in pod["containers"]:
        own = container.get("securityContext", {})
        if own.get("allowPrivilegeEscalation") is not False or own.get("capabilities") != {"drop": ["ALL"]}:
            found.append("privileges")
        if not own.get("readOnlyRootFilesystem"):
            found.append("writable root")
        if not container.get("resources", {}).get("requests") or "memory" not in container["resources"]["limits"]:
            found.append("unbounded")
    return found


@EACH
def test_pods_run_restricted(folder: str) -> None:
    assert {name: found for name, pod in pods(folder) if (found := insecurities(pod))} == {}


def test_the_restriction_check_can_fail() -> None:
    pod = copy.deepcopy(dict(pods("base"))["notifier-svc-worker"])
    pod["securityContext"].pop("runAsNonRoot")
    pod["containers"][0]["securityContext"]["capabilities"] = {"add": ["NET_ADMIN"]}
    assert insecurities(pod) == ["may run as root", "privileges"]


@EACH
def test_each_service_has_api_worker_and_migration_and_its_own_settings(folder: str) -> None:
    configs = kind(folder, "ConfigMap")
    secrets = {"DATABASE_URL": "postgresql://x@y/z", "EVENTS_URL": "kafka://k:9092", "SERVICE_KEY": "0123456789abcdef"}
    for service in ALL:
        for command in ("api", "worker", "migrate"):
            pod = dict(pods(folder))[f"{service.name}-{command}"]
            (container,) = pod["containers"]
            assert container["args"] == [command]
            assert service.knows_command(command)
            assert container["image"].split(":")[0].endswith(f"remit/{service.name}")
            config = configs[container["envFrom"][0]["configMapRef"]["name"]]["data"]
            assert set(config) <= service.variables
            settings = service.settings({**config, **secrets})
            assert settings.wait_for_peers
            assert settings.drain_seconds < pod.get("terminationGracePeriodSeconds", 30)
            if command != "migrate":
                assert container["ports"][0]["containerPort"] == settings.port == settings.health_port
                assert {"startupProbe", "livenessProbe", "readinessProbe"} <= set(container)


@EACH
def test_the_first_seller_is_made_by_a_job_with_a_secret_of_its_own(folder: str) -> None:
    (invoices,) = (service for service in ALL if service.short == "invoice")
    (container,) = dict(pods(folder))["invoice-svc-bootstrap"]["containers"]
    assert container["args"] == ["bootstrap"]
    assert invoices.knows_command("bootstrap")
    migration = dict(pods(folder))["invoice-svc-migrate"]["containers"][0]
    assert container["envFrom"][:-1] == migration["envFrom"]
    name = container["envFrom"][-1]["secretRef"]["name"]
    if folder == "overlays/dev":
        assert set(kind(folder, "Secret")[name]["data"]) == {"SELLER_NAME", "BOOTSTRAP_KEY"}
    else:
        assert name == "invoice-svc-bootstrap"


@EACH
def test_secrets_are_named_never_written_into_the_base(folder: str) -> None:
    wanted = {
        reference["secretRef"]["name"].rsplit("-", 1)[0] if folder == "overlays/dev" else reference["secretRef"]["name"]
        for _, pod in pods(folder)
        for reference in pod["containers"][0]["envFrom"]
        if "secretRef" in reference
    }
    assert wanted == {"remit", "invoice-svc-bootstrap", *(service.name for service in ALL)}
    assert bool(kind(folder, "Secret")) == (folder == "overlays/dev")


@EACH
def test_what_selects_pods_selects_exactly_those_meant(folder: str) -> None:
    labels = {n: d["spec"]["template"]["metadata"]["labels"] for n, d in kind(folder, "Deployment", "Job").items()}

    def selected(wanted: dict[str, str]) -> set[str]:
        return {name for name, has in labels.items() if wanted.items() <= has.items()}

    for name, deployment in kind(folder, "Deployment").items():
        assert selected(deployment["spec"]["selector"]["matchLabels"]) == {name}
        for constraint in deployment["spec"]["template"]["spec"]["topologySpreadConstraints"]:
            assert selected(constraint["labelSelector"]["matchLabels"]) == {name}
    for name, budget in kind(folder, "PodDisruptionBudget").items():
        assert selected(budget["spec"]["selector"]["matchLabels"]) == {name}
    for name, found in kind(folder, "Service").items():
        assert selected(found["spec"]["selector"]) == {name}
    assert set(kind(folder, "PodDisruptionBudget")) == set(kind(folder, "Deployment"))
    for policy in kind(folder, "NetworkPolicy").values():
        assert selected(policy["spec"]["podSelector"]["matchLabels"])


@EACH
def test_addresses_of_peers_are_services_that_exist(folder: str) -> None:
    there = set(kind(folder, "Service"))
    urls = {
        value
        for config in kind(folder, "ConfigMap").values()
        for name, value in config["data"].items()
        if name.endswith("_URL")
    }
    assert urls
    assert {url.removeprefix("http://") for url in urls} <= there


@pytest.mark.parametrize("folder", ["overlays/dev", "overlays/prod"])
def test_overlays_put_everything_into_one_restricted_namespace(folder: str) -> None:
    (namespace,) = kind(folder, "Namespace").values()
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    name = namespace["metadata"]["name"]
    assert {d["metadata"].get("namespace") for d in rendered(folder) if d["kind"] != "Namespace"} == {name}


def test_production_runs_more_than_one_of_each_on_released_images() -> None:
    for name, deployment in kind("overlays/prod", "Deployment").items():
        assert deployment["spec"]["replicas"] >= 2, name
    for name, pod in pods("overlays/prod"):
        assert pod["containers"][0]["image"].startswith("registry.example.com/remit/"), name
        assert not pod["containers"][0]["image"].endswith((":dev", ":latest")), name


async def test_the_ingress_sends_every_route_to_the_service_that_has_it() -> None:
    (ingress,) = kind("base", "Ingress").values()
    (rule,) = ingress["spec"]["rules"]
    sent = {path["path"]: path["backend"]["service"]["name"] for path in rule["http"]["paths"]}
    environment = {
        "DATABASE_URL": "postgresql://x@127.0.0.1:1/x",
        "EVENTS_URL": "postgresql://x@127.0.0.1:1/x",
        "SERVICE_KEY": "0123456789abcdef",
    }
    routes: dict[str, str] = {}
    for service in ALL:
        built = await service.build(environment)
        for path in built.app.openapi()["paths"]:
            first = "/".join(path.split("/")[:3])
            assert routes.setdefault(first, f"{service.name}-api") == f"{service.name}-api", path
        await built.stop()
        await built.bus.close()
    assert sent == routes
