"""A broker or a database that cannot be used: one line that says which, why and what would be right, and no secret."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.conftest import Installation
from tests.places import SERVER_BROKERS, Place, ServerBroker, new_database, place_on
from tests.servers.finding import private_server, url_of
from tests.servers.ports import free_port
from tests.servers.redis_server import RedisServer

SETTINGS = """
[endpoints.sums]
[deployments.sum]
endpoint = "sums"
model = "models:Sum"
"""
MODELS = """
class Sum:
    def predict(self, batch):
        return [sum(row) for row in batch]
"""
SECRET = "hunter2-is-no-password"
SCHEMES = {"redis": "redis", "amqp": "amqp", "kafka": "kafka", "confluent": "kafka+confluent"}


@contextmanager
def installed(folder: Path, place: Place, settings: str = SETTINGS) -> Iterator[Installation]:
    installation = Installation(folder, place)
    try:
        installation.configure(settings, MODELS)
        yield installation
    finally:
        installation.clear()


def said(installation: Installation, *argv: str, code: int) -> str:
    """What the command says on its way out: one line, without the secret."""
    process = installation.start(*argv)
    assert process.wait() == code, process.log
    assert SECRET not in process.log
    [line] = [line for line in process.log.splitlines() if " INFO " not in line]
    return line


def url(broker: ServerBroker, where: str) -> str:
    """With the option without which Kafka takes no password."""
    scheme = SCHEMES[broker]
    return f"{scheme}://{where}" + ("?security_protocol=SASL_PLAINTEXT" if "kafka" in scheme else "")


@pytest.mark.parametrize("broker", SERVER_BROKERS)
def test_nobody_at_the_address_is_told_with_the_address(broker: ServerBroker, tmp_path: Path) -> None:
    port = free_port()
    place = Place(broker=url(broker, f"user:{SECRET}@127.0.0.1:{port}"), database="sqlite:///rows.db")
    with installed(tmp_path, place) as installation:
        line = said(installation, "topics", "ensure", code=1)
    assert f"127.0.0.1:{port}" in line


@pytest.mark.parametrize("broker", SERVER_BROKERS)
def test_a_host_that_does_not_exist_is_told_with_its_name(broker: ServerBroker, tmp_path: Path) -> None:
    place = Place(broker=url(broker, f"user:{SECRET}@nowhere.invalid"), database="sqlite:///rows.db")
    with installed(tmp_path, place) as installation:
        line = said(installation, "topics", "list", code=1)
    assert "nowhere.invalid" in line


@pytest.mark.parametrize("broker", SERVER_BROKERS)
def test_an_option_that_the_adapter_does_not_know_is_named(broker: ServerBroker, tmp_path: Path) -> None:
    place = Place(broker=f"{SCHEMES[broker]}://127.0.0.1?lingr_ms=5", database="sqlite:///rows.db")
    with installed(tmp_path, place) as installation:
        line = said(installation, "worker", "sum", code=2)
    assert "lingr_ms" in line


@pytest.mark.parametrize("broker", SERVER_BROKERS)
def test_a_topic_with_another_number_of_partitions_is_refused_by_every_process(
    broker: ServerBroker, tmp_path: Path
) -> None:
    with place_on(broker) as place, installed(tmp_path, place) as installation:
        installation.run("topics", "ensure")
        installation.configure(SETTINGS.replace("[deployments", "partitions = 5\n[deployments"), MODELS)
        for argv in (("topics", "ensure"), ("worker", "sum"), ("sync",), ("gateway",)):
            line = said(installation, *argv, code=2)
            assert "4 partitions" in line
            assert "5" in line


def test_a_wrong_password_of_redis_is_a_mistake(tmp_path: Path) -> None:
    with private_server(RedisServer, {"requirepass": "right"}) as server:
        place = Place(broker=server.url.replace("right", SECRET), database="sqlite:///rows.db")
        with installed(tmp_path, place) as installation:
            assert "password" in said(installation, "worker", "sum", code=2)
        place = Place(broker=server.url.replace(":right@", ""), database="sqlite:///rows.db")
        with installed(tmp_path, place) as installation:
            assert "password" in said(installation, "topics", "ensure", code=2)


def test_a_redis_that_evicts_is_refused(tmp_path: Path) -> None:
    with private_server(RedisServer, {"maxmemory-policy": "allkeys-lru"}) as server:
        place = Place(broker=server.url, database="sqlite:///rows.db")
        with installed(tmp_path, place) as installation:
            line = said(installation, "worker", "sum", code=2)
    assert "allkeys-lru" in line
    assert "noeviction" in line


def test_a_wrong_password_of_rabbitmq_is_a_mistake(tmp_path: Path) -> None:
    url = url_of("amqp")
    place = Place(broker=f"amqp://guest:{SECRET}@{url.rpartition('@')[2]}", database="sqlite:///rows.db")
    with installed(tmp_path, place) as installation:
        assert "password" in said(installation, "worker", "sum", code=2)


def test_a_wrong_password_of_postgresql_is_a_mistake(tmp_path: Path) -> None:
    url = url_of("postgresql")
    head, _, tail = url.rpartition("@")
    place = Place(broker="sqlite:///log.db", database=f"{head.rpartition(':')[0]}:{SECRET}@{tail}")
    with installed(tmp_path, place) as installation:
        assert "password" in said(installation, "sync", code=2)
        assert "password" in said(installation, "db", "upgrade", code=2)


def test_a_database_that_does_not_exist_is_a_mistake(tmp_path: Path) -> None:
    place = Place(broker="sqlite:///log.db", database=f"{url_of('postgresql').rpartition('/')[0]}/nothing_here")
    with installed(tmp_path, place) as installation:
        assert "nothing_here" in said(installation, "db", "upgrade", code=2)


def test_a_database_without_tables_names_the_command_that_makes_them(tmp_path: Path) -> None:
    with new_database(url_of("postgresql")) as database:
        place = Place(broker="sqlite:///log.db", database=database)
        with installed(tmp_path, place) as installation:
            line = said(installation, "get", "0190a6b0-0000-7000-8000-000000000000", code=2)
    assert "predictq db upgrade" in line


@pytest.mark.parametrize("broker", SERVER_BROKERS)
def test_the_doctor_finds_nothing_wrong_with_servers_that_are_as_they_should_be(
    broker: ServerBroker, tmp_path: Path
) -> None:
    with place_on(broker) as place, installed(tmp_path, place) as installation:
        installation.run("db", "upgrade")
        installation.run("topics", "ensure")
        assert "broker" in installation.run("doctor")
