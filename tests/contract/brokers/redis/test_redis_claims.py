"""Who has what in hand on Redis, how often it was handed out, and what a member leaves behind."""

import subprocess
import sys
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest
import redis
from tests.beside import running, running_process
from tests.contract.brokers import member
from tests.contract.brokers.conftest import PATIENCE, Rig, eventually, values

from predictq.brokers import (
    Done,
    Isolate,
    Message,
)
from predictq.brokers.partitions import partition_of
from predictq.brokers.redis.keys import stream_key

CLAIM = 0.6
"""Seconds; short, so that tests see a claim expire."""


def test_what_was_fetched_and_not_handed_out_is_not_counted(rig: Rig) -> None:
    rig.publish(*["x" * 100] * 10, key="k")
    consumer = rig.consumer(claim_seconds=CLAIM)
    assert len(consumer.poll(10, 250, 0.0)) == 2
    records = rig.served(rig.consumer(claim_seconds=CLAIM), 10)
    assert sorted(record.redeliveries for record in records) == [0] * 8 + [1] * 2


def test_isolated_records_that_were_fetched_beside_the_one_handed_out_are_not_counted(rig: Rig) -> None:
    rig.publish("a", "b", "c", key="k")
    consumer = rig.consumer(claim_seconds=CLAIM)
    rig.served(consumer, 3, lambda _: Isolate())
    assert len(consumer.poll(10, 1 << 20, PATIENCE)) == 1
    records = rig.served(rig.consumer(claim_seconds=CLAIM), 3)
    assert sorted(record.redeliveries for record in records) == [0, 0, 1]


def test_isolated_records_do_not_make_the_backlog_go_to_and_fro(rig: Rig) -> None:
    consumer = rig.consumer()
    rig.publish(*"abcdef", key="k")
    rig.served(consumer, 6, lambda _: Isolate())
    rig.publish(*["x"] * 200, key="k")
    for _ in range(6):
        batch = consumer.poll(10, 1 << 20, 0.0)
        assert [record.alone for record in batch] == [True]
        assert consumer.settle(batch, [Done()]) == 0
    with redis.Redis.from_url(rig.url) as client:
        stream = stream_key(rig.requests, partition_of(b"k", 4))
        assert client.xpending(stream, rig.group)["pending"] <= 10
    assert len(rig.served(consumer, 200)) == 200


def test_a_batch_that_fills_for_longer_than_a_claim_is_not_lost(rig: Rig) -> None:
    consumer = rig.consumer(claim_seconds=CLAIM)
    rival = rig.consumer(rig.requests, claim_seconds=CLAIM, idle_seconds=0.05)
    rig.publish("a")
    with running(partial(consumer.poll, 10, 1 << 20, 4 * CLAIM)) as [polled]:
        eventually(lambda: rig.lag().in_flight == 1, "it fills")
        while not polled.done():
            assert rig.nothing_for(rival)
    assert values(list(polled.result())) == ["a"]
    assert consumer.settle(polled.result(), [Done()]) == 0


def test_trimming_never_takes_what_a_member_has_in_hand(rig: Rig) -> None:
    rig.admin.ensure(rig.topology(retention_seconds=0.0))
    rig.publish("a", "b", key="k")
    rig.served(rig.consumer(group=rig.other_group), 2)
    rig.polled(rig.consumer(claim_seconds=2.0), 2)
    rival = rig.consumer(idle_seconds=1.2, claim_seconds=2.0)
    assert rig.nothing_for(rival)
    assert values(rig.served(rival, 2)) == ["a", "b"]


def test_a_member_that_leaves_takes_its_name_along(rig: Rig) -> None:
    consumer = rig.consumer()
    rig.publish("a")
    rig.polled(consumer, 1)
    consumer.close()
    with redis.Redis.from_url(rig.url) as client:
        streams = [stream_key(rig.requests, partition) for partition in range(4)]
        names = {info["name"] for stream in streams for info in client.xinfo_consumers(stream, rig.group)}
    assert names <= {b"-"}


@pytest.mark.parametrize("endings", [3])
def test_killed_members_lose_nothing_and_double_nothing(rig: Rig, endings: int) -> None:
    argv = [sys.executable, str(Path(member.__file__)), rig.url, rig.prefix, "0.5"]
    sent: list[str] = []
    with ExitStack() as stack:

        def started() -> subprocess.Popen[str]:
            process = stack.enter_context(running_process(argv))
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            return process

        members = [started(), started()]
        for i in range(endings):
            emitted = rig.lag(rig.predictions, rig.store).ready
            for _ in range(10):
                more = [f"{len(sent) + k}" for k in range(100)]
                rig.publish(*more)
                sent += more
            eventually(lambda: rig.lag(rig.predictions, rig.store).ready > emitted, "they serve")  # noqa: B023
            members[i % 2].kill()
            members[i % 2].wait()
            members[i % 2] = started()
        eventually(lambda: rig.left() == 0, "all is settled")
    store = rig.consumer(group=rig.store)
    assert sorted(values(rig.served(store, len(sent))), key=int) == sent
    assert rig.nothing_for(store)


def test_an_outputs_key_leads_to_its_own_partition_whatever_the_request_was_in(rig: Rig) -> None:
    consumer, store = rig.consumer(), rig.consumer(group=rig.store)
    keys = [f"key-{i}" for i in range(30)]
    for key in keys:
        rig.publish(key, key=key)
    rig.served(consumer, 30, lambda record: Done((Message(rig.predictions, record.value, record.key),)))
    records = rig.served(store, 30)
    assert [record.partition for record in records] == [partition_of(record.key or b"", 2) for record in records]
