"""PostgreSQL, durable, with a password."""

import shutil
import signal
import subprocess
from pathlib import Path
from typing import ClassVar

from tests.servers.local_server import LocalServer, ServerFailed
from tests.servers.names import ServerName
from tests.servers.processes import ServerProcess

_PASSWORD = "predictq"


class PostgresqlServer(LocalServer):
    """`settings` as in postgresql.conf: `{"max_connections": "5"}`."""

    name: ClassVar[ServerName] = "postgresql"
    user: ClassVar[str | None] = "postgres"

    @classmethod
    def packages(cls) -> tuple[str, ...]:
        return () if _programs() else ("postgresql",)

    @property
    def url(self) -> str:
        return f"postgresql+psycopg://postgres:{_PASSWORD}@127.0.0.1:{self.port}/postgres"

    def _prepare(self) -> None:
        password = self.folder / "password"
        password.write_text(_PASSWORD)
        self._give_away(password)
        done = subprocess.run(
            [
                *(f"{_programs()}/initdb", "-D", "data", "-U", "postgres", "--pwfile=password"),
                *("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync"),
            ],
            cwd=self.folder,
            user=self._runs_as(),
            group=self._runs_as(),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise ServerFailed(f"initdb ended with {done.returncode}:\n{done.stderr}")

    def _launch(self) -> list[ServerProcess]:
        settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            **self._settings,
            "port": str(self.port),
        }
        options = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
        # SIGINT ends its sessions; SIGTERM would wait for them.
        return [self._process([f"{_programs()}/postgres", "-D", "data", *options], stop_signal=signal.SIGINT)]


def _programs() -> Path | None:
    """The folder of `initdb` and `postgres`, which Debian keeps out of PATH; the newest version."""
    if found := shutil.which("postgres"):
        return Path(found).resolve().parent
    versions = Path("/usr/lib/postgresql").glob("*/bin/postgres")
    return max((path.parent for path in versions), key=lambda path: int(path.parent.name), default=None)
