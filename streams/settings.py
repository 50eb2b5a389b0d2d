"""Settings of a worker and the commands: defaults, under ``rillet.toml``, under the environment.

One file (``--config``, else ``RILLET_CONFIG``, else ``rillet.toml`` where the command runs) and variables
named ``RILLET_<SECTION>__<NAME>``, with the short forms of ``SHORT_NAMES``. What is unknown or out of range
is refused before anything starts, all of it at once. Secrets come from the environment only.

Reading happens here alone; the rest of the code is handed a frozen ``Settings``.
"""

import difflib
import json
import os
import re
import socket
import ssl
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, NamedTuple, Self, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    FilePath,
    PositiveFloat,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic.fields import FieldInfo

from models.clean.settings import CleanSettings
from models.embed.settings import EmbedSettings
from models.ingest.settings import IngestSettings
from models.interest.settings import InterestSettings
from models.knowledge.settings import KnowledgeSettings
from models.learn.settings import LearnSettings
from models.path_settings import PathSettings
from models.quality.settings import QualitySettings
from models.rank.settings import RankSettings
from models.retrieve.settings import RetrieveSettings
from models.value.settings import ValueSettings
from streams.api.settings import ApiSettings
from streams.cleaning import declared
from streams.errors import SettingsError
from streams.snapshots.settings import SnapshotSettings

if TYPE_CHECKING:
    from faust import SASLCredentials, SSLCredentials

PREFIX: Final = "RILLET_"
DEFAULT_FILE: Final = Path("rillet.toml")
SHORT_NAMES: Final = {
    "RILLET_BOOTSTRAP_SERVERS": "kafka.bootstrap_servers",
    "RILLET_APP_ID": "worker.app_id",
    "RILLET_WORKER_ID": "worker.id",
    "RILLET_DATADIR": "worker.datadir",
}
NOT_SETTINGS: Final = frozenset({"RILLET_CONFIG"})
# Kubernetes describes a Service called "rillet" to every pod in variables of these names.
_SERVICE_LINK: Final = re.compile(r"RILLET_(\w+_)?(SERVICE_(HOST|PORT)(_\w+)?|PORT(_\d+_(TCP|UDP)\w*)?)")
_ADDRESS: Final = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^\s,:/\[\]]+):(\d{1,5})")


def _addresses(value: str) -> str:
    for address in value.split(","):
        match = _ADDRESS.fullmatch(address.strip())
        if match is None or not 0 < int(match[2]) < 65_536:
            raise ValueError(f"{address.strip()!r} is no host:port")
    return ",".join(address.strip() for address in value.split(","))


Addresses = Annotated[str, AfterValidator(_addresses)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9.-]*$", max_length=100)]


class Section(BaseModel):
    """Frozen; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class KafkaSettings(Section):
    """The broker, and how to sign in to it."""

    bootstrap_servers: Addresses = Field(
        "127.0.0.1:9092", description="Addresses host:port, comma-separated."
    )
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="How to connect. TLS always checks the broker's host name."
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "SCRAM-SHA-512", description="How to sign in, under `SASL_PLAINTEXT` and `SASL_SSL`."
    )
    sasl_username: str | None = Field(None, description="Name to sign in with.")
    sasl_password: SecretStr | None = Field(None, description="Password to sign in with.")
    ssl_cafile: FilePath | None = Field(
        None, description="Certificates (PEM) to trust instead of the system's."
    )
    ssl_certfile: FilePath | None = Field(None, description="Our own certificate (PEM), for mutual TLS.")
    ssl_keyfile: FilePath | None = Field(None, description="The key (PEM) of our own certificate.")
    ssl_keyfile_password: SecretStr | None = Field(None, description="Password of the key.")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.uses_sasl and not (self.sasl_username and self.sasl_password):
            raise ValueError(
                f"security_protocol = {self.security_protocol} needs sasl_username, and sasl_password in the "
                "environment as RILLET_KAFKA__SASL_PASSWORD"
            )
        if (self.ssl_certfile is None) != (self.ssl_keyfile is None):
            raise ValueError("ssl_certfile and ssl_keyfile go together: set both, or neither")
        return self

    @property
    def uses_sasl(self) -> bool:
        """Whether a name and password are sent."""
        return self.security_protocol.startswith("SASL")

    @property
    def uses_tls(self) -> bool:
        """Whether the connection is encrypted."""
        return self.security_protocol.endswith("SSL")

    def client_conf(self) -> dict[str, str]:
        """What every confluent-kafka client needs to connect."""
        conf = {"bootstrap.servers": self.bootstrap_servers, "security.protocol": self.security_protocol}
        if self.uses_sasl:
            conf["sasl.mechanism"] = self.sasl_mechanism
            conf["sasl.username"] = self.sasl_username or ""
            conf["sasl.password"] = _reveal(self.sasl_password)
        if self.uses_tls:
            conf |= {key: str(path) for key, path in self._pem_files().items() if path}
            if self.ssl_keyfile_password:
                conf["ssl.key.password"] = _reveal(self.ssl_keyfile_password)
        return conf

    def producer(self) -> dict[str, str | int | bool]:
        """For confluent-kafka producers: idempotent, and the partitioner that Java and aiokafka use."""
        return {
            **self.client_conf(),
            "acks": "all",
            "enable.idempotence": True,
            "partitioner": "murmur2_random",
            "compression.type": "lz4",
            "linger.ms": 5,
        }

    def consumer(self) -> dict[str, str | int | bool]:
        """For confluent-kafka consumers that keep their own offsets and are assigned their partitions."""
        return {
            **self.client_conf(),
            "group.id": "rillet",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
        }

    def faust_broker(self) -> str:
        """The address as Faust takes it."""
        return ";".join(f"kafka://{address}" for address in self.bootstrap_servers.split(","))

    def faust_credentials(self) -> "SASLCredentials | SSLCredentials | None":
        """Faust's ``broker_credentials``."""
        from faust import SASLCredentials, SSLCredentials

        context = self.ssl_context() if self.uses_tls else None
        if self.uses_sasl:
            return SASLCredentials(
                username=self.sasl_username,
                password=_reveal(self.sasl_password),
                mechanism=self.sasl_mechanism,
                ssl_context=context,
            )
        return SSLCredentials(context) if context else None

    def _pem_files(self) -> dict[str, Path | None]:
        return {
            "ssl.ca.location": self.ssl_cafile,
            "ssl.certificate.location": self.ssl_certfile,
            "ssl.key.location": self.ssl_keyfile,
        }

    def ssl_context(self) -> ssl.SSLContext:
        """For clients of Python's own TLS."""
        context = ssl.create_default_context(cafile=self.ssl_cafile)
        if self.ssl_certfile:
            context.load_cert_chain(
                self.ssl_certfile, self.ssl_keyfile, password=_reveal(self.ssl_keyfile_password)
            )
        return context


class WorkerSettings(Section):
    """One worker process."""

    id: Name = Field(
        default_factory=socket.gethostname,
        description="Names this worker among those of the application, and must survive a restart: its "
        "state and its place in the consumer group (static membership) hang on it. By default the host's "
        "name; needed when two workers share a host.",
    )
    app_id: Name = Field(
        "rillet",
        description="Names the application: its consumer group and its changelog topics. Another name starts "
        "afresh.",
    )
    datadir: Path = Field(
        Path(".rillet"), description="Where workers keep their state, each in a folder of its id."
    )
    web_host: str = Field("127.0.0.1", description="Where metrics and health are served.")
    web_port: int = Field(
        6066, ge=0, le=65_535, description="Port of metrics and health; 0 picks a free one."
    )
    session_timeout_s: float = Field(
        30.0, ge=1.0, le=1800.0, description="Seconds after which a silent worker's partitions go to others."
    )
    heartbeat_interval_s: PositiveFloat = Field(
        3.0, description="Seconds between signs of life; at most a third of the session timeout."
    )
    commit_interval_s: float = Field(
        1.0,
        ge=0.05,
        le=60.0,
        description="Seconds between commits: at most about twice that is repeated after a crash.",
    )
    max_batch_records: int = Field(
        1000,
        ge=1,
        le=100_000,
        description="Records that one micro-batch holds at most; fewer when fewer have come.",
    )
    standby_replicas: int = Field(
        0,
        ge=0,
        le=4,
        description="Copies of each partition's state on other workers, for a quicker takeover.",
    )

    @model_validator(mode="after")
    def _heartbeats_fit(self) -> Self:
        if self.heartbeat_interval_s > self.session_timeout_s / 3:
            raise ValueError(
                f"heartbeat_interval_s = {self.heartbeat_interval_s:g} is more than a third of "
                f"session_timeout_s = {self.session_timeout_s:g}"
            )
        return self

    @property
    def state_dir(self) -> Path:
        """Where this worker keeps its tables."""
        return self.datadir / self.id


class TrainerSettings(Section):
    """The trainer's process; what it learns is set in ``embed``."""

    web_host: str = Field("127.0.0.1", description="Where metrics and health are served.")
    web_port: int = Field(
        6067, ge=0, le=65_535, description="Port of metrics and health; 0 picks a free one."
    )


class TopicsSettings(Section):
    """What ``rillet topics create`` creates."""

    partitions: int = Field(
        4,
        ge=1,
        le=10_000,
        description="Partitions of the topics keyed by user, and so the largest number of busy workers. "
        "Cannot be changed later: a user's state lies in the partition that the user id hashes to.",
    )
    replication: int = Field(1, ge=1, le=10, description="Copies of each partition; 3 in production.")
    min_insync: int = Field(
        1,
        ge=1,
        le=10,
        description="Copies that must have a record before it counts as written; 2 in production.",
    )

    @model_validator(mode="after")
    def _replicas_suffice(self) -> Self:
        if self.min_insync > self.replication:
            raise ValueError(
                f"min_insync = {self.min_insync} is more than replication = {self.replication}: "
                "nothing could be written"
            )
        return self


class PublishSettings(Section):
    """What is published, and how often."""

    slate_length: int = Field(20, ge=1, le=200, description="Items in a slate.")
    n_candidates: int = Field(
        100, ge=1, le=10_000, description="Candidates that each retrieval source hands to ranking."
    )
    trending_interval_s: float = Field(10.0, ge=0.1, description="Seconds between two leaderboards.")
    related_interval_s: float = Field(
        30.0, ge=0.1, description="Seconds between two rounds of related items."
    )


class Settings(Section):
    """All settings, a section for each part."""

    kafka: KafkaSettings = KafkaSettings()
    worker: WorkerSettings = Field(default_factory=WorkerSettings)
    trainer: TrainerSettings = TrainerSettings()
    topics: TopicsSettings = TopicsSettings()
    ingest: IngestSettings = IngestSettings()
    clean: CleanSettings = CleanSettings()
    interest: InterestSettings = InterestSettings()
    knowledge: KnowledgeSettings = KnowledgeSettings()
    retrieve: RetrieveSettings = RetrieveSettings()
    rank: RankSettings = RankSettings()
    learn: LearnSettings = LearnSettings()
    embed: EmbedSettings = EmbedSettings()
    snapshots: SnapshotSettings = SnapshotSettings()
    quality: QualitySettings = QualitySettings()
    value: ValueSettings = ValueSettings()
    publish: PublishSettings = PublishSettings()
    api: ApiSettings = ApiSettings()

    def path(self) -> PathSettings:
        """What the pure path is built from, the recipe of cleaning read anew.

        Raises:
            SettingsError: it cannot be read or followed.
        """
        return PathSettings(
            ingest=self.ingest,
            interest=self.interest,
            knowledge=self.knowledge,
            retrieve=self.retrieve,
            rank=self.rank,
            learn=self.learn,
            slate_length=self.publish.slate_length,
            n_candidates=self.publish.n_candidates,
            clean=declared(self.clean.recipe, self.interest.max_events),
        )


class InForce(NamedTuple):
    """Settings, and for each name that is not a default where it was set."""

    settings: Settings
    origins: dict[str, str]


def load(config: Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """The settings in force.

    Raises:
        SettingsError: names each unknown, misplaced or refused setting, where it was set, and the way out.
    """
    return load_with_origins(config, environ).settings


def load_with_origins(config: Path | None = None, environ: Mapping[str, str] | None = None) -> InForce:
    """As ``load``, and where each value came from."""
    environ = os.environ if environ is None else environ
    reader = _Reader()
    if path := _config_path(config, environ):
        reader.read_file(path)
    reader.read_environment(environ)
    return InForce(reader.build(), reader.origins)


def fields(model: type[BaseModel] = Settings, prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Every setting by its dotted name, in order."""
    for name, info in model.model_fields.items():
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            yield from fields(info.annotation, f"{prefix}{name}.")
        else:
            yield prefix + name, info


def value_of(settings: Settings, name: str) -> Any:
    """The value of a setting by its dotted name."""
    value: Any = settings
    for part in name.split("."):
        value = getattr(value, part)
    return value


def is_secret(info: FieldInfo) -> bool:
    """Whether the value is taken from the environment only and never shown."""
    return SecretStr in (info.annotation, *get_args(info.annotation))


def variable(name: str) -> str:
    """The environment variable of a setting: ``RILLET_KAFKA__SASL_USERNAME`` for ``kafka.sasl_username``."""
    return PREFIX + name.replace(".", "__").upper()


class _Reader:
    """Collects values by dotted name, later ones overriding earlier ones, and every problem on the way."""

    def __init__(self) -> None:
        self.origins: dict[str, str] = {}
        self._values: dict[str, Any] = {}
        self._problems: list[str] = []
        self._fields = dict(fields())

    def read_file(self, path: Path) -> None:
        try:
            tree = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise SettingsError(
                f"The settings file {path} cannot be read: {error}.",
                fix="Mend it, or name another with --config; `rillet settings --toml` prints an example.",
            ) from error
        for name, value in self._leaves(tree):
            self._add(name, value, str(path), of_file=True)

    def read_environment(self, environ: Mapping[str, str]) -> None:
        for key, value in sorted(environ.items()):
            if not key.startswith(PREFIX) or key in NOT_SETTINGS or not value:
                continue
            name = SHORT_NAMES.get(key, key.removeprefix(PREFIX).lower().replace("__", "."))
            if name not in self._fields and _SERVICE_LINK.fullmatch(key):
                continue
            earlier = self.origins.get(name)
            if earlier and earlier.startswith(PREFIX):
                self._problems.append(f"{name}: set twice, by {earlier} and {key}; keep one of them")
            self._add(name, self._parse(key, value), key)

    def build(self) -> Settings:
        tree: dict[str, Any] = {}
        for name, value in self._values.items():
            *sections, last = name.split(".")
            branch = tree
            for section in sections:
                branch = branch.setdefault(section, {})
            branch[last] = value
        try:
            settings = Settings.model_validate(tree)
        except ValidationError as error:
            self._problems += [self._describe(each) for each in error.errors(include_url=False)]
        if self._problems:
            raise SettingsError(
                "Settings are refused:\n" + "\n".join(f"  - {problem}" for problem in self._problems),
                fix="`rillet settings --toml` prints every setting with its meaning and default.",
            )
        return settings

    def _leaves(self, tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
        for key, value in tree.items():
            name = prefix + key
            if isinstance(value, dict) and value and name not in self._fields:
                yield from self._leaves(value, f"{name}.")
            elif value != {}:
                yield name, value

    def _add(self, name: str, value: Any, origin: str, *, of_file: bool = False) -> None:
        if name not in self._fields:
            self._problems.append(f"{name} ({origin}): no such setting{self._nearest(name)}")
        elif of_file and is_secret(self._fields[name]):
            self._problems.append(
                f"{name} ({origin}): a secret does not belong into a file; set {variable(name)} instead"
            )
        else:
            self._values[name] = value
            self.origins[name] = origin

    def _nearest(self, name: str) -> str:
        by_last = {known.rpartition(".")[2]: known for known in self._fields}
        near = difflib.get_close_matches(name, self._fields, n=1, cutoff=0.7)
        near = near or [
            by_last[last] for last in difflib.get_close_matches(name.rpartition(".")[2], by_last, n=1)
        ]
        return f"; did you mean {near[0]}?" if near else ""

    def _parse(self, key: str, value: str) -> Any:
        """Lists and tables are written as JSON."""
        if value[0] not in "[{":
            return value
        try:
            return json.loads(value)
        except ValueError:
            self._problems.append(f"{key}: begins like JSON, but is none")
            return value

    def _describe(self, error: Any) -> str:
        name = ".".join(str(part) for part in error["loc"])
        origin = self.origins.get(name)
        place = f"{name} ({origin})" if origin else name
        message = error["msg"].removeprefix("Value error, ")
        secret = name in self._fields and is_secret(self._fields[name])
        got = "" if error["type"] == "value_error" or secret else f", got {error['input']!r}"
        return f"{place}: {message}{got}"


def _config_path(config: Path | None, environ: Mapping[str, str]) -> Path | None:
    named = config or (Path(environ["RILLET_CONFIG"]) if environ.get("RILLET_CONFIG") else None)
    if named or DEFAULT_FILE.exists():
        return named or DEFAULT_FILE
    return None


def _reveal(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret else ""
