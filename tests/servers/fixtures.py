"""URLs of servers as fixtures, and what the end of a run says of the servers."""

from typing import Any

import pytest
from tests.servers.finding import end_servers, not_found, share, take, url_of, used

_SHARED = "predictq_servers"


@pytest.fixture(scope="session")
def kafka_url() -> str:
    return url_of("kafka")


@pytest.fixture(scope="session")
def amqp_url() -> str:
    return url_of("amqp")


@pytest.fixture(scope="session")
def redis_url() -> str:
    return url_of("redis")


@pytest.fixture(scope="session")
def postgresql_url() -> str:
    """A database that holds nothing; for tables make a database of your own beside it."""
    return url_of("postgresql")


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """With pytest-xdist, before each worker is started."""
    node.workerinput[_SHARED] = share()


def pytest_configure(config: pytest.Config) -> None:
    take(getattr(config, "workerinput", {}).get(_SHARED, {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if line := used():
        terminalreporter.write_line(f"servers: {line}")
    if line := not_found():
        terminalreporter.write_line(f"servers: {line}", yellow=True)


def pytest_unconfigure() -> None:
    end_servers()
