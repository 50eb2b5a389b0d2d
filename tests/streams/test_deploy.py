"""What compose and the image name exists in the code. Nothing is started here."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from compose_spec import PyCompose

from streams import broker
from streams.cli import COMMANDS, run
from streams.settings import fields, load, load_with_origins

ROOT = Path(__file__).parents[2]
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
DOCKERFILE = (ROOT / "deploy/Dockerfile").read_text()
PROMETHEUS = yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text())
OURS = {name: service for name, service in SERVICES.items() if service["image"] == "rillet"}
WORKERS = [name for name, service in OURS.items() if service["command"] == ["worker"]]


def environment(service: str) -> dict[str, str]:
    """As compose hands it over where no variable of its own is set."""
    given = OURS[service]["environment"]
    return {name: re.sub(r"\$\{\w+:-(.*)\}", r"\1", str(value)) for name, value in given.items()}


@pytest.mark.parametrize("service", OURS)
def test_commands_of_services_exist(service: str, capsys: pytest.CaptureFixture[str]) -> None:
    command = OURS[service]["command"]
    assert command[0] in COMMANDS
    assert run([*command, "--help"]) == 0


@pytest.mark.parametrize("service", OURS)
def test_the_environment_of_services_is_accepted(service: str) -> None:
    environ = environment(service)
    loaded = load_with_origins(environ=environ)
    assert set(loaded.origins.values()) == {name for name in environ if name.startswith("RILLET_")}
    assert set(loaded.origins) <= {name for name, _ in fields()}


def test_trainer_and_workers_share_the_snapshots_of_the_embedding_model() -> None:
    for name in ("trainer", *WORKERS):
        settings = load(environ=environment(name))
        assert settings.embed.enabled
        assert f"models:{settings.snapshots.url}" in OURS[name]["volumes"]


def test_every_volume_of_our_services_is_declared_and_lies_in_a_folder_that_the_image_gives_to_its_user() -> (
    None
):
    declared = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["volumes"]
    (folders,) = re.findall(r"install -d -o rillet (.+)$", DOCKERFILE, re.MULTILINE)
    for service in OURS.values():
        for volume in service.get("volumes", []):
            name, _, folder = volume.partition(":")
            assert name in declared
            assert folder in folders.split()


def test_the_image_that_compose_builds_has_the_embedding_model() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    stages = dict(
        re.findall(r"^FROM build AS (\S+)\n# .+\nRUN pip install .*\"\.\[(.+)\]\"$", DOCKERFILE, re.MULTILINE)
    )
    assert stages["build-cpu"] == stages["build-cuda"] == "embed,otel"
    assert stages["build-plain"] == "otel"
    assert {"embed", "otel"} <= set(extras)
    for service in OURS.values():
        target = service["build"]["target"].removeprefix("${RILLET_TARGET:-").removesuffix("}")
        assert f"FROM runtime AS {target}\nCOPY --from=build-{target} " in DOCKERFILE


def test_kafka_is_the_version_that_is_tested() -> None:
    assert SERVICES["kafka"]["image"] == f"apache/kafka:{broker.kafka_version()}"


def test_kafka_is_set_as_the_tested_broker() -> None:
    environment = SERVICES["kafka"]["environment"]
    tested = broker.KafkaBroker(data_dir=Path("unused")).properties
    for name in ("auto.create.topics.enable", "message.max.bytes", "group.initial.rebalance.delay.ms"):
        assert str(environment["KAFKA_" + name.upper().replace(".", "_")]) == tested[name]


def test_services_reach_kafka_where_it_listens_for_them() -> None:
    advertised = SERVICES["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"]
    for service in OURS.values():
        assert f"PLAINTEXT://{service['environment']['RILLET_BOOTSTRAP_SERVERS']}" in advertised


def test_dependencies_name_services_and_conditions_that_can_come_about() -> None:
    for service in SERVICES.values():
        for name, wanted in service.get("depends_on", {}).items():
            assert name in SERVICES
            if wanted["condition"] == "service_healthy":
                assert "healthcheck" in SERVICES[name]


def test_ports_are_published_on_loopback_only() -> None:
    for service in SERVICES.values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


def test_prometheus_scrapes_every_process_where_it_serves_under_the_job_of_the_alerts() -> None:
    scraped = {
        (each["job_name"], target)
        for each in PROMETHEUS["scrape_configs"]
        for target in each["static_configs"][0]["targets"]
    }
    served = set()
    for name, service in OURS.items():
        settings, (command, *_) = load(environ=environment(name)), service["command"]
        ports = {
            "worker": settings.worker.web_port,
            "trainer": settings.trainer.web_port,
            "api": settings.api.port,
        }
        if command in ports:
            served.add((f"rillet-{command}", f"{name}:{ports[command]}"))
            assert f":{ports[command]}/readyz" in json.dumps(service["healthcheck"])
    assert scraped == served


def test_workers_have_names_and_state_of_their_own_and_the_api_knows_all_of_them() -> None:
    ids = [environment(name)["RILLET_WORKER_ID"] for name in WORKERS]
    assert ids == WORKERS
    addresses = load(environ=environment("api")).api.workers
    assert addresses == [f"http://{name}:6066" for name in WORKERS]


def test_processes_can_write_to_their_volumes_only_and_have_no_rights() -> None:
    for service in OURS.values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]


def test_grafana_is_given_the_dashboards_and_the_data_source() -> None:
    mounts = dict(each.split(":")[:2] for each in SERVICES["grafana"]["volumes"])
    provisioned = ROOT / "deploy" / "grafana" / "provisioning"
    (provider,) = yaml.safe_load((provisioned / "dashboards" / "rillet.yml").read_text())["providers"]
    assert mounts["./deploy/grafana"] == provider["options"]["path"]
    (source,) = yaml.safe_load((provisioned / "datasources" / "prometheus.yml").read_text())["datasources"]
    assert source["url"] == "http://prometheus:9090"
    home = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert (ROOT / "deploy" / "grafana" / Path(home).name).exists()


def test_prometheus_is_given_the_alert_rules() -> None:
    assert "./deploy/prometheus:/etc/prometheus:ro" in SERVICES["prometheus"]["volumes"]
    assert PROMETHEUS["rule_files"] == ["alerts.yml"]


def test_the_specification_of_compose_accepts_the_file() -> None:
    text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", (ROOT / "docker-compose.yml").read_text())
    merged = {key: each for key, each in yaml.safe_load(text).items() if not key.startswith("x-")}
    read = PyCompose.from_yaml(yaml.safe_dump(merged))
    read.validate()
    assert set(read.service_names()) == set(SERVICES)


def test_the_dockerfile_follows_its_linter() -> None:
    hadolint = Path(sys.executable).parent / "hadolint"
    ended = subprocess.run([hadolint, ROOT / "deploy/Dockerfile"], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout


def test_the_image_copies_what_exists_and_is_sent_to_the_build() -> None:
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)
    assert copied
    sent = (ROOT / ".dockerignore").read_text().split()
    for name in " ".join(copied).split():
        assert (ROOT / name).exists(), name
        assert f"!{name}" in sent


def test_the_image_runs_as_a_user_without_rights() -> None:
    users = re.findall(r"^USER (.+)$", DOCKERFILE, re.MULTILINE)
    assert users == ["10001"]
