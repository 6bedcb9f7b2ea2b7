"""Connections to RabbitMQ that end at an awkward moment: nobody waits for ever, and nobody is blamed for it."""

import socket
import threading
import uuid
from contextlib import closing

import pika
import pytest
from tests.beside import after, running
from tests.contract.brokers.conftest import PATIENCE, Rig, eventually, values
from tests.servers.proxy import Proxy

from predictq.brokers import Done, Isolate, Message, Subscription, open_broker
from predictq.brokers.amqp.queues import registry_name
from predictq.brokers.amqp.wire import Wire
from predictq.errors import BrokerUnavailable, Unavailable, UserMistake

HANDSHAKE = {"before a word": b"AMQP\x00", "at the login": b"\x00\x0a\x00\x0b", "at the door": b"\x00\x0a\x00\x28"}
"""What the client says when the stream ends: protocol header, start-ok, open."""


@pytest.mark.parametrize("moment", HANDSHAKE)
def test_a_cut_while_it_connects_is_the_networks_doing_and_not_the_users(rig: Rig, proxy: Proxy, moment: str) -> None:
    proxy.drop_replies(lambda request: HANDSHAKE[moment] in request)
    with closing(open_broker(proxy.url).producer()) as producer:
        with pytest.raises(BrokerUnavailable, match="the connection was lost"):
            producer.publish([Message(rig.requests, b"a")])
        assert proxy.dropped == 1
        producer.publish([Message(rig.requests, b"b")])
    assert values(rig.served(rig.consumer(), 1)) == ["b"]


@pytest.mark.parametrize(
    ("word", "kind", "told"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", UserMistake, "does not speak AMQP 0-9-1"),
        (b"AMQP\x00\x01\x00\x00", UserMistake, "does not speak AMQP 0-9-1"),
        (b"", BrokerUnavailable, "the connection was lost"),
        (b"\x01\x00", BrokerUnavailable, "the connection was lost"),
    ],
    ids=["HTTP", "AMQP 1.0", "nothing", "half a frame"],
)
def test_who_answers_in_another_tongue_is_told_from_who_hangs_up(word: bytes, kind: type[Exception], told: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            client, _ = listener.accept()
            with client:
                client.recv(8)
                client.sendall(word)

        url = f"amqp://127.0.0.1:{listener.getsockname()[1]}/"
        with running(answer), closing(open_broker(url).producer()) as producer, pytest.raises(kind, match=told):
            producer.publish([Message("p.e.requests", b"a")])


def test_a_producer_whose_connection_ended_by_a_defect_goes_on_with_another(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.publish("before")
    with monkeypatch.context() as broken:
        broken.setattr(Wire, "emit", _defect)
        with pytest.raises(Unavailable, match="a defect"):
            rig.publish("meanwhile")
    rig.publish("after")
    assert sorted(values(rig.served(rig.consumer(), 2))) == ["after", "before"]


def test_a_defect_while_it_connects_leaves_nobody_waiting(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Wire, "prepare", _defect)
    with closing(open_broker(url).producer()) as producer, pytest.raises(BrokerUnavailable, match="a defect"):
        producer.publish([Message("p.e.requests", b"a")])


def _defect(*_: object) -> None:
    raise ValueError("a defect")


def test_whoever_waits_for_the_topology_hears_at_once_that_the_connection_is_gone(url: str, proxy: Proxy) -> None:
    prefix = f"t{uuid.uuid4().hex[:8]}"
    asked = threading.Event()

    def sees_consume(request: bytes) -> bool:
        if b"\x00\x3c\x00\x14" in request:
            asked.set()
        return False

    def cut() -> None:
        assert asked.wait(PATIENCE)
        # By then it waits for the first message; cut any sooner, the test would only be easier to pass.
        after(0.2, proxy.cut)()

    with closing(pika.BlockingConnection(pika.URLParameters(url))) as connection:
        channel = connection.channel()
        # As an `ensure` that was killed leaves it: there, and without a word.
        channel.queue_declare(registry_name(prefix), durable=True, arguments={"x-queue-type": "stream"})
        proxy.drop_replies(sees_consume)
        lost = pytest.raises(BrokerUnavailable, match="the connection was lost")
        with closing(open_broker(proxy.url).admin()) as admin, running(cut), lost:
            admin.topics(prefix)
        channel.queue_delete(registry_name(prefix))


def test_cuts_that_a_process_outlives_charge_nobody_and_its_death_does(rig: Rig, proxy: Proxy) -> None:
    far = open_broker(proxy.url)
    subscription = Subscription(
        topics=(rig.retries, rig.requests, rig.bulk), member="m", group=rig.group, retry_topic=rig.retries
    )
    rig.publish("a")
    beside = rig.consumer()
    beside.settle(rig.polled(beside, 1), [Isolate()])
    beside.close()
    for _ in range(3):
        # As the loop does it: a new member after each loss.
        with closing(far.consumer(subscription)) as consumer:
            batch = rig.polled(consumer, 1)
            assert (batch[0].alone, batch[0].redeliveries) == (True, 0)
            proxy.cut()
            eventually(lambda consumer=consumer, batch=batch: not consumer.extend(batch), "it knows")  # type: ignore[misc]
            proxy.mend()
            assert consumer.settle(batch, [Done()]) == 1
    other_process = rig.consumer()
    assert rig.served(other_process, 1)[0].redeliveries == 3
