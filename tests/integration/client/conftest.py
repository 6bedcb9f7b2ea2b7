"""A gateway, workers, sync service and cutters, run by `predictq up` for all tests of the client."""

from collections.abc import Callable, Iterator

import psutil
import pytest
from tests.conftest import Installation, Process

from predictq.push.secrets import new_secret
from predictq_producers import Client

SECRET = new_secret()
SETTINGS = """
[gateway]
poll_seconds = 0.2
[worker]
claim_seconds = 2.0
[sync]
claim_seconds = 2.0
[jobs]
chunk_rows = 100
request_rows = 25
sources = ["file://{folder}/incoming"]
[push]
secret = "{secret}"
allow_http = true
allow_private_addresses = true
[endpoints.sums]
input = "numbers.json"
max_instances = 500
[deployments.sum]
endpoint = "sums"
model = "models:Sum"
[endpoints.pairs]
[deployments.left]
endpoint = "pairs"
model = "models:Sum"
[deployments.right]
endpoint = "pairs"
model = "models:Named"
[endpoints.doors]
[deployments.door]
endpoint = "doors"
model = "models:Door"
"""
SCHEMA = """
{"type": "object", "properties": {"a": {"type": "number"}, "b": {"type": "number"}}, "required": ["a", "b"]}
"""
MODELS = '''
import time
from pathlib import Path

HERE = Path(__file__).parent

class Sum:
    def predict(self, batch):
        return [row["a"] + row["b"] for row in batch]

class Named:
    def predict(self, batch):
        return [{"label": "odd" if row["a"] % 2 else "even", "size": row["a"]} for row in batch]

class Door:
    """Answers once there is a file `open`."""
    def predict(self, batch):
        while not (HERE / "open").exists():
            time.sleep(0.01)
        return [1] * len(batch)
'''


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Installation, Process]]:
    installation = Installation(tmp_path_factory.mktemp("client"))
    folder = installation.folder
    installation.configure(SETTINGS.format(folder=folder, secret=SECRET), MODELS)
    (folder / "numbers.json").write_text(SCHEMA)
    try:
        [up] = installation.started(("up", "--json"))
        yield installation, up
    finally:
        installation.clear()


@pytest.fixture
def site(running: tuple[Installation, Process]) -> Installation:
    return running[0]


@pytest.fixture
def gateway(running: tuple[Installation, Process]) -> Callable[[], psutil.Process]:
    """Finds the process of the gateway, which is another one after it was killed."""
    return lambda: next(process for process in running[1].family() if process.cmdline()[-1] == "gateway")


@pytest.fixture
def client(site: Installation) -> Iterator[Client]:
    with Client(site.url, timeout=60) as client:
        yield client
