"""A Kafka that asks for TLS and a password, or for a certificate: every process signs in, and none tells the secret."""

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from chaos import wait_for
from compose import compose
from confluent_kafka.admin import (
    AdminClient,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from needed import needed

from streams.broker import HOST, KafkaBroker, _free_port
from streams.errors import BrokerMissingError

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

PASSWORD, KEY_PASSWORD = "of-the-shop-7f3a", "of-the-key-19c2"
SERVED = ("worker-1", "trainer", "api")
TOKEN = {"Authorization": "Bearer rillet-on-loopback", "Content-Type": "application/json"}
MODULE = "org.apache.kafka.common.security.scram.ScramLoginModule"


class Secured:
    """A broker with a listener that wants a password and one that wants a certificate, both with TLS."""

    def __init__(self, folder: Path) -> None:
        authority = trustme.CA()
        self.ca, self.own, self.key = folder / "ca.pem", folder / "own.pem", folder / "key.pem"
        authority.cert_pem.write_to_path(self.ca)
        of_broker, ours = authority.issue_cert(HOST), authority.issue_cert("rillet.shop.test")
        served = folder / "broker.pem"
        served.write_bytes(_pkcs8(of_broker, NoEncryption()) + of_broker.cert_chain_pems[0].bytes())
        self.own.write_bytes(ours.cert_chain_pems[0].bytes())
        self.key.write_bytes(_pkcs8(ours, BestAvailableEncryption(KEY_PASSWORD.encode())))
        self.node = KafkaBroker(data_dir=folder / "kafka")
        self.scram, self.mtls = _free_port(self.node.port), _free_port(self.node.port)
        more = f"SCRAM://{HOST}:{self.scram},MTLS://{HOST}:{self.mtls}"
        self.node.properties |= {
            "listeners": f"{self.node.properties['listeners']},{more}",
            "advertised.listeners": f"{self.node.properties['advertised.listeners']},{more}",
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SCRAM:SASL_SSL,MTLS:SSL",
            "sasl.enabled.mechanisms": "SCRAM-SHA-512",
            "listener.name.scram.scram-sha-512.sasl.jaas.config": f"{MODULE} required;",
            "listener.name.mtls.ssl.client.auth": "required",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(served),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(self.ca),
        }

    def environment(self, how: str) -> dict[str, str]:
        """Settings of a client."""
        if how == "scram":
            return {
                "RILLET_BOOTSTRAP_SERVERS": f"{HOST}:{self.scram}",
                "RILLET_KAFKA__SECURITY_PROTOCOL": "SASL_SSL",
                "RILLET_KAFKA__SASL_USERNAME": "shop",
                "RILLET_KAFKA__SASL_PASSWORD": PASSWORD,
                "RILLET_KAFKA__SSL_CAFILE": str(self.ca),
            }
        return {
            "RILLET_BOOTSTRAP_SERVERS": f"{HOST}:{self.mtls}",
            "RILLET_KAFKA__SECURITY_PROTOCOL": "SSL",
            "RILLET_KAFKA__SSL_CAFILE": str(self.ca),
            "RILLET_KAFKA__SSL_CERTFILE": str(self.own),
            "RILLET_KAFKA__SSL_KEYFILE": str(self.key),
            "RILLET_KAFKA__SSL_KEYFILE_PASSWORD": KEY_PASSWORD,
        }

    def start(self) -> None:
        """The broker, and a user with a password."""
        self.node.start()
        admin = AdminClient({"bootstrap.servers": self.node.bootstrap_servers})
        info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4_096)
        made = admin.alter_user_scram_credentials(
            [UserScramCredentialUpsertion("shop", info, PASSWORD.encode())]
        )
        made["shop"].result(20)


def _pkcs8(cert: trustme.LeafCert, encryption: KeySerializationEncryption) -> bytes:
    key = load_pem_private_key(cert.private_key_pem.bytes(), None)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    given = Secured(tmp_path_factory.mktemp("secured"))
    try:
        given.start()
        yield given
    except BrokerMissingError as missing:
        needed("Apache Kafka", str(missing))
    finally:
        given.node.stop()


def rillet(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    outer = {key: each for key, each in os.environ.items() if not key.startswith("RILLET_")}
    command = [sys.executable, "-c", "from streams.cli import main; main()", *arguments]
    return subprocess.run(command, env=outer | environment, capture_output=True, text=True, timeout=120)


def asked(address: str, value: Any = None) -> Any:
    body = None if value is None else json.dumps(value).encode()
    with urllib.request.urlopen(urllib.request.Request(address, body, TOKEN), timeout=20) as answer:
        return json.load(answer)


@pytest.mark.parametrize("how", ["scram", "mtls"])
def test_every_process_signs_in_and_tells_no_secret(secured: Secured, tmp_path: Path, how: str) -> None:
    environment = secured.environment(how)
    with compose(environment["RILLET_BOOTSTRAP_SERVERS"], tmp_path, environment) as there:
        assert there.run("topics") == 0, there.log("topics").read_text()
        for name in SERVED:
            there.start(name)
        for name in SERVED:
            wait_for(lambda name=name: there.ready(name), f"{name} is ready", timeout_s=120)
        slate = f"{there.address('api')}/v1/users/{how}/slate"
        event = {"event_id": how, "user_id": how, "time_ms": time.time_ns() // 1_000_000, "item_id": "i1"}
        asked(f"{there.address('api')}/v1/events", {"type": "browse", **event})
        wait_for(lambda: asked(slate)["event_id"] == how, "the slate over HTTP", timeout_s=60)
        assert set(there.stop(*SERVED).values()) == {0}
        said = "".join(there.log(name).read_text() for name in ("topics", *SERVED))
        assert PASSWORD not in said
        assert KEY_PASSWORD not in said


@pytest.mark.parametrize(
    ("how", "changed", "told"),
    [
        ("scram", {"RILLET_KAFKA__SASL_PASSWORD": "wrong-d41d"}, "RILLET_KAFKA__SASL_PASSWORD"),
        ("scram", {"RILLET_KAFKA__SSL_CAFILE": ""}, "kafka.ssl_cafile"),
        ("mtls", {"RILLET_KAFKA__SSL_CERTFILE": "", "RILLET_KAFKA__SSL_KEYFILE": ""}, "kafka.ssl_certfile"),
        ("scram", {"RILLET_KAFKA__SECURITY_PROTOCOL": "PLAINTEXT"}, "kafka.security_protocol"),
    ],
)
def test_who_may_not_sign_in_is_told_what_to_look_at(
    secured: Secured, how: str, changed: dict[str, str], told: str
) -> None:
    environment = {key: each for key, each in (secured.environment(how) | changed).items() if each}
    ended = rillet(environment, "topics", "create")
    assert ended.returncode == 3, ended.stderr
    assert told in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "wrong-d41d" not in ended.stderr + ended.stdout
