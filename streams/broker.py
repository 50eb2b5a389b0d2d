"""Kafka brokers for first runs, tests and benchmarks: one inside the process, one of its own.

============  ==========================================  ================================================
broker        what it is                                  what it needs
============  ==========================================  ================================================
``embedded``  librdkafka's mock cluster, a TCP listener   nothing
``kafka``     Apache Kafka, KRaft, one node, one process  JDK 17 or later; Maven once, for 43 MB of jars
============  ==========================================  ================================================

Not for production: one node, no replication, no authentication, loopback only.
"""

import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.resources import files
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree

from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient

from streams.errors import BrokerMissingError, BrokerStartError, BrokerUnreachableError

HOST: Final = "127.0.0.1"
MAX_MESSAGE_BYTES: Final = 4 * 1024 * 1024
EMBEDDED_PARTITIONS: Final = 4
CONNECT_TIMEOUT_S: Final = 5.0

_POM: Final = files("streams") / "kafka" / "pom.xml"
_SILENT: Final = {"log_level": 0}
_POLL_S: Final = 0.05
_FIXES: Final = {
    KafkaError._AUTHENTICATION: "Check kafka.sasl_mechanism, kafka.sasl_username and RILLET_KAFKA__SASL_PASSWORD.",
    KafkaError._SSL: "Check kafka.ssl_cafile, whose certificates must vouch for the broker's name, kafka.ssl_certfile "
    "and kafka.ssl_keyfile, and that kafka.security_protocol is that of the listener.",
}
_MAVEN_TIMEOUT_S: Final = 900
_JVM: Final = ("-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20", "-Dlog4j2.level=INFO")
# Below the range from which systems pick ports for outgoing connections: a client that keeps trying the port
# of a killed broker could otherwise be given that very port, and connect to itself.
_PORTS: Final = range(20_000, 32_000)


@contextmanager
def embedded(*, brokers: int = 1, rtt_ms: int = 0) -> Iterator[str]:
    """A broker inside this process, gone with it; yields its address, for clients on this machine.

    Only the number of nodes and a simulated latency can be chosen. Fixed by librdkafka:

    - the port is picked by the system;
    - topics appear on first use, with 4 partitions; CreateTopics and DescribeConfigs are not answered
      (Faust needs ``topic_allow_declare=False`` and ``topic_disable_leader=True``);
    - a partition keeps its newest 5 MB or 100,000 records, whichever is less; older ones go, read or not;
    - nothing reaches a disk, nothing is compacted, and records have no retention time.
    """
    conf = {"bootstrap.servers": HOST, "test.mock.num.brokers": brokers, "test.mock.broker.rtt": rtt_ms}
    owner = Producer({**conf, **_SILENT})
    try:
        nodes = owner.list_topics(timeout=10).brokers.values()
        yield ",".join(f"{node.host}:{node.port}" for node in nodes)
    finally:
        del owner


@contextmanager
def kafka(
    *,
    port: int | None = None,
    data_dir: Path | None = None,
    heap_mb: int = 512,
    ready_timeout_s: float = 60.0,
    properties: Mapping[str, str] | None = None,
) -> Iterator["KafkaBroker"]:
    """A running Apache Kafka, stopped on leaving; without ``data_dir`` its data goes too.

    ``properties`` are added to, or replace, lines of ``server.properties``.

    Raises:
        BrokerMissingError: Java, Maven or the jars are missing.
        BrokerStartError: it ended early, or was not ready within ``ready_timeout_s``.
    """
    with tempfile.TemporaryDirectory(prefix="rillet-kafka-") as temporary:
        broker = KafkaBroker(
            data_dir=(data_dir or Path(temporary)).absolute(),
            port=port,
            heap_mb=heap_mb,
            ready_timeout_s=ready_timeout_s,
            properties=properties,
        )
        broker.start()
        try:
            yield broker
        finally:
            broker.stop()


class KafkaBroker:
    """One Apache Kafka node; ``start`` after ``stop`` or ``kill`` brings it back with its port and data."""

    def __init__(
        self,
        *,
        data_dir: Path,
        port: int | None = None,
        heap_mb: int = 512,
        ready_timeout_s: float = 60.0,
        properties: Mapping[str, str] | None = None,
    ) -> None:
        self.data_dir = data_dir
        self.port = port or _free_port()
        self.controller_port = _free_port(taken=self.port)
        self.log_path = data_dir / "kafka.log"
        self._heap = (f"-Xms{min(heap_mb, 256)}m", f"-Xmx{heap_mb}m")
        self._ready_timeout_s = ready_timeout_s
        self.properties = {**self._default_properties(), **(properties or {})}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap_servers(self) -> str:
        """The address for clients."""
        return f"{HOST}:{self.port}"

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._process.pid if self.running and self._process else None

    @property
    def running(self) -> bool:
        """Whether the process is alive."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start, and return when it answers. Does nothing when it runs."""
        if self.running:
            return
        if not _port_is_free(self.port):
            raise BrokerStartError(
                f"Port {self.port} on {HOST} is taken.",
                fix="Choose another with --port, or stop what listens there.",
            )
        java = [str(_find_java()), *_JVM, *self._heap, "-cp", f"{kafka_jars()}/*"]
        self._format(java)
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [*java, "kafka.Kafka", str(self._properties_path)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            self._wait_until_ready()
        except BaseException:
            self.kill()
            raise

    def stop(self, timeout_s: float = 30.0) -> None:
        """Shut down in order; killed when that takes longer than ``timeout_s``."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """``kill -9``: nothing is flushed, no controlled shutdown."""
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def log_tail(self, lines: int = 20) -> str:
        """The end of the broker's log."""
        if not self.log_path.exists():
            return "(no log)"
        return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-lines:])

    @property
    def _properties_path(self) -> Path:
        return self.data_dir / "server.properties"

    def _default_properties(self) -> dict[str, str]:
        return {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@{HOST}:{self.controller_port}",
            "listeners": f"PLAINTEXT://{HOST}:{self.port},CONTROLLER://{HOST}:{self.controller_port}",
            "advertised.listeners": f"PLAINTEXT://{HOST}:{self.port}",
            "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
            "inter.broker.listener.name": "PLAINTEXT",
            "log.dirs": str(self.data_dir / "log"),
            "auto.create.topics.enable": "false",
            # A node killed and started again may register only when its old session has ended.
            "broker.session.timeout.ms": "3000",
            "broker.heartbeat.interval.ms": "500",
            "message.max.bytes": str(MAX_MESSAGE_BYTES),
            "group.initial.rebalance.delay.ms": "0",
            "group.min.session.timeout.ms": "1000",
            "offsets.topic.num.partitions": "4",
            "offsets.topic.replication.factor": "1",
            "transaction.state.log.num.partitions": "4",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "share.coordinator.state.topic.replication.factor": "1",
            "share.coordinator.state.topic.min.isr": "1",
        }

    def _format(self, java: list[str]) -> None:
        self.data_dir.mkdir(parents=True, exist_ok=True)
        lines = [f"{key}={value}" for key, value in self.properties.items()]
        self._properties_path.write_text("\n".join(lines) + "\n")
        if (self.data_dir / "log" / "meta.properties").exists():
            return
        cluster_id = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        storage = [
            "kafka.tools.StorageTool",
            "format",
            f"--cluster-id={cluster_id}",
            "-c",
            str(self._properties_path),
        ]
        done = subprocess.run(
            [*java, *storage], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise BrokerStartError(
                f"Kafka could not format {self.data_dir}:\n{_tail(done.stdout + done.stderr)}",
                fix="The message above names the cause; an empty, writable directory and JDK 17 or later are "
                "needed.",
            )

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + self._ready_timeout_s
        while not self._answers():
            assert self._process is not None, "start() makes the process before it waits"
            if (code := self._process.poll()) is not None:
                raise BrokerStartError(
                    f"Kafka ended with status {code}; the end of {self.log_path}:\n{self.log_tail()}",
                    fix="The log above names the cause; JDK 17 or later is needed.",
                )
            if time.monotonic() > deadline:
                raise BrokerStartError(
                    f"Kafka was not ready after {self._ready_timeout_s:g} s; the end of {self.log_path}:\n"
                    f"{self.log_tail()}",
                    fix="Give it a longer ready_timeout_s, or the machine less else to do.",
                )
            time.sleep(_POLL_S)

    def _answers(self) -> bool:
        """Whether it serves metadata and counts itself among the live nodes."""
        with socket.socket() as probe:
            if probe.connect_ex((HOST, self.port)):
                return False
        admin = AdminClient({"bootstrap.servers": self.bootstrap_servers, **_SILENT})
        try:
            return len(admin.list_topics(timeout=1).brokers) == 1
        except KafkaException:
            return False


def ping(client_conf: Mapping[str, Any], timeout_s: float = CONNECT_TIMEOUT_S) -> str:
    """The id of the cluster that answers a confluent-kafka configuration.

    Raises:
        BrokerUnreachableError: none did within ``timeout_s``.
    """
    errors: list[KafkaError] = []
    admin = AdminClient({**client_conf, **_SILENT, "error_cb": errors.append})
    try:
        return str(admin.list_topics(timeout=timeout_s).cluster_id)
    except KafkaException as error:
        admin.poll(0)
        raise _unreachable(client_conf, timeout_s, [*errors, error.args[0]]) from error


def _unreachable(
    client_conf: Mapping[str, Any], timeout_s: float, errors: list[KafkaError]
) -> BrokerUnreachableError:
    """By what the broker's side of the connection said last, where it said something."""
    servers = client_conf.get("bootstrap.servers")
    fixes = [(each.str(), _FIXES[each.code()]) for each in errors if each.code() in _FIXES]
    if fixes:
        said, fix = fixes[-1]
        return BrokerUnreachableError(f"Kafka at {servers} lets nobody in who comes so: {said}.", fix=fix)
    return BrokerUnreachableError(
        f"No Kafka answered at {servers} within {timeout_s:g} s ({errors[-1].str()}).",
        fix="Check kafka.bootstrap_servers (RILLET_BOOTSTRAP_SERVERS), kafka.security_protocol, and kafka.ssl_certfile "
        "where the listener wants a certificate, or start a broker with `rillet broker start`.",
    )


def is_embedded(cluster_id: str) -> bool:
    """Whether the cluster that ``ping`` found is an embedded one."""
    return cluster_id.startswith("mockCluster")


def kafka_version() -> str:
    """The version of Apache Kafka that ``kafka`` runs, from its pom."""
    project = ElementTree.fromstring(_POM.read_text())
    version = project.findtext("{*}properties/{*}kafka.version")
    assert version, "the pom names the version"
    return version


def kafka_jars() -> Path:
    """The folder with the broker's jars, in the user's cache; fetched by Maven when it is not there yet."""
    jars = _cache() / f"kafka-{kafka_version()}"
    marker = jars / "pom.xml"
    if marker.exists() and marker.read_text() == _POM.read_text():
        return jars
    jars.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=jars.parent) as temporary:
        fetched = Path(temporary) / jars.name
        fetched.mkdir()
        (fetched / "pom.xml").write_text(_POM.read_text())
        _fetch_jars(fetched)
        shutil.rmtree(jars, ignore_errors=True)
        with suppress(OSError):  # another process was quicker: its copy is as good
            fetched.rename(jars)
    return jars


def _fetch_jars(folder: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise BrokerMissingError(
            f"Maven (mvn) is not on the PATH; it fetches the jars of Apache Kafka {kafka_version()} once.",
            fix="Install it (Debian: apt install maven; macOS: brew install maven), or use the embedded "
            "broker (`rillet broker start --embedded`).",
        )
    goal = ["-B", "-q", "-f", str(folder / "pom.xml"), "dependency:copy-dependencies"]
    done = subprocess.run(
        [maven, *goal, f"-DoutputDirectory={folder}"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_MAVEN_TIMEOUT_S,
        check=False,
    )
    if done.returncode:
        raise BrokerMissingError(
            f"Maven could not fetch Apache Kafka {kafka_version()}:\n{_tail(done.stdout + done.stderr)}",
            fix="Check the network and ~/.m2/settings.xml, or use the embedded broker "
            "(`rillet broker start --embedded`).",
        )


def _find_java() -> Path:
    home = os.environ.get("JAVA_HOME")
    found = shutil.which("java", path=str(Path(home) / "bin")) if home else None
    found = found or shutil.which("java")
    if found is None:
        raise BrokerMissingError(
            "Java is neither in JAVA_HOME nor on the PATH; Apache Kafka needs JDK 17 or later.",
            fix="Install it (Debian: apt install openjdk-17-jre-headless; macOS: brew install openjdk@17), "
            "or use the embedded broker (`rillet broker start --embedded`).",
        )
    return Path(found)


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rillet"


def _free_port(taken: int | None = None) -> int:
    for port in random.sample(_PORTS, 200):
        if port != taken and _port_is_free(port):
            return port
    raise BrokerStartError(
        f"No free port between {_PORTS.start} and {_PORTS.stop} on {HOST}.", fix="Name one with --port."
    )


def _port_is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _tail(text: str, lines: int = 20) -> str:
    return "\n".join(text.strip().splitlines()[-lines:])
