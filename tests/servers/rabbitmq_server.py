"""RabbitMQ, with an epmd of its own, so that no other Erlang node on the machine is in its way."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from tests.servers.local_server import LocalServer, ServerFailed
from tests.servers.names import ServerName
from tests.servers.ports import free_port
from tests.servers.processes import ServerProcess

_DEBIAN = Path("/usr/lib/rabbitmq/bin")
"""The scripts themselves; those in PATH are wrappers that change the user by their own rules."""
_CTL_SECONDS = 60.0


class RabbitmqServer(LocalServer):
    """`settings` as in rabbitmq.conf: `{"disk_free_limit.absolute": "1GB"}`."""

    name: ClassVar[ServerName] = "amqp"
    user: ClassVar[str | None] = "rabbitmq"

    def __init__(self, folder: Path, settings: Mapping[str, str] | None = None, *, detached: bool = False) -> None:
        super().__init__(folder, settings, detached=detached)
        self._distribution_port = free_port()
        self._epmd_port = free_port()

    @classmethod
    def packages(cls) -> tuple[str, ...]:
        found = _script("rabbitmq-server") and shutil.which("epmd")
        return () if found else ("rabbitmq-server",)

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}/"

    def ctl(self, *arguments: str) -> str:
        """Run `rabbitmqctl` on it, which takes a second or two; what it printed."""
        done = subprocess.run(
            [_script("rabbitmqctl"), "--quiet", *arguments],
            cwd=self.folder,
            env={**os.environ, **self._environment()},
            user=self._runs_as(),
            group=self._runs_as(),
            capture_output=True,
            text=True,
            timeout=_CTL_SECONDS,
            check=False,
        )
        if done.returncode != 0:
            raise ServerFailed(f"rabbitmqctl {' '.join(arguments)} ended with {done.returncode}:\n{done.stderr}")
        return done.stdout

    def _prepare(self) -> None:
        lines = [f"{key} = {value}\n" for key, value in self._settings.items()]
        (self.folder / "rabbitmq.conf").write_text("".join(lines))
        (self.folder / "enabled_plugins").write_text("[].\n")

    def _launch(self) -> list[ServerProcess]:
        # Started by us, not by Erlang, which would leave it behind: one that runs is used.
        epmd = self._process(["epmd", "-port", str(self._epmd_port), "-address", "127.0.0.1"])
        return [epmd, self._process([_script("rabbitmq-server")], environment=self._environment())]

    def _environment(self) -> dict[str, str]:
        return {
            "HOME": str(self.folder),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(self._epmd_port),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": str(self.folder / "none"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(self.folder / "none"),
            "RABBITMQ_DIST_PORT": str(self._distribution_port),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "enabled_plugins"),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_LOG_BASE": str(self.folder / "logs"),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "data"),
            "RABBITMQ_NODENAME": f"predictq-{self.port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            # The script then becomes the server instead of standing before it, so that a signal meets the server.
            "RUNNING_UNDER_SYSTEMD": "true",
        }


def _script(name: str) -> str:
    inside = _DEBIAN / name
    return str(inside) if inside.exists() else shutil.which(name) or ""
