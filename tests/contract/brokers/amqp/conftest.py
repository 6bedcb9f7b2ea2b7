"""RabbitMQ: shared, behind a proxy, or one of a test's own; and a member that takes another way."""

from collections.abc import Iterator

import pytest
from tests.contract.brokers.conftest import Rig
from tests.servers.finding import private_server
from tests.servers.proxy import Proxy, through_proxy
from tests.servers.rabbitmq_server import RabbitmqServer

from predictq.brokers import Batch, Consumer, Done, Message, Record, Subscription, open_broker


@pytest.fixture
def url(amqp_url: str) -> str:
    return amqp_url


@pytest.fixture
def proxy(url: str) -> Iterator[Proxy]:
    with through_proxy(url) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def own_server() -> Iterator[RabbitmqServer]:
    """A server that a test may stop and put under alarm."""
    with private_server(RabbitmqServer) as server:
        yield server


@pytest.fixture
def own(own_server: RabbitmqServer) -> Iterator[Rig]:
    rig = Rig(f"{own_server.url}?answer_timeout_seconds=1")
    yield rig
    rig.close()


def member_of(rig: Rig, url: str, claim_seconds: float = 10.0) -> Consumer:
    """A member of the deployment's group that takes another way to the server."""
    subscription = Subscription(
        topics=(rig.retries, rig.requests, rig.bulk),
        member="another-way",
        group=rig.group,
        retry_topic=rig.retries,
        claim_seconds=claim_seconds,
    )
    return open_broker(url).consumer(subscription)


def judged(rig: Rig, batch: Batch) -> list[Done]:
    return [Done((Message(rig.predictions, record.value),)) for record in batch]


def polled_and_settled(consumer: Consumer) -> list[Record]:
    batch = consumer.poll(1000, 1 << 30, 0.0)
    consumer.settle(batch, [Done()] * len(batch))
    return list(batch)
