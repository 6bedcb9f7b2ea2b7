"""Order, delays and lone records on RabbitMQ."""

import random
import time
from dataclasses import replace

import pytest
from tests.contract.brokers.amqp.conftest import member_of, polled_and_settled
from tests.contract.brokers.conftest import PATIENCE, Rig, eventually, values
from tests.servers.proxy import Proxy

from predictq.brokers import Done, Isolate, Record, Release, Retry
from predictq.errors import UserMistake
from predictq.topology import GroupSpec, Topology


def ordered(rig: Rig) -> Topology:
    spec = rig.topology()
    topics = tuple(replace(topic, ordered=topic.name == rig.requests) for topic in spec.topics)
    return replace(spec, topics=topics)


@pytest.fixture
def in_order(rig: Rig) -> Rig:
    """Requests in the order of their keys, read by members in turn."""
    rig.admin.ensure(Topology(rig.prefix, (), ()), prune=True)
    rig.admin.ensure(ordered(rig))
    return rig


def test_members_share_an_ordered_topic_and_each_key_keeps_its_order(in_order: Rig) -> None:
    members = [in_order.consumer(idle_seconds=0.05) for _ in range(2)]
    for i in range(120):
        in_order.publish(f"{i}", key=f"key-{i % 9}")
    seen: list[Record] = []
    deadline, dice = time.monotonic() + PATIENCE, random.Random(7)
    while len(seen) < 120:
        assert time.monotonic() < deadline
        for member in members:
            batch = member.poll(7, 1 << 20, 0.0)
            released = dice.random() < 0.3
            member.settle(batch, [Release() if released else Done()] * len(batch))
            seen += () if released else batch
    for key in {record.key for record in seen}:
        numbers = [int(record.value) for record in seen if record.key == key]
        assert numbers == sorted(numbers)


def test_an_ordered_topic_is_shared_by_its_members(in_order: Rig) -> None:
    members = [in_order.consumer(idle_seconds=0.05) for _ in range(2)]
    shares = [0, 0]

    def both_serve() -> bool:
        in_order.publish(*["x"] * 8)
        for i, member in enumerate(members):
            shares[i] += len(polled_and_settled(member))
        return all(shares)

    eventually(both_serve, "the second member is given partitions")


def test_an_ordered_topic_goes_on_in_order_with_another_member(in_order: Rig) -> None:
    first = in_order.consumer()
    for i in range(40):
        in_order.publish(f"{i}", key="k")
    in_order.served(first, 10)
    in_order.polled(first, 5)
    heir = in_order.consumer()
    assert in_order.nothing_for(heir)
    first.close()
    assert values(in_order.served(heir, 30)) == [f"{i}" for i in range(10, 40)]


def test_another_order_is_refused(rig: Rig) -> None:
    with pytest.raises(UserMistake, match=r"ordered = false"):
        rig.admin.ensure(ordered(rig))


def test_a_single_group_is_read_by_one_member_at_a_time(rig: Rig) -> None:
    spec = rig.topology()
    ledger = GroupSpec(f"{rig.prefix}.sync.ledger", (rig.requests,), single=True)
    rig.admin.ensure(replace(spec, groups=(*spec.groups, ledger)))
    first, second = (rig.consumer(rig.requests, group=ledger.name) for _ in range(2))
    rig.nothing_for(first)
    rig.nothing_for(second)
    rig.publish(*[f"{i}" for i in range(30)])
    assert values(rig.served(first, 10)) == [f"{i}" for i in range(10)]
    assert rig.nothing_for(second)
    first.close()
    assert values(rig.served(second, 20)) == [f"{i}" for i in range(10, 30)]


def test_a_delay_of_several_steps_comes_on_time(rig: Rig) -> None:
    consumer = rig.consumer()
    rig.publish("long", "short")
    batch = rig.polled(consumer, 2)
    settled_at = time.time()
    consumer.settle(batch, [Retry(3.0) if record.value == b"long" else Retry(0.6) for record in batch])
    came = {}
    for _ in range(2):
        [record] = rig.served(consumer, 1)
        came[record.value] = time.time() - settled_at
    assert 0.6 <= came[b"short"] < 3.0 <= came[b"long"] < PATIENCE
    assert rig.left() == 0


def test_a_lone_record_is_not_charged_for_a_crash_beside_it(rig: Rig, proxy: Proxy) -> None:
    rig.publish("a", "b", "c")
    victim = member_of(rig, proxy.url)
    batch = rig.polled(victim, 3)
    victim.settle(batch, [Isolate()] * 3)
    rig.publish("d")
    first = rig.polled(victim, 1)
    proxy.cut()
    came = {record.value: record for record in rig.served(rig.consumer(), 4)}
    victim.close()
    charged = {value for value, record in came.items() if record.redeliveries}
    assert charged - {b"d"} == {record.value for record in first}


def test_leaving_many_times_makes_nobody_look_like_a_culprit(rig: Rig) -> None:
    rig.publish(*[f"{i}" for i in range(20)])
    for _ in range(4):
        consumer = rig.consumer()
        rig.polled(consumer, 5)
        consumer.close()
    assert all(record.redeliveries < 2 for record in rig.served(rig.consumer(), 20))
