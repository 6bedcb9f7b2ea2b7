"""Who may enter RabbitMQ, what must be there, and what is told where it is not."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pika
import pytest
from tests.contract.brokers.conftest import Rig, eventually, values
from tests.servers.ports import free_port
from tests.servers.rabbitmq_server import RabbitmqServer

from predictq.brokers import Message, open_broker
from predictq.errors import UserMistake
from predictq.topology import GroupSpec, Topology


@contextmanager
def channel_on(url: str) -> Iterator[Any]:
    """What somebody else does with the server."""
    connection = pika.BlockingConnection(pika.URLParameters(url.partition("?")[0]))
    yield connection.channel()
    connection.close()


def with_user(url: str, user: str, path: str = "/") -> str:
    return f"amqp://{user}@{url.rpartition('@')[2].partition('/')[0]}{path}"


def test_a_wrong_password_is_the_users_mistake_and_never_shown(url: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    admin = open_broker(with_user(url, "guest:hunter%402")).admin()
    with pytest.raises(UserMistake, match="user or the password is wrong") as caught:
        admin.health()
    assert "\n" not in str(caught.value)
    assert "hunter" not in str(caught.value) + caplog.text
    admin.close()


def test_what_is_logged_of_a_connection_shows_no_password(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    password = rig.url.rpartition("@")[0].rpartition(":")[2]
    producer = open_broker(rig.url).producer()
    producer.publish([Message(rig.requests, b"x")])
    producer.close()
    assert f"{password}@" not in caplog.text
    assert f":{password}" not in caplog.text
    assert "password" not in caplog.text.lower()


def test_a_virtual_host_that_is_not_there_is_the_users_mistake(url: str) -> None:
    user = url.rpartition("@")[0].removeprefix("amqp://")
    admin = open_broker(with_user(url, user, "/nowhere")).admin()
    with pytest.raises(UserMistake, match="virtual host does not exist"):
        admin.health()


def test_a_host_that_is_not_there_is_told(url: str) -> None:
    admin = open_broker(f"amqp://guest:guest@127.0.0.1:{free_port()}/").admin()
    health = admin.health()
    assert not health.ok
    assert "nothing listens there" in health.detail


def test_of_several_hosts_the_first_that_answers_is_taken(rig: Rig) -> None:
    user, _, host = rig.url.partition("?")[0].rpartition("/")[0].removeprefix("amqp://").rpartition("@")
    producer = open_broker(f"amqp://{user}@127.0.0.1:{free_port()},{host}/").producer()
    producer.publish([Message(rig.requests, b"x")])
    producer.close()
    assert rig.lag().ready == 1


def test_a_missing_permission_is_told_with_what_it_is_for(own: Rig, own_server: RabbitmqServer) -> None:
    own_server.ctl("add_user", "reader", "secret")
    own_server.ctl("set_permissions", "reader", "", "", ".*")
    producer = open_broker(with_user(own_server.url, "reader:secret")).producer()
    with pytest.raises(UserMistake, match="lacks a permission"):
        producer.publish([Message(own.requests, b"x")])
    producer.close()
    admin = open_broker(with_user(own_server.url, "reader:secret")).admin()
    with pytest.raises(UserMistake, match="lacks a permission"):
        admin.ensure(Topology("other", (), ()))
    admin.close()


def test_a_queue_with_other_arguments_is_told_by_its_name(rig: Rig) -> None:
    late = GroupSpec(f"{rig.prefix}.e.late", (rig.requests,))
    spec = rig.topology()
    with channel_on(rig.url) as channel:
        channel.queue_declare(f"{rig.requests}.e.late", durable=True, arguments={"x-queue-type": "classic"})
        with pytest.raises(UserMistake, match=rf"{rig.requests}\.e\.late was declared with another x-queue-type"):
            rig.admin.ensure(replace(spec, groups=(*spec.groups, late)))
        channel.queue_delete(f"{rig.requests}.e.late")
    assert rig.admin.ensure(spec) == []


def test_ensure_mends_what_somebody_deleted(rig: Rig) -> None:
    queue = f"{rig.requests}.e.a"
    with channel_on(rig.url) as channel:
        channel.queue_delete(queue)
        [change] = rig.admin.ensure(rig.topology(), dry_run=True)
        assert queue in change.what
        assert rig.admin.ensure(rig.topology()) == [change]
    rig.publish("x")
    assert values(rig.served(rig.consumer(), 1)) == ["x"]


def test_what_reaches_no_queue_of_a_group_is_refused(rig: Rig) -> None:
    rig.publish("x")
    with channel_on(rig.url) as channel:
        channel.queue_delete(f"{rig.predictions}.sync.predictions")
    with pytest.raises(UserMistake, match=rf"{rig.predictions} are unroutable.*topics ensure"):
        rig.publish("lost?", topic=rig.predictions)
    rig.admin.ensure(rig.topology())
    rig.publish("kept", topic=rig.predictions)
    assert values(rig.served(rig.consumer(group=rig.store), 1)) == ["kept"]


def test_a_queue_that_is_deleted_under_its_reader_ends_it(rig: Rig) -> None:
    consumer = rig.consumer()
    rig.nothing_for(consumer)
    with channel_on(rig.url) as channel:
        channel.queue_delete(f"{rig.requests}.e.a")
    with pytest.raises(UserMistake, match="topics ensure"):
        eventually(lambda: not rig.nothing_for(consumer), "the poll raises")


def test_a_foreign_message_is_read_with_what_it_has(rig: Rig) -> None:
    properties = pika.BasicProperties(message_id="own-1", headers={"source": "shop", "n": 3, "list": [1]}, timestamp=7)
    with channel_on(rig.url) as channel:
        channel.confirm_delivery()
        channel.basic_publish(rig.requests, "orders", b"{}", properties, mandatory=True)
        channel.basic_publish(rig.requests, "orders", b"{}", mandatory=True)
    named, unnamed = rig.served(rig.consumer(), 2)
    assert (named.value, named.key, named.partition, named.position) == (b"{}", None, 0, "own-1")
    assert dict(named.headers) == {"source": "shop", "n": "3"}
    assert named.published_at == 7
    assert unnamed.position
