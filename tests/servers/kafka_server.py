"""Apache Kafka in KRaft mode: one process that is broker and controller."""

import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

from tests.servers.kafka_jars import jar_folder, jars_are_there
from tests.servers.local_server import LocalServer, ServerFailed
from tests.servers.names import ServerName
from tests.servers.ports import free_port
from tests.servers.processes import ServerProcess
from tests.servers.proxy import Proxy, through_proxy

LOGIN: Mapping[str, str] = {
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,PROXIED:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT",
    "sasl.enabled.mechanisms": "PLAIN",
    "listener.name.proxied.plain.sasl.jaas.config": (
        'org.apache.kafka.common.security.plain.PlainLoginModule required user_reader="secret";'
    ),
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "super.users": "User:ANONYMOUS",
}
"""Settings by which clients must log in when they come through the proxy: as `reader` with the password `secret`, over
SASL/PLAIN, and without any permission. Those who come to `url` may do all, giving permissions included."""

_JAVA = 17
_CLUSTER = "cHJlZGljdHEtdGVzdHMtMQ"
_SETTINGS = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    "auto.create.topics.enable": "false",
    # Of one broker and many short-lived groups.
    "offsets.topic.num.partitions": "4",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    # Tests turn session time-outs down to a second, and wait for no further member.
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    # Deleted topics leave the disk at once.
    "log.segment.delete.delay.ms": "0",
}


class KafkaServer(LocalServer):
    """`settings` as in server.properties: `{"message.max.bytes": "100000"}`."""

    name: ClassVar[ServerName] = "kafka"

    def __init__(self, folder: Path, settings: Mapping[str, str] | None = None, *, detached: bool = False) -> None:
        super().__init__(folder, settings, detached=detached)
        self._controller_port = free_port()
        self._behind_proxy_port = free_port()
        self._advertised_port = free_port()

    @classmethod
    def packages(cls) -> tuple[str, ...]:
        return () if _java_version() >= _JAVA else ("default-jre-headless",)

    @classmethod
    def is_installed(cls) -> bool:
        return jars_are_there() and super().is_installed()

    @property
    def url(self) -> str:
        return f"kafka://127.0.0.1:{self.port}"

    @contextmanager
    def through_proxy(self) -> Iterator[Proxy]:
        with through_proxy(self.url, target_port=self._behind_proxy_port, port=self._advertised_port) as proxy:
            yield proxy

    def _prepare(self) -> None:
        ports = {
            "PLAINTEXT": (self.port, self.port),
            # A client is told the address to which it must come back: here that of the proxy.
            "PROXIED": (self._behind_proxy_port, self._advertised_port),
        }
        listeners = [f"{name}://127.0.0.1:{port}" for name, (port, _) in ports.items()]
        settings = {
            **_SETTINGS,
            "controller.quorum.voters": f"1@127.0.0.1:{self._controller_port}",
            "listeners": ",".join([*listeners, f"CONTROLLER://127.0.0.1:{self._controller_port}"]),
            "advertised.listeners": ",".join(f"{name}://127.0.0.1:{port}" for name, (_, port) in ports.items()),
            "log.dirs": str(self.folder / "data"),
            **self._settings,
        }
        properties = self.folder / "server.properties"
        properties.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
        done = subprocess.run(
            [*_java("128M"), "kafka.tools.StorageTool", "format", "-t", _CLUSTER, "-c", str(properties)],
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise ServerFailed(f"formatting Kafka's folder ended with {done.returncode}:\n{done.stdout}{done.stderr}")

    def _launch(self) -> list[ServerProcess]:
        return [self._process([*_java("1G"), "kafka.Kafka", str(self.folder / "server.properties")])]


def _java(memory: str) -> list[str]:
    return ["java", f"-Xmx{memory}", "-cp", f"{jar_folder()}/*"]


def _java_version() -> int:
    """0 where there is none."""
    if not shutil.which("java"):
        return 0
    said = subprocess.run(["java", "-version"], capture_output=True, text=True, check=False).stderr
    found = re.search(r'version "(\d+)', said)
    return int(found[1]) if found else 0
