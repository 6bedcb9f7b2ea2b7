"""Publishing and polling: what comes, to whom, in what order and in what portions."""

import time

import pytest
from tests.beside import running
from tests.contract.brokers.conftest import PATIENCE, Rig, eventually, values

from predictq.brokers import Done, Message
from predictq.brokers.partitions import partition_of
from predictq.errors import MessageTooLarge, UserMistake
from predictq.topology import GroupSpec, Topology


def test_a_message_arrives_as_it_was_sent(rig: Rig) -> None:
    consumer = rig.consumer()
    before = time.time()
    rig.producer.publish([Message(rig.requests, b"\x00\xff body", b"\x01key", {"origin": "file", "tür": "auf"})])
    [record] = rig.served(consumer, 1)
    assert record.topic == rig.requests
    assert (record.value, record.key) == (b"\x00\xff body", b"\x01key")
    assert dict(record.headers) == {"origin": "file", "tür": "auf"}
    assert before - 1 <= record.published_at <= time.time() + 1
    assert (record.redeliveries, record.attempt, record.alone) == (0, 1, False)
    assert isinstance(record.position, str)


def test_a_message_without_key_and_headers_has_none(rig: Rig) -> None:
    consumer = rig.consumer()
    rig.publish("")
    [record] = rig.served(consumer, 1)
    assert (record.value, record.key, dict(record.headers)) == (b"", None, {})


def test_what_is_settled_does_not_come_again(rig: Rig) -> None:
    consumer = rig.consumer()
    rig.publish("a", "b")
    rig.served(consumer, 2)
    assert rig.nothing_for(consumer)
    consumer.close()
    assert rig.nothing_for(rig.consumer())


def test_every_group_gets_every_message(rig: Rig) -> None:
    mine, theirs = rig.consumer(), rig.consumer(group=rig.other_group)
    rig.publish("a", "b", "c")
    assert sorted(values(rig.served(mine, 3))) == ["a", "b", "c"]
    assert sorted(values(rig.served(theirs, 3))) == ["a", "b", "c"]


def test_members_of_a_group_share_the_messages_and_each_goes_to_one(rig: Rig) -> None:
    members = [rig.consumer(claim_seconds=1.0) for _ in range(2)]
    rig.nothing_for(members[0])
    rig.nothing_for(members[1])
    rig.nothing_for(members[0])
    sent = [f"{i}" for i in range(400)]
    for i in range(0, 400, 50):
        rig.publish(*sent[i : i + 50])
    got: dict[int, list[str]] = {0: [], 1: []}
    deadline = time.monotonic() + PATIENCE
    while len(got[0]) + len(got[1]) < 400 and time.monotonic() < deadline:
        for i, member in enumerate(members):
            batch = member.poll(20, 1 << 20, 0.0)
            member.settle(batch, [Done()] * len(batch))
            got[i] += values(list(batch))
    assert sorted(got[0] + got[1], key=int) == sent
    assert got[0]
    assert got[1]


def test_three_members_hold_all_partitions(rig: Rig) -> None:
    members = [rig.consumer(claim_seconds=0.8, idle_seconds=0.01) for _ in range(3)]
    for i in range(64):
        rig.publish(f"{i}", key=f"{i}")
    got: list[str] = []

    def all_came() -> bool:
        for member in members:
            batch = member.poll(1, 1 << 20, 0.0)
            member.settle(batch, [Done()] * len(batch))
            got.extend(values(list(batch)))
        return len(got) == 64

    eventually(all_came, "three members serve everything")
    assert sorted(got, key=int) == [f"{i}" for i in range(64)]


def test_a_new_group_starts_at_the_end(rig: Rig) -> None:
    rig.publish("before")
    spec = rig.topology()
    rig.admin.ensure(
        Topology(spec.prefix, spec.topics, (*spec.groups, GroupSpec(f"{rig.prefix}.e.c", (rig.requests,))))
    )
    rig.publish("after")
    consumer = rig.consumer(group=f"{rig.prefix}.e.c")
    assert values(rig.served(consumer, 1)) == ["after"]
    assert rig.nothing_for(consumer)


def test_a_new_group_may_start_at_the_beginning(rig: Rig) -> None:
    rig.publish("before")
    spec = rig.topology()
    latecomer = GroupSpec(f"{rig.prefix}.e.c", (rig.requests,), "beginning")
    replaying = Topology(spec.prefix, spec.topics, (*spec.groups, latecomer))
    if not rig.guarantees.replays:
        with pytest.raises(UserMistake, match="beginning"):
            rig.admin.ensure(replaying)
        return
    rig.admin.ensure(replaying)
    rig.publish("after")
    assert sorted(values(rig.served(rig.consumer(group=f"{rig.prefix}.e.c"), 2))) == ["after", "before"]


def test_messages_of_one_key_keep_their_order(rig: Rig) -> None:
    consumer = rig.consumer()
    for i in range(60):
        rig.publish(f"{i}", key=f"key-{i % 7}")
    records = rig.served(consumer, 60)
    for key in {record.key for record in records}:
        numbers = [int(record.value) for record in records if record.key == key]
        assert numbers == sorted(numbers)


def test_a_key_falls_into_the_partition_that_kafka_would_choose(rig: Rig) -> None:
    consumer = rig.consumer()
    for i in range(40):
        rig.publish("x", key=f"key-{i}")
    records = rig.served(consumer, 40)
    assert [record.partition for record in records] == [partition_of(record.key or b"", 4) for record in records]
    assert len({record.partition for record in records}) == 4


def test_messages_without_a_key_spread_over_the_partitions(rig: Rig) -> None:
    consumer = rig.consumer()
    rig.publish(*["x"] * 200)
    assert {record.partition for record in rig.served(consumer, 200)} == {0, 1, 2, 3}


def test_single_messages_without_a_key_spread_over_the_partitions_too(rig: Rig) -> None:
    consumer = rig.consumer()
    for _ in range(8):
        rig.publish("x")
    assert {record.partition for record in rig.served(consumer, 8)} == {0, 1, 2, 3}


def test_a_poll_brings_at_most_so_many_messages(rig: Rig) -> None:
    consumer = rig.consumer()
    rig.publish(*[f"{i}" for i in range(100)])
    batch = consumer.poll(30, 1 << 20, 60.0)
    assert len(batch) == 30
    consumer.settle(batch, [Done()] * 30)
    assert len(rig.served(consumer, 70)) == 70


def test_a_poll_brings_at_most_so_many_bytes(rig: Rig) -> None:
    consumer = rig.consumer()
    rig.publish(*["x" * 100] * 50)
    batch = consumer.poll(1000, 1050, 60.0)
    assert len(batch) == 10
    consumer.settle(batch, [Done()] * 10)
    assert len(rig.served(consumer, 40)) == 40


def test_one_message_always_fits(rig: Rig) -> None:
    consumer = rig.consumer()
    rig.publish("x" * 1000, "y" * 1000)
    sizes = []
    for _ in range(2):
        batch = consumer.poll(10, 1, 0.5)
        sizes.append([len(record.value) for record in batch])
        consumer.settle(batch, [Done()] * len(batch))
    assert sizes == [[1000], [1000]]


def test_the_first_message_wakes_a_poll_and_then_it_fills(rig: Rig) -> None:
    consumer = rig.consumer(idle_seconds=PATIENCE)
    rig.nothing_for(rig.consumer(group=rig.other_group))

    def feed() -> None:
        with_own = rig.broker.producer()
        for i in range(5):
            with_own.publish([Message(rig.requests, f"{i}".encode())])
        with_own.close()

    with running(feed):
        batch = consumer.poll(5, 1 << 20, PATIENCE)
    assert sorted(values(list(batch))) == ["0", "1", "2", "3", "4"]


def test_a_poll_that_is_not_full_returns_after_its_wait(rig: Rig) -> None:
    consumer = rig.consumer(idle_seconds=PATIENCE)
    rig.publish("only")
    started = time.monotonic()
    batch = consumer.poll(1000, 1 << 20, 0.2)
    assert values(list(batch)) == ["only"]
    assert 0.2 <= time.monotonic() - started < PATIENCE


def test_a_backlog_does_not_wait(rig: Rig) -> None:
    consumer = rig.consumer()
    rig.publish(*["x"] * 100)
    started = time.monotonic()
    batch = consumer.poll(50, 1 << 20, PATIENCE)
    assert len(batch) == 50
    assert time.monotonic() - started < PATIENCE / 2


def test_a_poll_for_nothing_returns_after_its_idle_time(rig: Rig) -> None:
    consumer = rig.consumer(idle_seconds=0.2)
    started = time.monotonic()
    batch = consumer.poll(10, 1 << 20, 0.0)
    assert len(batch) == 0
    assert time.monotonic() - started >= 0.2
    assert consumer.settle(batch, []) == 0


def test_topics_are_read_in_order_of_precedence(rig: Rig) -> None:
    consumer = rig.consumer()
    rig.publish(*["bulk"] * 20, topic=rig.bulk)
    rig.publish(*["request"] * 20)
    rig.publish(*["retry"] * 20, topic=rig.retries)
    assert values(rig.served(consumer, 60)) == ["retry"] * 20 + ["request"] * 20 + ["bulk"] * 20


def test_a_broadcast_hears_what_is_published_from_now_on_and_everybody_hears_it(rig: Rig) -> None:
    rig.publish("before", topic=rig.hints)
    first, second = rig.consumer(rig.hints, group=None), rig.consumer(rig.hints, group=None)
    rig.publish("after", "later", topic=rig.hints)
    assert values(rig.served(first, 2)) == ["after", "later"]
    assert values(rig.served(second, 2)) == ["after", "later"]
    assert rig.nothing_for(first)


def test_a_message_above_the_limit_is_refused_and_nothing_of_the_call_is_sent(rig: Rig) -> None:
    consumer = rig.consumer()
    limit = rig.broker.max_message_bytes
    with pytest.raises(MessageTooLarge) as caught:
        rig.producer.publish([Message(rig.requests, b"small"), Message(rig.requests, bytes(limit + 1))])
    assert (caught.value.topic, caught.value.size, caught.value.limit) == (rig.requests, limit + 1, limit)
    assert rig.nothing_for(consumer)


def test_a_message_at_the_limit_arrives(rig: Rig) -> None:
    consumer = rig.consumer()
    rig.producer.publish([Message(rig.requests, bytes(rig.broker.max_message_bytes))])
    [record] = rig.served(consumer, 1)
    assert len(record.value) == rig.broker.max_message_bytes


def test_publishing_to_an_unknown_topic_is_the_callers_mistake_and_sends_nothing(rig: Rig) -> None:
    consumer = rig.consumer()
    with pytest.raises(UserMistake, match=rf"{rig.nowhere} .*topics ensure"):
        rig.producer.publish([Message(rig.requests, b"x"), Message(rig.nowhere, b"x")])
    assert rig.nothing_for(consumer)


def test_reading_an_unknown_topic_is_the_callers_mistake(rig: Rig) -> None:
    with pytest.raises(UserMistake, match=rf"{rig.nowhere} .*topics ensure"):
        rig.nothing_for(rig.consumer(rig.nowhere, group=rig.group))


def test_reading_for_an_unknown_group_is_the_callers_mistake(rig: Rig) -> None:
    with pytest.raises(UserMistake, match=rf"{rig.prefix}\.e\.nobody .*topics ensure"):
        rig.nothing_for(rig.consumer(group=f"{rig.prefix}.e.nobody"))


def test_publishing_nothing_is_fine(rig: Rig) -> None:
    rig.producer.publish([])
