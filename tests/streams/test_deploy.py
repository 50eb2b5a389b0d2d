"""What compose and the image name exists in the code. Nothing is started here."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from streams import broker
from streams.cli import COMMANDS, run
from streams.settings import fields, load, load_with_origins

ROOT = Path(__file__).parents[2]
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
DOCKERFILE = (ROOT / "deploy/Dockerfile").read_text()
OURS = {name: service for name, service in SERVICES.items() if service["image"] == "rillet"}


@pytest.mark.parametrize("service", OURS)
def test_commands_of_services_exist(service: str, capsys: pytest.CaptureFixture[str]) -> None:
    command = OURS[service]["command"]
    assert command[0] in COMMANDS
    assert run([*command, "--help"]) == 0


@pytest.mark.parametrize("service", OURS)
def test_the_environment_of_services_is_accepted(service: str) -> None:
    environ = {name: str(value) for name, value in OURS[service]["environment"].items()}
    loaded = load_with_origins(environ=environ)
    assert set(loaded.origins.values()) == set(environ)
    assert set(loaded.origins) <= {name for name, _ in fields()}


def test_trainer_and_workers_share_the_snapshots_of_the_embedding_model() -> None:
    for name in ("trainer", "worker"):
        settings = load(environ={key: str(each) for key, each in OURS[name]["environment"].items()})
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


def test_the_image_has_the_extra_that_the_trainer_needs() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    (default,) = re.findall(r"^ARG EXTRAS=(.*)$", DOCKERFILE, re.MULTILINE)
    assert 'pip install --no-cache-dir ".[$EXTRAS]"' in DOCKERFILE
    assert OURS["trainer"]["build"]["args"]["EXTRAS"] == default == "embed"
    assert default in extras


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


def test_prometheus_scrapes_the_worker_where_it_serves() -> None:
    scraped = yaml.safe_load((ROOT / "deploy" / "prometheus.yml").read_text())
    (target,) = scraped["scrape_configs"][0]["static_configs"][0]["targets"]
    host, _, port = target.partition(":")
    environ = {name: str(value) for name, value in SERVICES[host]["environment"].items()}
    assert load(environ=environ).worker.web_port == int(port)
    assert f":{port}/readyz" in json.dumps(SERVICES[host]["healthcheck"])


def test_the_image_copies_what_exists_and_is_sent_to_the_build() -> None:
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)
    sent = (ROOT / ".dockerignore").read_text().split()
    for name in " ".join(copied).split():
        assert (ROOT / name).exists(), name
        assert f"!{name}" in sent


def test_the_image_runs_as_a_user_without_rights() -> None:
    users = re.findall(r"^USER (.+)$", DOCKERFILE, re.MULTILINE)
    assert users == ["10001"]
