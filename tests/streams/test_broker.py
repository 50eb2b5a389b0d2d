"""The embedded and the real broker do what the tests and the demo ask of them."""

import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient

from streams import broker
from streams.errors import BrokerMissingError, BrokerStartError, BrokerUnreachableError


def send(address: str, topic: str, values: list[bytes]) -> None:
    producer = Producer({"bootstrap.servers": address, "acks": "all"})
    for value in values:
        producer.produce(topic, value)
    assert producer.flush(20) == 0


def read(address: str, topic: str, n_records: int) -> list[bytes]:
    consumer = Consumer(
        {"bootstrap.servers": address, "group.id": f"read-{topic}", "auto.offset.reset": "earliest"}
    )
    consumer.subscribe([topic])
    try:
        messages = consumer.consume(n_records, timeout=20)
        return [message.value() for message in messages]
    finally:
        consumer.close()


def partitions(address: str, topic: str) -> int:
    return len(
        AdminClient({"bootstrap.servers": address}).list_topics(topic, timeout=10).topics[topic].partitions
    )


def test_the_embedded_broker_carries_records(embedded: str) -> None:
    send(embedded, "greetings", [b"hello"])
    assert read(embedded, "greetings", 1) == [b"hello"]


def test_topics_of_the_embedded_broker_have_the_documented_partitions(embedded: str) -> None:
    send(embedded, "greetings", [b"hello"])
    assert partitions(embedded, "greetings") == broker.EMBEDDED_PARTITIONS


def test_the_embedded_broker_serves_another_process(embedded: str) -> None:
    send(embedded, "greetings", [b"hello"])
    script = f"""
        from confluent_kafka import Consumer
        conf = {{"bootstrap.servers": "{embedded}", "group.id": "g", "auto.offset.reset": "earliest"}}
        consumer = Consumer(conf)
        consumer.subscribe(["greetings"])
        print(consumer.consume(1, timeout=20)[0].value().decode())
        consumer.close()
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.strip() == "hello"


def test_records_outlive_kill_and_stop(tmp_path: Path) -> None:
    with broker.kafka(data_dir=tmp_path, properties={"auto.create.topics.enable": "true"}) as running:
        address = running.bootstrap_servers
        send(address, "kept", [b"one"])
        running.kill()
        assert not running.running
        running.start()
        assert running.bootstrap_servers == address
        send(address, "kept", [b"two"])
        running.stop()
        running.start()
        assert sorted(read(address, "kept", 2)) == [b"one", b"two"]
        again = running.pid
        running.start()
        assert running.pid == again, "start() leaves a running broker alone"
    assert not running.running


def test_the_real_broker_creates_no_topic_by_itself(
    kafka: broker.KafkaBroker, unique: Callable[[str], str]
) -> None:
    topic = unique("absent")
    metadata = AdminClient({"bootstrap.servers": kafka.bootstrap_servers}).list_topics(topic, timeout=10)
    assert metadata.topics[topic].error is not None


def test_ping_tells_the_cluster(kafka: broker.KafkaBroker) -> None:
    conf = {"bootstrap.servers": kafka.bootstrap_servers}
    assert broker.ping(conf) == broker.ping(conf)


def test_ping_names_the_address_that_does_not_answer() -> None:
    with pytest.raises(BrokerUnreachableError, match=r"127\.0\.0\.1:1 .*\n.*RILLET_BOOTSTRAP_SERVERS"):
        broker.ping({"bootstrap.servers": "127.0.0.1:1"}, timeout_s=0.2)


def test_a_taken_port_is_refused(kafka: broker.KafkaBroker, tmp_path: Path) -> None:
    with (
        pytest.raises(BrokerStartError, match=f"Port {kafka.port} .* taken"),
        broker.kafka(port=kafka.port, data_dir=tmp_path),
    ):
        pass


def test_a_broker_that_ends_early_shows_its_log(kafka: broker.KafkaBroker, tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "meta.properties").write_text("version=1\nnode.id=7\ncluster.id=other\n")
    with (
        pytest.raises(BrokerStartError, match=r"(?s)ended with status 1.*Stored node id 7"),
        broker.kafka(data_dir=tmp_path),
    ):
        pass


def test_a_refused_property_is_shown_as_kafka_words_it(kafka: broker.KafkaBroker, tmp_path: Path) -> None:
    with (
        pytest.raises(BrokerStartError, match=r"num\.network\.threads: Value must be at least 1"),
        broker.kafka(data_dir=tmp_path, properties={"num.network.threads": "0"}),
    ):
        pass


def test_missing_java_is_named_with_the_way_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(BrokerMissingError, match="--embedded"), broker.kafka(data_dir=tmp_path):
        pass


def test_missing_maven_is_named_with_the_way_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(BrokerMissingError, match=r"mvn.*PATH"):
        broker.kafka_jars()
