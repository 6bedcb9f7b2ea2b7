"""Redis, with the settings that predictq asks for."""

import shutil
from typing import ClassVar

from tests.servers.local_server import LocalServer
from tests.servers.names import ServerName
from tests.servers.processes import ServerProcess

_SETTINGS = {
    "appendfsync": "everysec",
    "appendonly": "yes",
    "bind": "127.0.0.1",
    "maxmemory-policy": "noeviction",
    "save": "",
}


class RedisServer(LocalServer):
    """`settings` as in redis.conf: `{"maxmemory-policy": "allkeys-lru"}`; the URL has the password of `requirepass`."""

    name: ClassVar[ServerName] = "redis"

    @classmethod
    def packages(cls) -> tuple[str, ...]:
        return () if shutil.which("redis-server") else ("redis-server",)

    @property
    def url(self) -> str:
        password = self._settings.get("requirepass")
        return f"redis://{f':{password}@' if password else ''}127.0.0.1:{self.port}/0"

    def _prepare(self) -> None:
        """The folder is all it needs."""

    def _launch(self) -> list[ServerProcess]:
        settings = {**_SETTINGS, **self._settings, "port": str(self.port), "dir": str(self.folder)}
        options = [word for key, value in settings.items() for word in (f"--{key}", value)]
        return [self._process(["redis-server", *options])]
