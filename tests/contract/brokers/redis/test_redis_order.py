"""Ordered topics on Redis: a lease for each partition, and one reader at a time."""

import time
from dataclasses import replace

import redis
from tests.beside import after, running
from tests.contract.brokers.conftest import PATIENCE, Rig, eventually, values

from predictq.brokers import (
    Consumer,
    Done,
    Record,
    Release,
)
from predictq.brokers.redis.keys import stream_key
from predictq.topology import Topology

CLAIM = 0.6
"""Seconds; short, so that tests see a claim expire."""


def ordered(rig: Rig) -> None:
    """Make the endpoint's requests ordered."""
    spec = rig.topology()
    topics = tuple(replace(topic, ordered=topic.name in (rig.requests, rig.bulk)) for topic in spec.topics)
    rig.admin.ensure(Topology(spec.prefix, topics, spec.groups))


def test_a_partition_of_an_ordered_topic_has_one_reader(rig: Rig) -> None:
    ordered(rig)
    members = [rig.consumer(claim_seconds=1.0, idle_seconds=0.01) for _ in range(3)]
    leases = [f"{stream_key(rig.requests, partition)}:lease:{rig.group}" for partition in range(4)]

    def all_have_one() -> bool:
        for one in members:
            rig.nothing_for(one)
        return len(set(client.mget(leases)) - {None}) == 3

    with redis.Redis.from_url(rig.url) as client:
        eventually(all_have_one, "the partitions are shared out")
    keys = [f"{i}" for i in range(40)]
    readers: dict[int, set[int]] = {}
    for key in keys:
        rig.publish(key, key=key)
    got = 0
    deadline = time.monotonic() + PATIENCE
    while got < len(keys) and time.monotonic() < deadline:
        for i, one in enumerate(members):
            batch = one.poll(2, 1 << 20, 0.0)
            for record in batch:
                readers.setdefault(record.partition, set()).add(i)
            got += len(batch)
            one.settle(batch, [Done()] * len(batch))
    assert got == len(keys)
    assert {partition: len(who) for partition, who in readers.items()} == dict.fromkeys(range(4), 1)
    assert len(set.union(*readers.values())) == 3


def test_a_member_that_joins_takes_no_partition_of_which_records_are_in_hand(rig: Rig) -> None:
    ordered(rig)
    first = rig.consumer(claim_seconds=1.0, idle_seconds=0.1)
    for i in range(40):
        rig.publish(f"{i}", key=f"{i}")
    batch = rig.polled(first, 40)
    for i in range(10):
        rig.publish(f"{i}", key=f"{i}")
    second = rig.consumer(claim_seconds=1.0, idle_seconds=0.1)
    until = time.monotonic() + 2.0
    while time.monotonic() < until:
        assert first.extend(batch)
        assert rig.nothing_for(first), "what may have to be given away is not added to"
        assert rig.nothing_for(second)
    assert first.settle(batch, [Done()] * 40) == 0
    got: list[Record] = []

    def all_came() -> bool:
        for member in (first, second):
            more = member.poll(5, 1 << 20, 0.0)
            assert member.settle(more, [Done()] * len(more)) == 0
            got.extend(more)
        return len(got) == 10

    eventually(all_came, "both serve what is left")
    assert not any(record.redeliveries for record in got)


def test_a_member_more_than_there_are_partitions_waits_for_its_turn(rig: Rig) -> None:
    ordered(rig)
    members = [rig.consumer(group=rig.other_group, idle_seconds=0.05) for _ in range(5)]
    for one in members:
        assert rig.nothing_for(one)
    rig.publish(*[f"{i}" for i in range(100)])
    for one in members[:4]:
        one.close()
    assert len(rig.served(members[4], 100)) == 100


def test_order_per_key_survives_members_that_come_go_and_freeze(rig: Rig) -> None:
    ordered(rig)
    keys = [f"key-{i}" for i in range(8)]
    for i in range(200):
        rig.publish(f"{i}", key=keys[i % 8])
    first = rig.consumer(claim_seconds=CLAIM)
    seen = rig.served(first, 20)
    frozen = rig.polled(first, 10)
    second = rig.consumer(claim_seconds=CLAIM)
    seen += rig.served(second, 60)
    third = rig.consumer(claim_seconds=CLAIM)
    seen += serve_in_turn(rig, [second, third], 40)
    second.close()
    seen += rig.served(third, 80)
    assert first.settle(frozen, [Done((rig.output("zombie"),))] * 10) == 10
    assert rig.left() == 0
    for key in keys:
        numbers = [int(record.value) for record in seen if record.key == key.encode()]
        assert numbers == sorted(numbers)
    assert sorted(int(record.value) for record in seen) == list(range(200))


def serve_in_turn(rig: Rig, members: list[Consumer], count: int) -> list[Record]:
    """`count` records, five at a time from each."""
    seen: list[Record] = []
    deadline = time.monotonic() + PATIENCE
    while len(seen) < count:
        for one in members:
            batch = one.poll(min(5, count - len(seen)), 1 << 20, 0.0) if len(seen) < count else ()
            if batch:
                assert one.settle(batch, [Done()] * len(batch)) == 0
                seen += batch
        assert time.monotonic() < deadline, f"{len(seen)} of {count} came"
    return seen


def test_a_zombie_reads_nothing_of_a_partition_whose_lease_it_lost(rig: Rig) -> None:
    ordered(rig)
    zombie = rig.consumer(claim_seconds=CLAIM)
    rig.nothing_for(zombie)
    with redis.Redis.from_url(rig.url) as client:
        for partition in range(4):
            client.set(f"{stream_key(rig.requests, partition)}:lease:{rig.group}", "another", px=60_000)
    rig.publish("a", key="k")
    assert rig.nothing_for(zombie)
    assert rig.lag().ready == 1


def test_what_was_released_of_an_ordered_topic_comes_before_what_follows(rig: Rig) -> None:
    ordered(rig)
    consumer = rig.consumer()
    rig.publish("a", "b", "c", key="k")
    batch = rig.polled(consumer, 2)
    consumer.settle(batch, [Release()] * 2)
    again = rig.served(consumer, 3)
    assert values(again) == ["a", "b", "c"]
    assert [record.redeliveries for record in again] == [0] * 3


def test_an_entry_wakes_a_poll_of_an_ordered_topic(rig: Rig) -> None:
    ordered(rig)
    consumer = rig.consumer(idle_seconds=PATIENCE)
    with running(after(0.3, lambda: rig.publish("a", key="k"))):
        batch = consumer.poll(1, 1 << 20, 0.0)
    assert values(list(batch)) == ["a"]
