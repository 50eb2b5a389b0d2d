"""The manifests for Kubernetes: strictly valid, as secure as they say, and of settings and commands that exist."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from schemas import topics
from streams.cli import COMMANDS
from streams.settings import load

ROOT = Path(__file__).parents[2]
K8S = ROOT / "deploy" / "k8s"
VERSIONS = ("1.30", "1.37")
"""Oldest and newest that the manifests are checked for."""
CUSTOM = {"ScaledObject", "TriggerAuthentication", "ServiceMonitor", "PrometheusRule"}
FILES = sorted(
    path
    for path in K8S.rglob("*.yaml")
    if path.name not in ("kustomization.yaml", "triggers.yaml") and "overlays/production" not in str(path)
)
DOCUMENTS = [
    pytest.param(each, id=f"{path.parent.name}/{path.name}: {each['kind']} {each['metadata']['name']}")
    for path in FILES
    for each in yaml.safe_load_all(path.read_text())
]
BASE = [
    each
    for path in sorted((K8S / "base").glob("*.yaml"))
    for each in yaml.safe_load_all(path.read_text())
    if path.name != "kustomization.yaml"
]
PODS = {each["metadata"]["name"]: each for each in BASE if "template" in each.get("spec", {})}
SETTINGS = dict(line.split("=", 1) for line in (K8S / "base" / "settings.env").read_text().splitlines())


def container(name: str) -> dict[str, Any]:
    (only,) = PODS[name]["spec"]["template"]["spec"]["containers"]
    return dict(only)


def environment(name: str, tmp_path: Path) -> dict[str, str]:
    """Of a pod, where the tokens are a file of the test's."""
    tokens = tmp_path / "tokens"
    tokens.write_text("admin:0123456789abcdef")
    own = {each["name"]: each.get("value", f"{name}-0") for each in container(name)["env"]}
    if "RILLET_API__TOKENS_FILE" in own:
        own["RILLET_API__TOKENS_FILE"] = str(tokens)
    return SETTINGS | own


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("document", DOCUMENTS)
def test_resources_are_strictly_valid(document: dict[str, Any], version: str) -> None:
    if document["kind"] not in CUSTOM:
        kubernetes_validate.validate(document, version, strict=True)


@pytest.mark.parametrize("overlay", ["local", "production"])
def test_overlays_render_to_strictly_valid_resources(overlay: str) -> None:
    renderer = shutil.which("kustomize") or shutil.which("kubectl")
    if renderer is None:
        pytest.skip("neither kustomize nor kubectl is installed: the overlays are not rendered")
    build = ["build"] if Path(renderer).name == "kustomize" else ["kustomize"]
    ended = subprocess.run([renderer, *build, K8S / "overlays" / overlay], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    rendered = list(yaml.safe_load_all(ended.stdout))
    for each in rendered:
        if each["kind"] not in CUSTOM:
            kubernetes_validate.validate(each, VERSIONS[-1], strict=True)
    names = {(each["kind"], each["metadata"]["name"]) for each in rendered}
    assert {("StatefulSet", "rillet-worker"), ("Deployment", "rillet-api"), ("Job", "rillet-topics")} <= names
    if overlay == "production":
        assert {kind for kind, _ in names} >= CUSTOM
        (scaled,) = [each for each in rendered if each["kind"] == "ScaledObject"]
        (settings,) = [each for each in rendered if each["metadata"]["name"].startswith("rillet-settings")]
        assert all(
            trigger["metadata"]["bootstrapServers"] == settings["data"]["RILLET_BOOTSTRAP_SERVERS"]
            for trigger in scaled["spec"]["triggers"]
        )
        assert scaled["spec"]["maxReplicaCount"] <= int(settings["data"]["RILLET_TOPICS__PARTITIONS"])


@pytest.mark.parametrize("name", PODS)
def test_pods_run_commands_that_exist_in_an_environment_that_is_accepted(name: str, tmp_path: Path) -> None:
    assert container(name)["args"][0] in COMMANDS
    load(environ=environment(name, tmp_path))


@pytest.mark.parametrize("name", PODS)
def test_pods_have_no_rights_no_writable_root_and_a_bound_of_memory(name: str) -> None:
    pod = PODS[name]["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False
    only = container(name)
    assert only["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert only["resources"]["requests"]["cpu"]
    assert only["resources"]["limits"]["memory"]


def test_probes_ask_where_the_process_listens(tmp_path: Path) -> None:
    for name in ("rillet-worker", "rillet-trainer", "rillet-api"):
        settings, only = load(environ=environment(name, tmp_path)), container(name)
        ports = {
            "worker": settings.worker.web_port,
            "trainer": settings.trainer.web_port,
            "api": settings.api.port,
        }
        assert only["ports"] == [{"name": "http", "containerPort": ports[only["name"]]}]
        asked = {probe: only[f"{probe}Probe"]["httpGet"] for probe in ("startup", "liveness", "readiness")}
        assert asked["startup"] == asked["liveness"] == {"path": "/livez", "port": "http"}
        assert asked["readiness"] == {"path": "/readyz", "port": "http"}


def test_a_worker_is_named_after_its_pod_and_comes_back_within_the_session() -> None:
    (name,) = [each for each in container("rillet-worker")["env"] if each["name"] == "RILLET_WORKER_ID"]
    assert name["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.name"}}
    grace = PODS["rillet-worker"]["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    assert float(SETTINGS["RILLET_WORKER__SESSION_TIMEOUT_S"]) >= grace > 30


def test_volumes_lie_where_the_settings_say(tmp_path: Path) -> None:
    for name in PODS:
        settings = load(environ=environment(name, tmp_path))
        mounted = {each["mountPath"] for each in container(name)["volumeMounts"]}
        assert "/tmp" in mounted
        if name in ("rillet-worker", "rillet-trainer"):
            assert settings.snapshots.url in mounted
        if name == "rillet-api":
            assert str(settings.api.datadir) in mounted


def test_scaling_follows_the_lag_of_every_source_of_the_group() -> None:
    scaled = yaml.safe_load((K8S / "components" / "keda" / "scaled-object.yaml").read_text())["spec"]
    assert [each["metadata"]["topic"] for each in scaled["triggers"]] == list(topics.BEHAVIOUR)
    assert {each["metadata"]["consumerGroup"] for each in scaled["triggers"]} == {SETTINGS["RILLET_APP_ID"]}
    assert scaled["maxReplicaCount"] <= load(environ={}).topics.partitions
    patched = re.findall(
        r"/spec/triggers/(\d)/authenticationRef", (K8S / "components/kafka-sasl/triggers.yaml").read_text()
    )
    assert patched == [str(i) for i in range(len(scaled["triggers"]))]


def test_services_are_named_after_the_jobs_of_the_alerts() -> None:
    services = {each["metadata"]["name"] for each in BASE if each["kind"] == "Service"}
    jobs = {
        each["job_name"]
        for each in yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text())[
            "scrape_configs"
        ]
    }
    assert services == jobs


def test_the_api_may_reach_the_workers_and_only_it() -> None:
    policies = {each["metadata"]["name"]: each["spec"] for each in BASE if each["kind"] == "NetworkPolicy"}
    (into_worker,) = policies["rillet-worker"]["ingress"]
    assert into_worker["from"] == [
        {"podSelector": {"matchLabels": PODS["rillet-api"]["spec"]["selector"]["matchLabels"]}}
    ]
    assert "ingress" not in policies["rillet"]
    assert policies["rillet"]["policyTypes"] == ["Ingress", "Egress"]
