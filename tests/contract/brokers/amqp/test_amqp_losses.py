"""RabbitMQ's confirms get lost, it goes away, takes nothing, or processes are killed: nothing is lost."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from tests.beside import running_process
from tests.contract.brokers.amqp.conftest import judged, member_of, polled_and_settled
from tests.contract.brokers.conftest import PATIENCE, Rig, eventually, values
from tests.servers.proxy import Proxy
from tests.servers.rabbitmq_server import RabbitmqServer

from predictq.brokers import Batch, Consumer, Done, Message, open_broker
from predictq.errors import BrokerUnavailable, PublishError, Unavailable

MEMBER = Path(__file__).parents[1] / "member.py"


def test_a_publish_whose_confirm_is_lost_says_so(rig: Rig, proxy: Proxy) -> None:
    producer = open_broker(proxy.url).producer()
    producer.publish([Message(rig.requests, b"first")])
    proxy.drop_replies(lambda request: b"second" in request)
    with pytest.raises(PublishError) as caught:
        producer.publish([Message(rig.requests, b"second")])
    assert list(caught.value.failed) == [0]
    producer.publish([Message(rig.requests, b"third")])
    producer.close()
    came = set(values(rig.served(rig.consumer(), 3)))
    assert came == {"first", "second", "third"}


def test_a_settle_whose_confirm_is_lost_loses_nothing(rig: Rig, proxy: Proxy) -> None:
    rig.publish("first", "last")
    consumer = member_of(rig, proxy.url)
    batch = rig.polled(consumer, 2)
    # With the last of them on its way, for they may go out in several pieces.
    proxy.drop_replies(lambda request: b"last" in request)
    with pytest.raises(BrokerUnavailable):
        consumer.settle(batch, judged(rig, batch))
    assert consumer.settle(batch, judged(rig, batch)) == 2
    again: list[Batch] = []

    def came() -> bool:
        # That a channel is lost is known before it is of its connection: a poll in between is told the latter.
        with suppress(BrokerUnavailable):
            again.append(rig.polled(consumer, 2))
        return bool(again)

    eventually(came, "they come again")
    assert [record.redeliveries for record in again[0]] == [0, 0], "it was the network's doing"
    assert consumer.settle(again[0], judged(rig, again[0])) == 0
    consumer.close()
    assert set(values(rig.served(rig.consumer(group=rig.store), 4))) == {"first", "last"}
    assert rig.left() == 0


def test_all_work_again_after_the_server_was_away(own: Rig, own_server: RabbitmqServer) -> None:
    consumer = own.consumer()
    own.publish("a", "b")
    batch = own.polled(consumer, 2)
    own_server.stop()
    with pytest.raises(Unavailable):
        own.publish("away")
    assert not own.admin.health().ok
    eventually(lambda: not consumer.extend(batch), "the consumer knows")
    assert consumer.settle(batch, judged(own, batch)) == 2
    with pytest.raises(BrokerUnavailable):
        consumer.poll(10, 1 << 20, 0.0)
    own_server.start()
    assert own.admin.health().ok
    own.publish("c")
    assert sorted(values(own.served(consumer, 3, lambda record: Done((own.output(record.value.decode()),))))) == [
        "a",
        "b",
        "c",
    ]
    assert sorted(values(own.served(_opened(own), 3))) == ["a", "b", "c"]


def _opened(own: Rig) -> Consumer:
    """A server that answers again may still be starting some of its queues."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return own.consumer(group=own.store)
        except BrokerUnavailable:
            assert time.monotonic() < deadline
            time.sleep(0.1)


@contextmanager
def alarm(server: RabbitmqServer) -> Iterator[None]:
    """The server takes no messages until there is room again."""
    server.ctl("set_vm_memory_high_watermark", "0.00001")
    try:
        yield
    finally:
        server.ctl("set_vm_memory_high_watermark", "0.4")


def test_under_an_alarm_nothing_is_taken_and_nothing_is_lost(own: Rig, own_server: RabbitmqServer) -> None:
    consumer, store = own.consumer(), own.consumer(group=own.store)
    own.publish("a", "b")
    batch = own.polled(consumer, 2)
    with alarm(own_server):
        with pytest.raises(PublishError, match=r"alarm.*make room"):
            own.publish("c")
        with pytest.raises(BrokerUnavailable, match="alarm"):
            own.publish("never sent")
        for _ in range(2):
            with pytest.raises(BrokerUnavailable, match="alarm"):
                consumer.settle(batch, judged(own, batch))
        assert consumer.extend(batch)
    assert consumer.settle(batch, judged(own, batch)) == 0
    assert sorted(values(own.served(store, 2))) == ["a", "b"]
    assert own.nothing_for(store)
    assert values(own.served(consumer, 1)) == ["c"]


@contextmanager
def process(rig: Rig, claim_seconds: float = 2.0) -> Iterator[subprocess.Popen[str]]:
    """A consumer process that has been killed at the end."""
    command = [sys.executable, str(MEMBER), rig.url, rig.prefix, str(claim_seconds)]
    with running_process(command) as member:
        assert member.stdout is not None
        assert member.stdout.readline() == "ready\n"
        yield member


@pytest.mark.timeout(120)
def test_kills_lose_nothing(rig: Rig) -> None:
    sent = 0

    def publish_for(seconds: float) -> None:
        nonlocal sent
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            rig.publish(*[f"{i}" for i in range(sent, sent + 20)])
            sent += 20

    with process(rig):
        for i in range(4):
            with process(rig) as victim:
                publish_for(0.1 + 0.1 * i)
                victim.kill()
                victim.wait()
        store = rig.consumer(group=rig.store)
        seen: Counter[int] = Counter()

        def all_came() -> bool:
            seen.update(int(record.value) for record in polled_and_settled(store))
            return len(seen) == sent

        eventually(all_came, "everything is served")
    assert set(seen) == set(range(sent))


def test_a_frozen_process_loses_its_records_to_another(rig: Rig) -> None:
    with process(rig) as frozen:
        rig.publish("before")
        store = rig.consumer(group=rig.store)
        rig.served(store, 1)
        os.kill(frozen.pid, signal.SIGSTOP)
        sent = {f"{i}" for i in range(10)}
        rig.publish(*sent)
        heir = rig.consumer()
        came: set[str] = set()

        def all_came() -> bool:
            came.update(values(polled_and_settled(heir)))
            return came >= sent

        eventually(all_came, "the heir has them")
        # It may have been frozen after its output was confirmed and before it said that the request was settled.
        assert came - sent <= {"before"}
