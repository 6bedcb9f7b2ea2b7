"""A server of the tests' own is what it says: on its port, with its data, and gone when told."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import pika
import psutil
import psycopg
import pytest
import redis
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import NewTopic
from kafka.errors import KafkaError, TopicAuthorizationFailedError
from tests.servers.asking import answers
from tests.servers.finding import private_server
from tests.servers.kafka_server import LOGIN, KafkaServer
from tests.servers.local_server import LocalServer, ServerFailed
from tests.servers.postgresql_server import PostgresqlServer
from tests.servers.rabbitmq_server import RabbitmqServer
from tests.servers.redis_server import RedisServer

NAME = "kept"


def _write_redis(url: str) -> None:
    with redis.Redis.from_url(url) as client:
        client.set(NAME, "yes")


def _holds_redis(url: str) -> bool:
    with redis.Redis.from_url(url) as client:
        return bool(client.get(NAME) == b"yes")


def _write_rabbitmq(url: str) -> None:
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        channel.queue_declare(NAME, durable=True, arguments={"x-queue-type": "quorum"})
        channel.basic_publish("", NAME, b"yes", pika.BasicProperties(delivery_mode=2), mandatory=True)


def _holds_rabbitmq(url: str) -> bool:
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        # A quorum queue is there before its messages are: consuming waits for the first one, asking would not.
        for method, _, body in connection.channel().consume(NAME, inactivity_timeout=60):
            return method is not None and body == b"yes"
    raise AssertionError("unreachable")


def _write_kafka(url: str) -> None:
    address = urlsplit(url).netloc
    admin = KafkaAdminClient(bootstrap_servers=address)
    admin.create_topics([NewTopic(NAME, 1, 1)])
    admin.close()
    producer = KafkaProducer(bootstrap_servers=address, acks="all")
    producer.send(NAME, b"yes", partition=0).get(60)
    producer.close()


def _holds_kafka(url: str) -> bool:
    partition = TopicPartition(NAME, 0)
    consumer = KafkaConsumer(bootstrap_servers=urlsplit(url).netloc)
    try:
        consumer.assign([partition])
        consumer.seek_to_beginning(partition)
        records = consumer.poll(60_000)
        return [record.value for record in records.get(partition, [])] == [b"yes"]
    finally:
        consumer.close()


def _write_postgresql(url: str) -> None:
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        connection.execute(f"CREATE TABLE {NAME} AS SELECT 'yes' AS value")


def _holds_postgresql(url: str) -> bool:
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        return connection.execute(f"SELECT value FROM {NAME}").fetchall() == [("yes",)]


@dataclass(frozen=True, kw_only=True)
class Case:
    server: type[LocalServer]
    write: Callable[[str], None]
    holds: Callable[[str], bool]
    wrong: dict[str, str]
    """Settings with which it cannot start, and what its log then speaks of."""
    complaint: str


CASES = {
    "redis": Case(
        server=RedisServer,
        write=_write_redis,
        holds=_holds_redis,
        wrong={"maxmemory-policy": "nonsense"},
        complaint="nonsense",
    ),
    "rabbitmq": Case(
        server=RabbitmqServer,
        write=_write_rabbitmq,
        holds=_holds_rabbitmq,
        wrong={"no_such_key": "1"},
        complaint="no_such_key",
    ),
    "kafka": Case(
        server=KafkaServer,
        write=_write_kafka,
        holds=_holds_kafka,
        wrong={"num.network.threads": "nonsense"},
        complaint="num.network.threads",
    ),
    "postgresql": Case(
        server=PostgresqlServer,
        write=_write_postgresql,
        holds=_holds_postgresql,
        wrong={"no_such_key": "1"},
        complaint="no_such_key",
    ),
}


@pytest.fixture(params=CASES, scope="module")
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


@pytest.fixture(scope="module")
def server(case: Case) -> Iterator[LocalServer]:
    with private_server(case.server) as one:
        case.write(one.url)
        yield one


def test_what_it_was_given_outlives_a_stop(case: Case, server: LocalServer) -> None:
    url = server.url
    server.stop()
    assert not answers(url)
    server.start()
    assert server.url == url
    assert case.holds(url)


def test_what_it_was_given_outlives_a_kill(case: Case, server: LocalServer) -> None:
    server.kill()
    assert not answers(server.url)
    server.start()
    assert case.holds(server.url)


def test_one_that_was_ended_behind_our_back_can_be_started_again(case: Case, server: LocalServer) -> None:
    process = psutil.Process(server.pid)
    family = process.children(recursive=True)
    process.kill()
    psutil.wait_procs([process, *family])
    server.start()
    assert case.holds(server.url)


def test_a_proxy_stands_between_it_and_its_clients(case: Case, server: LocalServer) -> None:
    with server.through_proxy() as proxy:
        assert case.holds(proxy.url)
        proxy.cut()
        assert not answers(proxy.url)
        assert answers(server.url)
        proxy.mend()
        assert case.holds(proxy.url)


def test_one_that_cannot_start_shows_the_end_of_its_log(case: Case) -> None:
    with pytest.raises(ServerFailed, match=case.complaint), private_server(case.server, case.wrong):
        pass


def test_rabbitmqctl_speaks_to_it() -> None:
    with private_server(RabbitmqServer) as server:
        server.ctl("add_user", "reader", "secret")
        assert answers(server.url.replace("guest:guest", "reader:secret")) is False
        server.ctl("set_permissions", "reader", "", "", ".*")
        assert answers(server.url.replace("guest:guest", "reader:secret"))


def test_kafka_asks_for_a_password_and_permissions_behind_its_proxy() -> None:
    with private_server(KafkaServer, LOGIN) as server, server.through_proxy() as proxy:
        login = {
            "bootstrap_servers": urlsplit(proxy.url).netloc,
            "security_protocol": "SASL_PLAINTEXT",
            "sasl_mechanism": "PLAIN",
            "sasl_plain_username": "reader",
        }
        with pytest.raises(KafkaError):
            KafkaAdminClient(**login, sasl_plain_password="wrong", bootstrap_timeout_ms=3000)
        reader = KafkaAdminClient(**login, sasl_plain_password="secret")
        with pytest.raises(TopicAuthorizationFailedError):
            reader.create_topics([NewTopic(NAME, 1, 1)])
        reader.close()
        _write_kafka(server.url)
