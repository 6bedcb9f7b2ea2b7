"""Submitting beside a broker that is away for a while."""

import threading
from collections.abc import Iterator
from contextlib import closing

import apsw
import pytest
from tests.conftest import Installation

from predictq.brokers import Subscription
from predictq.errors import BrokerUnavailable
from predictq.ids import new_id
from predictq.messages import REQUEST
from predictq_producers import Client

SETTINGS = """
[endpoints.sums]
[deployments.sum]
endpoint = "sums"
model = "models:Sum"
"""


@pytest.fixture
def locked(installation: Installation) -> Iterator[apsw.Connection]:
    """A connection that keeps everybody else from writing to the broker's file, once it has begun."""
    installation.configure(SETTINGS)
    with Client.direct(installation.settings), closing(apsw.Connection(str(installation.broker_file))) as connection:
        yield connection


def published(installation: Installation) -> list[str]:
    """Ids of the requests on the topic of requests."""
    names = installation.names
    reading = Subscription(topics=(names.requests("sums"),), member=new_id(), group=names.ledger_group)
    with installation.broker() as broker, closing(broker.consumer(reading)) as consumer:
        return [REQUEST.decode(record.value)["id"] for record in consumer.poll(100, 1 << 20, 0.0)]


def test_what_could_not_be_published_is_published_once_the_broker_is_back(
    installation: Installation, locked: apsw.Connection
) -> None:
    with Client.direct(installation.settings, timeout=100) as client:
        locked.execute("BEGIN IMMEDIATE")
        # The adapter itself waits for five seconds; what comes later is the client's.
        free = threading.Timer(6.0, lambda: locked.execute("ROLLBACK"))
        free.start()
        request = client.submit("sums", [[1]])
        free.join()
    assert published(installation) == [request.id]


def test_a_broker_that_stays_away_is_told(installation: Installation, locked: apsw.Connection) -> None:
    with Client.direct(installation.settings, timeout=0.1) as client:
        locked.execute("BEGIN IMMEDIATE")
        with pytest.raises(BrokerUnavailable, match="tried once"):
            client.submit("sums", [[1]])
        locked.execute("ROLLBACK")
        request = client.submit("sums", [[2]])
    assert published(installation) == [request.id]
