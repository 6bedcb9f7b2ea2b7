"""A broker that dies and comes back, PostgreSQL that is gone for half a minute, servers that come up last."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from tests.conftest import Installation, eventually
from tests.faults.conftest import MODELS, SETTINGS, Count, Load, configure
from tests.places import SERVER_BROKERS, Place, ServerBroker, broker_url_of, leave_nothing, new_database
from tests.servers.finding import private_server, url_of
from tests.servers.kafka_server import KafkaServer
from tests.servers.local_server import LocalServer
from tests.servers.postgresql_server import PostgresqlServer
from tests.servers.rabbitmq_server import RabbitmqServer
from tests.servers.redis_server import RedisServer

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]

AWAY_SECONDS = 30.0
COMMANDS = (("sync",), ("sync",), ("worker", "sum"), ("worker", "sum"), ("gateway",))
SERVERS: dict[ServerBroker, type[LocalServer]] = {
    "redis": RedisServer,
    "amqp": RabbitmqServer,
    "kafka": KafkaServer,
    "confluent": KafkaServer,
}


@contextmanager
def own_broker(broker: ServerBroker, folder: Path) -> Iterator[tuple[LocalServer, Installation]]:
    """An installation on a broker's server that may be killed."""
    with private_server(SERVERS[broker]) as server, new_database(url_of("postgresql")) as database:
        url = server.url.replace("kafka://", "kafka+confluent://", 1) if broker == "confluent" else server.url
        installation = Installation(folder, Place(broker=url, database=database))
        try:
            yield server, installation
        finally:
            installation.clear()


@pytest.mark.parametrize("broker", SERVER_BROKERS)
def test_a_broker_that_is_killed_and_comes_back_has_lost_nothing(broker: ServerBroker, tmp_path: Path) -> None:
    with own_broker(broker, tmp_path) as (server, installation):
        configure(installation)
        processes = installation.started(*COMMANDS)
        load = Load(installation)
        with installation.client() as http, load.running():
            for _ in range(2):
                load.until_accepted(100)
                server.kill()
                eventually(lambda: http.get("/readyz").status_code == 503, installation.logs)
                assert http.get("/healthz").status_code == 200
                server.start()
            load.until_accepted(100)
            eventually(lambda: http.get("/readyz").status_code == 200, installation.logs)
        count = Count(installation, load)
        count.check()
        assert set(load.refusals) <= {0, 503}
        assert [process.stop() for process in processes] == [0] * len(processes), installation.logs()


@pytest.mark.parametrize("broker", SERVER_BROKERS)
def test_processes_that_are_started_before_their_servers_wait_for_them(broker: ServerBroker, tmp_path: Path) -> None:
    with own_broker(broker, tmp_path) as (server, installation), private_server(PostgresqlServer) as postgresql:
        installation.place = Place(broker=installation.place.broker, database=postgresql.url)
        server.stop()
        postgresql.stop()
        installation.configure(SETTINGS, MODELS)
        processes = [installation.start(*argv) for argv in COMMANDS]
        eventually(lambda: all("next try in" in process.log for process in processes), installation.logs)
        assert not any(process.ready() for process in processes[:-1])
        server.start()
        postgresql.start()
        for process in processes:
            process.until_ready()
        load = Load(installation)
        with installation.client() as http:
            answer = load.submit(http, wait_seconds=50)
        assert answer.json()["status"] == "succeeded", installation.logs()


class Outage:
    """PostgreSQL is away for half a minute, under load."""

    def __init__(self, broker: ServerBroker, folder: Path) -> None:
        with private_server(PostgresqlServer) as server:
            prefix = folder.name
            installation = Installation(folder, Place(broker=broker_url_of(broker), database=server.url, prefix=prefix))
            try:
                self._go_through(server, installation)
            finally:
                installation.clear()
                leave_nothing(installation.place)

    def _go_through(self, server: LocalServer, installation: Installation) -> None:
        configure(installation)
        processes = installation.started(*COMMANDS)
        load = Load(installation)
        with installation.client() as http, load.running(clients=1, pause_seconds=0.1):
            load.until_accepted(50)
            server.kill()
            back_at = time.monotonic() + AWAY_SECONDS
            before = len(load.accepted)
            eventually(lambda: "next try in" in processes[0].log + processes[1].log, installation.logs)
            self.waited = load.submit(http, wait_seconds=1)
            self.read: httpx.Response = http.get(self.waited.headers["location"])
            eventually(lambda: time.monotonic() >= back_at)
            self.accepted = len(load.accepted) - before
            server.start()
            load.until_accepted(50)
        self.count = Count(installation, load)
        self.exit_codes = [process.stop() for process in processes]


@pytest.fixture(scope="module")
def outages(tmp_path_factory: pytest.TempPathFactory) -> dict[ServerBroker, Outage]:
    """All brokers side by side: each takes half a minute of waiting."""
    with ThreadPoolExecutor() as pool:
        running = {name: pool.submit(Outage, name, tmp_path_factory.mktemp(f"o-{name}-")) for name in SERVER_BROKERS}
    return {name: future.result() for name, future in running.items()}


@pytest.mark.parametrize("broker", SERVER_BROKERS)
def test_half_a_minute_without_postgresql_loses_nothing_and_costs_no_attempt(
    outages: dict[ServerBroker, Outage], broker: ServerBroker
) -> None:
    outage = outages[broker]
    outage.count.check()
    assert outage.accepted > 50
    assert outage.count.load.refusals == {}
    assert (outage.waited.status_code, outage.read.status_code) == (202, 503)
    assert outage.read.headers["retry-after"].isdigit()
    assert outage.exit_codes == [0] * len(COMMANDS)
