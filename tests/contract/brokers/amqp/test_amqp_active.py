"""RabbitMQ, where one member at a time reads: that member's process knows what is in hand, and how old it is."""

import time
from collections.abc import Iterator
from contextlib import closing

import pytest
from tests.contract.brokers.conftest import Rig, eventually
from tests.servers.finding import url_of

from predictq.brokers import Done, open_broker
from predictq.topology import GroupSpec, Topology


@pytest.fixture
def rig() -> Iterator[Rig]:
    rig = Rig(url_of("amqp"))
    rig.admin.ensure(Topology(rig.prefix, rig.topology().topics, (ledger(rig),)))
    yield rig
    rig.close()


def ledger(rig: Rig) -> GroupSpec:
    return GroupSpec(f"{rig.prefix}.sync.ledger", (rig.requests, rig.bulk), single=True)


def told(rig: Rig, topic: str) -> tuple[int, int | None]:
    lag = rig.lag(topic, ledger(rig).name)
    return lag.ready, lag.in_flight


def test_the_only_member_knows_that_nothing_is_left_before_anything_came(rig: Rig) -> None:
    assert told(rig, rig.requests) == (0, None), "nobody reads"
    consumer = rig.consumer(*ledger(rig).topics, group=ledger(rig).name)
    assert rig.nothing_for(consumer)
    for topic in ledger(rig).topics:
        eventually(lambda topic=topic: told(rig, topic) == (0, 0), "its probe has come back")  # type: ignore[misc]
    assert rig.nothing_for(consumer)


def test_it_knows_the_age_of_what_it_has_in_hand(rig: Rig) -> None:
    consumer = rig.consumer(*ledger(rig).topics, group=ledger(rig).name)
    before = time.time()
    rig.publish("a", "b")
    batch = rig.polled(consumer, 2)
    lag = rig.lag(rig.requests, ledger(rig).name)
    assert (lag.ready, lag.in_flight) == (0, 2)
    assert lag.oldest_published_at is not None
    assert before - 1 <= lag.oldest_published_at <= time.time()
    consumer.settle(batch, [Done()] * 2)
    assert told(rig, rig.requests) == (0, 0)


def test_a_member_that_waits_its_turn_cannot_tell_and_takes_over_when_the_first_leaves(rig: Rig) -> None:
    first = rig.consumer(*ledger(rig).topics, group=ledger(rig).name)
    assert rig.nothing_for(first)
    with closing(open_broker(rig.url)) as elsewhere, closing(elsewhere.admin()) as admin:
        rig.broker, ours = elsewhere, rig.broker
        second = rig.consumer(*ledger(rig).topics, group=ledger(rig).name)
        rig.broker = ours
        assert rig.nothing_for(second)
        rig.publish("a")
        rig.polled(first, 1)
        assert told(rig, rig.requests) == (0, 1), "the first, in its own process"
        assert admin.lag(rig.requests, ledger(rig).name).in_flight is None, "the second, in another"
        first.close()
        assert [record.value for record in rig.served(second, 1)] == [b"a"]
        assert admin.lag(rig.requests, ledger(rig).name).in_flight == 0, "something came to the second"
