"""Settings come from defaults, one file and the environment, and are refused whole and early."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from streams import settings_pages
from streams.errors import SettingsError
from streams.settings import SHORT_NAMES, Settings, fields, is_secret, load, load_with_origins, variable

ROOT = Path(__file__).parents[2]
SASL = {"RILLET_KAFKA__SECURITY_PROTOCOL": "SASL_SSL", "RILLET_KAFKA__SASL_USERNAME": "shop"}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No rillet.toml of the working directory takes part."""
    monkeypatch.chdir(tmp_path)


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def refusal(*, config: Path | None = None, **environ: str) -> str:
    with pytest.raises(SettingsError) as refused:
        load(config, environ)
    return str(refused.value)


def test_nothing_needs_to_be_set() -> None:
    assert load(environ={}) == Settings()


def test_the_environment_overrides_the_file_and_the_file_the_default(tmp_path: Path) -> None:
    config = write(tmp_path / "my.toml", '[worker]\napp_id = "file"\nid = "w-1"\n[topics]\npartitions = 8\n')
    loaded = load_with_origins(config, {"RILLET_WORKER__APP_ID": "environment"})
    assert loaded.settings.worker.app_id == "environment"
    assert loaded.settings.topics.partitions == 8
    assert loaded.settings.topics.replication == 1
    assert loaded.origins == {
        "worker.app_id": "RILLET_WORKER__APP_ID",
        "worker.id": str(config),
        "topics.partitions": str(config),
    }


@pytest.mark.parametrize(("short", "name"), SHORT_NAMES.items())
def test_short_names_set_what_they_stand_for(short: str, name: str) -> None:
    loaded = load_with_origins(environ={short: "host:9092"} if "BOOTSTRAP" in short else {short: "x"})
    assert loaded.origins == {name: short}


def test_the_file_is_named_or_found(tmp_path: Path) -> None:
    write(tmp_path / "rillet.toml", '[worker]\napp_id = "found"\n')
    named = write(tmp_path / "named.toml", '[worker]\napp_id = "named"\n')
    argument = write(tmp_path / "argument.toml", '[worker]\napp_id = "argument"\n')
    assert load(environ={}).worker.app_id == "found"
    assert load(environ={"RILLET_CONFIG": str(named)}).worker.app_id == "named"
    assert load(argument, {"RILLET_CONFIG": str(named)}).worker.app_id == "argument"


def test_a_file_that_is_missing_or_broken_is_named(tmp_path: Path) -> None:
    assert "absent.toml cannot be read" in refusal(config=tmp_path / "absent.toml")
    assert "broken.toml cannot be read" in refusal(config=write(tmp_path / "broken.toml", "[worker"))


def test_all_problems_are_told_at_once_with_place_and_nearest_name(tmp_path: Path) -> None:
    config = write(tmp_path / "my.toml", "[kafka]\nbootstrap_server = 'a:1'\n[worker]\nweb_port = -1\n")
    told = refusal(config=config, RILLET_WORKER_IDD="w", RILLET_TOPICS__PARTITION="3")
    assert (
        f"kafka.bootstrap_server ({config}): no such setting; did you mean kafka.bootstrap_servers?" in told
    )
    assert f"worker.web_port ({config}): Input should be greater than or equal to 0, got -1" in told
    assert "(RILLET_WORKER_IDD): no such setting; did you mean worker.id?" in told
    assert "(RILLET_TOPICS__PARTITION): no such setting; did you mean topics.partitions?" in told


def test_a_secret_in_the_file_is_refused_without_repeating_it(tmp_path: Path) -> None:
    told = refusal(config=write(tmp_path / "my.toml", "[kafka]\nsasl_password = 'hunter2'\n"))
    assert "set RILLET_KAFKA__SASL_PASSWORD instead" in told
    assert "hunter2" not in told


@pytest.mark.parametrize("name", [name for name, info in fields() if is_secret(info)])
def test_secrets_are_never_shown(name: str) -> None:
    loaded = load_with_origins(environ={variable(name): "hunter2"})
    assert "hunter2" not in repr(loaded.settings)
    assert "hunter2" not in str(settings_pages.in_force(loaded))


def test_a_variable_set_twice_is_refused() -> None:
    told = refusal(RILLET_APP_ID="a", RILLET_WORKER__APP_ID="b")
    assert "set twice, by RILLET_APP_ID and RILLET_WORKER__APP_ID" in told


def test_empty_variables_and_what_kubernetes_adds_for_a_service_count_as_not_set() -> None:
    links = {
        "RILLET_SERVICE_HOST": "10.0.0.1",
        "RILLET_PORT": "tcp://10.0.0.1:6066",
        "RILLET_PORT_6066_TCP_ADDR": "10.0.0.1",
        "RILLET_WORKER_SERVICE_PORT": "6066",
    }
    assert load(environ={**links, "RILLET_KAFKA__SASL_PASSWORD": ""}) == Settings()


def test_a_setting_whose_name_looks_like_a_service_is_read() -> None:
    assert load(environ={"RILLET_WORKER__WEB_PORT": "0"}).worker.web_port == 0


def test_lists_in_the_environment_are_json() -> None:
    name = "RILLET_INTEREST__HALF_LIVES_S"
    shorter = [each / 2 for each in Settings().interest.half_lives_s]
    assert list(load(environ={name: str(shorter)}).interest.half_lives_s) == shorter
    assert f"{name}: begins like JSON, but is none" in refusal(**{name: "[1,"})


@pytest.mark.parametrize(
    "address", ["kafka", "kafka:0", "kafka:70000", "kafka:9092,", "kafka://a:9092", "a b:1"]
)
def test_addresses_need_host_and_port(address: str) -> None:
    assert "is no host:port" in refusal(RILLET_BOOTSTRAP_SERVERS=address)


def test_addresses_may_be_several_and_ipv6() -> None:
    kafka = load(environ={"RILLET_BOOTSTRAP_SERVERS": "a:1, [::1]:2"}).kafka
    assert kafka.client_conf()["bootstrap.servers"] == "a:1,[::1]:2"
    assert kafka.faust_broker() == "kafka://a:1;kafka://[::1]:2"


@pytest.mark.parametrize(
    ("environ", "problem"),
    [
        ({"RILLET_TOPICS__MIN_INSYNC": "2"}, "min_insync = 2 is more than replication = 1"),
        ({"RILLET_WORKER__SESSION_TIMEOUT_S": "6"}, "more than a third of session_timeout_s = 6"),
        (SASL, "needs sasl_username, and sasl_password in the environment as RILLET_KAFKA__SASL_PASSWORD"),
        ({"RILLET_KAFKA__SSL_CERTFILE": __file__}, "ssl_certfile and ssl_keyfile go together"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(environ: dict[str, str], problem: str) -> None:
    assert problem in refusal(**environ)


def test_plain_connections_carry_no_credentials() -> None:
    kafka = load(environ={}).kafka
    assert set(kafka.client_conf()) == {"bootstrap.servers", "security.protocol"}
    assert kafka.faust_credentials() is None


def test_credentials_reach_both_clients() -> None:
    kafka = load(environ={**SASL, "RILLET_KAFKA__SASL_PASSWORD": "hunter2"}).kafka
    conf = kafka.client_conf()
    assert (conf["sasl.mechanism"], conf["sasl.username"], conf["sasl.password"]) == (
        "SCRAM-SHA-512",
        "shop",
        "hunter2",
    )
    credentials = kafka.faust_credentials()
    assert credentials is not None
    assert (credentials.protocol.value, credentials.mechanism.value) == ("SASL_SSL", "SCRAM-SHA-512")
    assert (credentials.username, credentials.password) == ("shop", "hunter2")
    assert credentials.ssl_context.check_hostname


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings().topics.partitions = 5


def test_the_example_file_changes_nothing(tmp_path: Path) -> None:
    loaded = load_with_origins(write(tmp_path / "example.toml", settings_pages.toml()), {})
    assert loaded.settings == Settings()


def test_every_setting_is_described_in_the_example_and_the_page() -> None:
    example, page = settings_pages.toml(), settings_pages.markdown()
    for name, info in fields():
        assert info.description, f"{name} has no description"
        last = name.rpartition(".")[2]
        assert f"\n{last} = " in example or f"\n# {last}" in example, name
        assert f"| `{last}` |" in page, name


def test_the_page_of_settings_is_up_to_date() -> None:
    page = (ROOT / "docs" / "settings.md").read_text()
    assert page == settings_pages.markdown(), "run `make docs`"
