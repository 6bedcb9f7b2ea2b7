"""Redis goes away and comes back, or its answers get lost: nothing is, and nothing is doubled."""

import time
from functools import partial

import pytest
import redis
from tests.beside import after, running
from tests.contract.brokers.conftest import PATIENCE, Rig, eventually, values
from tests.servers.proxy import Proxy
from tests.servers.redis_server import RedisServer

from predictq.brokers import (
    Done,
    Isolate,
    Release,
    Retry,
    Subscription,
    Verdict,
)
from predictq.brokers.redis.scripts import APPEND, SETTLE, TAKE, Script
from predictq.errors import BrokerUnavailable, PublishError

CLAIM = 0.6
"""Seconds; short, so that tests see a claim expire."""


def asks_for(script: Script, request: bytes) -> bool:
    return script.digest in request


def test_a_producer_and_an_admin_go_on_after_a_restart(server: RedisServer, own: Rig) -> None:
    own.publish("before")
    server.stop()
    with pytest.raises(BrokerUnavailable):
        own.publish("lost?")
    assert not own.admin.health().ok
    server.start()
    own.publish("after")
    assert own.admin.health().ok
    assert sorted(values(own.served(own.consumer(), 2))) == ["after", "before"]


def test_a_producer_does_not_notice_a_restart_between_two_calls(server: RedisServer, own: Rig) -> None:
    own.publish("before")
    server.stop()
    server.start()
    own.publish("after")
    assert own.lag().ready == 2


def test_a_waiting_poll_says_that_the_server_is_gone_and_goes_on_afterwards(server: RedisServer, own: Rig) -> None:
    consumer = own.consumer(idle_seconds=PATIENCE)
    with running(after(0.2, server.stop)), pytest.raises(BrokerUnavailable):
        own.nothing_for(consumer)
    server.start()
    own.publish("after")
    assert values(own.served(consumer, 1)) == ["after"]


def test_a_settle_goes_on_after_a_restart_and_nothing_is_doubled(server: RedisServer, own: Rig) -> None:
    consumer, store = own.consumer(), own.consumer(group=own.store)
    own.publish("a", "b", "c")
    batch = own.polled(consumer, 3)
    verdicts = [Done((own.output(record.value.decode()),)) for record in batch]
    server.stop()
    with pytest.raises(BrokerUnavailable):
        consumer.settle(batch, verdicts)
    server.start()
    assert consumer.settle(batch, verdicts) == 0
    assert sorted(values(own.served(store, 3))) == ["a", "b", "c"]
    assert own.nothing_for(store)
    assert own.left() == 0


def test_what_is_in_hand_is_not_taken_from_its_member_because_the_server_was_away(
    server: RedisServer, own: Rig
) -> None:
    busy = own.consumer(claim_seconds=CLAIM)
    own.publish("a")
    batch = own.polled(busy, 1)
    server.stop()
    time.sleep(2 * CLAIM)
    server.start()
    rival = own.consumer(claim_seconds=CLAIM, idle_seconds=CLAIM / 4)
    assert own.nothing_for(rival)
    assert busy.extend(batch)
    assert busy.settle(batch, [Done((own.output("kept"),))]) == 0


def test_a_server_that_forgot_the_scripts_gets_them_again(own: Rig) -> None:
    consumer = own.consumer()
    with redis.Redis.from_url(own.url) as client:
        for i in range(3):
            client.script_flush()
            own.publish(f"{i}")
            client.script_flush()
            batch = own.polled(consumer, 1)
            client.script_flush()
            assert consumer.settle(batch, [Done((own.output("x"),))]) == 0
    assert own.left() == 0
    assert own.lag(own.predictions, own.store).ready == 3


def test_a_publish_whose_answer_is_lost_raises_and_is_never_sent_twice(proxy: Proxy, far: Rig) -> None:
    far.publish("a")
    proxy.drop_replies(lambda request: asks_for(APPEND, request))
    with pytest.raises(BrokerUnavailable):
        far.publish("b", "c")
    assert proxy.dropped == 1
    assert far.lag().ready == 3
    far.publish("d")
    assert far.lag().ready == 4


def test_a_settle_whose_answer_is_lost_is_known_to_be_done(proxy: Proxy, far: Rig) -> None:
    consumer, store = far.consumer(), far.consumer(group=far.store)
    far.publish("a", "b", "c")
    batch = far.polled(consumer, 3)
    verdicts: list[Verdict] = [Done((far.output("out"),)), Retry(0.0), Release()]
    proxy.drop_replies(lambda request: asks_for(SETTLE, request))
    with pytest.raises(BrokerUnavailable):
        consumer.settle(batch, verdicts, [far.output("batch")])
    assert proxy.dropped == 1
    assert consumer.settle(batch, verdicts, [far.output("batch")]) == 0
    assert sorted(values(far.served(store, 2))) == ["batch", "out"]
    assert far.nothing_for(store)
    assert sorted(values(far.served(consumer, 2))) == sorted(values(batch[1:]))
    assert far.left() == 0


def test_a_settle_whose_answer_is_lost_after_records_were_lost_tells_how_many(proxy: Proxy, far: Rig) -> None:
    zombie = far.consumer(claim_seconds=CLAIM)
    far.publish("a", "b", key="k")
    batch = far.polled(zombie, 2)
    heir = far.consumer(claim_seconds=CLAIM)
    deadline = time.monotonic() + PATIENCE
    while not (taken := heir.poll(1, 1 << 20, 0.0)):
        assert time.monotonic() < deadline
    assert len(taken) == 1
    asked = 0

    def the_second(request: bytes) -> bool:
        nonlocal asked
        asked += asks_for(SETTLE, request)
        return asked == 2

    proxy.drop_replies(the_second)
    verdicts = [Done((far.output(record.value.decode()),)) for record in batch]
    with pytest.raises(BrokerUnavailable):
        zombie.settle(batch, verdicts)
    assert proxy.dropped == 1
    assert zombie.settle(batch, verdicts) == 1
    assert heir.settle(taken, [Done((far.output("heir"),))]) == 0
    store = far.consumer(group=far.store)
    assert len(far.served(store, 2)) == 2
    assert far.nothing_for(store)


def test_a_poll_whose_answer_is_lost_brings_its_records_again_and_counts_nothing(proxy: Proxy, far: Rig) -> None:
    consumer = far.consumer()
    far.nothing_for(consumer)
    far.publish("a", "b", "c")
    proxy.drop_replies(lambda request: asks_for(TAKE, request))
    with pytest.raises(BrokerUnavailable):
        consumer.poll(10, 1 << 20, 0.0)
    assert proxy.dropped == 1
    again = far.served(consumer, 3)
    assert [record.redeliveries for record in again] == [0] * 3


def test_a_new_consumer_of_the_same_member_finds_what_the_old_one_never_heard_of(proxy: Proxy, far: Rig) -> None:
    subscription = Subscription(
        topics=(far.retries, far.requests), member="m", group=far.group, retry_topic=far.retries, claim_seconds=60.0
    )
    first = far.broker.consumer(subscription)
    far.nothing_for(first)
    far.publish("a")
    far.served(first, 1, lambda _: Isolate())
    proxy.drop_replies(lambda request: asks_for(TAKE, request))
    with pytest.raises(BrokerUnavailable):
        first.poll(10, 1 << 20, 0.0)
    proxy.cut()
    with pytest.raises(BrokerUnavailable):
        first.close()
    proxy.mend()
    second = far.broker.consumer(subscription)
    [record] = far.served(second, 1)
    assert (record.alone, record.redeliveries) == (True, 0)
    second.close()


def test_draining_wakes_a_poll_that_the_server_keeps_waiting(own: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("predictq.brokers.redis.consumer._LONGEST_WAIT", 10 * PATIENCE)
    consumer = own.consumer(idle_seconds=10 * PATIENCE, claim_seconds=100 * PATIENCE)
    with running(partial(own.nothing_for, consumer), stop=consumer.drain) as [polled]:
        with redis.Redis.from_url(own.url) as client:
            eventually(lambda: client.info("clients")["blocked_clients"] == 1, "it waits")
        consumer.drain()
        assert polled.result(PATIENCE)


def test_of_thousands_of_messages_some_may_be_sent_and_it_is_said_which_are_not(proxy: Proxy, far: Rig) -> None:
    asked = 0

    def the_second(request: bytes) -> bool:
        nonlocal asked
        asked += asks_for(APPEND, request)
        return asked == 2

    far.publish(*["x"] * 10)
    proxy.drop_replies(the_second)
    with pytest.raises(PublishError) as caught:
        far.publish(*["x"] * 6_000)
    assert list(caught.value.failed) == list(range(5_000, 6_000))
