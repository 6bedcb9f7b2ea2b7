"""Redis: shared, behind a proxy, or one of a test's own."""

from collections.abc import Iterator

import pytest
from tests.contract.brokers.conftest import Rig
from tests.servers.finding import private_server
from tests.servers.proxy import Proxy, through_proxy
from tests.servers.redis_server import RedisServer


@pytest.fixture
def url(redis_url: str) -> str:
    return redis_url


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    """One that may be broken, by tests that leave it whole."""
    with private_server(RedisServer) as server:
        yield server


@pytest.fixture
def own(server: RedisServer) -> Iterator[Rig]:
    rig = Rig(server.url)
    yield rig
    rig.close()


@pytest.fixture
def proxy(redis_url: str) -> Iterator[Proxy]:
    with through_proxy(redis_url) as proxy:
        yield proxy


@pytest.fixture
def far(proxy: Proxy) -> Iterator[Rig]:
    """A rig behind the proxy."""
    rig = Rig(proxy.url)
    yield rig
    rig.close()
