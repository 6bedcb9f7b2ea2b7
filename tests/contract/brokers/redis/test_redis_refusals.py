"""What cannot work on Redis is told at the first call, with what would be right."""

import logging
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import redis
from tests.contract.brokers.conftest import Rig, eventually, values
from tests.servers.finding import private_server
from tests.servers.ports import free_port
from tests.servers.redis_server import RedisServer

from predictq.brokers import (
    Done,
    Message,
    Retry,
    Subscription,
    open_broker,
)
from predictq.brokers.redis.keys import settled_key, stream_key
from predictq.errors import BrokerUnavailable, PredictqError, UserMistake
from predictq.topology import Topology


def problem_of(url: str) -> PredictqError:
    """What publishing there says."""
    broker = open_broker(url)
    with pytest.raises(PredictqError) as caught:
        broker.producer().publish([Message("p.e.requests", b"x")])
    assert "\n" not in str(caught.value)
    return caught.value


def test_nobody_listens() -> None:
    error = problem_of(f"redis://:secret@127.0.0.1:{free_port()}/0")
    assert isinstance(error, BrokerUnavailable)
    assert "cannot be reached" in str(error)
    assert "secret" not in str(error)


def test_a_host_that_does_not_exist() -> None:
    error = problem_of("redis://:secret@nowhere.invalid:6379/0")
    assert isinstance(error, BrokerUnavailable)
    assert "redis://nowhere.invalid:6379/0" in str(error)


def test_a_wrong_password_and_none(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with private_server(RedisServer, {"requirepass": "right"}) as server:
        for user_info in ("", ":wrongsecret@", "me:wrongsecret@"):
            error = problem_of(f"redis://{user_info}127.0.0.1:{server.port}/0")
            assert isinstance(error, UserMistake)
            assert "redis://user:password@host" in str(error)
            assert "secret" not in str(error)
        admin = open_broker(server.url).admin()
        health = admin.health()
        admin.close()
    assert health.ok
    assert "right" not in health.detail
    assert "secret" not in caplog.text
    assert "right" not in caplog.text


def test_a_missing_permission_is_named(own: Rig) -> None:
    root = redis.Redis.from_url(own.url)
    root.acl_setuser("meek", enabled=True, passwords=["+pw"], keys=["*"], commands=["+@all", "-xadd"])
    meek = own.url.replace("redis://", "redis://meek:pw@")
    producer = open_broker(meek).producer()
    with pytest.raises(UserMistake, match=r"lacks a permission.*XADD"):
        producer.publish([Message(own.requests, b"x")])
    producer.close()
    root.acl_setuser("meek", enabled=True, passwords=["+pw"], keys=["*"], commands=["+@all", "-evalsha"])
    consumer = open_broker(meek).consumer(Subscription(topics=(own.requests,), member="m", group=own.group))
    with pytest.raises(UserMistake, match=r"lacks a permission.*evalsha"):
        consumer.poll(1, 1, 0.0)
    consumer.close()
    root.acl_deluser("meek")
    root.close()


def test_a_database_that_the_server_does_not_have(server: RedisServer) -> None:
    error = problem_of(f"redis://127.0.0.1:{server.port}/99")
    assert isinstance(error, UserMistake)
    assert "no database of this number" in str(error)


def test_a_server_that_evicts_is_refused() -> None:
    with private_server(RedisServer, {"maxmemory-policy": "allkeys-lru"}) as server:
        error = problem_of(server.url)
        assert isinstance(error, UserMistake)
        assert "maxmemory-policy is allkeys-lru" in str(error)
        assert "noeviction" in str(error)


def test_a_cluster_is_refused_and_our_keys_would_suit_it() -> None:
    with private_server(RedisServer, {"cluster-enabled": "yes"}) as server:
        error = problem_of(server.url)
        with redis.Redis.from_url(server.url) as client:
            keys = [stream_key(f"p.e.{what}", 3) for what in ("requests", "predictions", "retries.a", "dead-letters")]
            keys += [settled_key(keys[0], "p.e.a", "m"), f"{keys[0]}:lease:p.e.a", f"{keys[0]}:due"]
            slots = {client.execute_command("CLUSTER", "KEYSLOT", key) for key in keys}
            others = {client.execute_command("CLUSTER", "KEYSLOT", stream_key("p.e.requests", i)) for i in range(8)}
    assert isinstance(error, UserMistake)
    assert "Cluster" in str(error)
    assert len(slots) == 1
    assert len(others) == 8


def test_a_connection_by_tls_checks_whom_it_speaks_to(tmp_path: Path) -> None:
    certificate, key, port = tmp_path / "cert.pem", tmp_path / "key.pem", free_port()
    words = "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=redis -addext subjectAltName=IP:127.0.0.1"
    subprocess.run([*words.split(), "-keyout", key, "-out", certificate], check=True, capture_output=True)
    files = {"tls-cert-file": str(certificate), "tls-key-file": str(key), "tls-ca-cert-file": str(certificate)}
    with private_server(RedisServer, {"tls-port": str(port), "tls-auth-clients": "no", **files}):
        error = problem_of(f"rediss://127.0.0.1:{port}/0")
        assert isinstance(error, UserMistake)
        assert "tls_ca_file" in str(error)
        rig = Rig(f"rediss://127.0.0.1:{port}/0?tls_ca_file={certificate}")
        rig.publish("a")
        assert values(rig.served(rig.consumer(), 1)) == ["a"]
        rig.close()


def test_a_replica_is_not_healthy(own: Rig) -> None:
    with private_server(
        RedisServer, {"replicaof": f"127.0.0.1 {own.url.rpartition(':')[2].partition('/')[0]}"}
    ) as server:
        admin = open_broker(server.url).admin()
        assert not admin.health().ok
        eventually(lambda: admin.topics(own.prefix) != {}, "the replica has followed")
        with pytest.raises(BrokerUnavailable, match="name the primary"):
            admin.ensure(Topology(f"{own.prefix}x", own.topology().topics, ()))
        admin.close()


def test_a_server_without_an_append_only_file_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    with private_server(RedisServer, {"appendonly": "no"}) as server:
        rig = Rig(server.url)
        rig.close()
    assert "appendonly yes" in caplog.text


def test_memory_that_is_full_refuses_what_is_new_and_lets_go_of_what_is_done(own: Rig) -> None:
    consumer = own.consumer()
    own.publish("a", "b")
    batch = own.polled(consumer, 2)
    with redis.Redis.from_url(own.url) as client:
        client.config_set("maxmemory", "1mb")
        try:
            with pytest.raises(BrokerUnavailable, match="maxmemory"):
                own.publish("x")
            with pytest.raises(BrokerUnavailable, match="maxmemory"):
                consumer.settle(batch, [Done((own.output("y"),))] * 2)
            assert own.left() == 2
            assert consumer.settle(batch, [Done()] * 2) == 0
        finally:
            client.config_set("maxmemory", "0")
    assert own.left() == 0
    own.publish("again")
    assert values(own.served(consumer, 1)) == ["again"]


def test_publishing_waits_above_the_bound_of_a_partition(redis_url: str) -> None:
    rig = Rig(f"{redis_url}?max_length=3")
    rig.publish("a", "b", "c", topic=rig.dead_letters)
    with pytest.raises(BrokerUnavailable, match=r"dead-letters holds `max_length` = 3"):
        rig.publish("d", topic=rig.dead_letters)
    assert rig.lag(rig.dead_letters, rig.keeper).ready == 3
    rig.close()


def test_groups_that_were_removed_under_a_consumer(rig: Rig) -> None:
    consumer = rig.consumer()
    rig.nothing_for(consumer)
    rig.admin.ensure(Topology(rig.prefix, (), ()), prune=True)
    with pytest.raises(UserMistake, match="topics ensure"):
        rig.nothing_for(consumer)


def test_a_retry_for_a_topic_that_was_removed_settles_nothing(rig: Rig) -> None:
    consumer = rig.consumer()
    rig.publish("a")
    batch = rig.polled(consumer, 1)
    spec = rig.topology()
    without = tuple(topic for topic in spec.topics if topic.name != rig.retries)
    groups = tuple(replace(g, topics=tuple(t for t in g.topics if t != rig.retries)) for g in spec.groups)
    consumer.settle(batch, [Retry(60.0)])
    rig.publish("b")
    batch = rig.polled(consumer, 1)
    rig.admin.ensure(Topology(rig.prefix, without, groups), prune=True)
    with pytest.raises(UserMistake, match="topics ensure"):
        consumer.settle(batch, [Retry(60.0)])
    assert rig.lag().in_flight == 1


def test_what_was_deleted_by_hand_is_made_again(rig: Rig) -> None:
    with redis.Redis.from_url(rig.url) as client:
        client.delete(stream_key(rig.requests, 0), stream_key(rig.requests, 1))
        client.xgroup_destroy(stream_key(rig.requests, 2), rig.group)
    with pytest.raises(UserMistake, match="topics ensure"):
        rig.publish(*["x"] * 100)
    with pytest.raises(UserMistake, match="topics ensure"):
        rig.nothing_for(rig.consumer())
    rig.admin.ensure(rig.topology())
    rig.publish(*["x"] * 100)
    assert len(rig.served(rig.consumer(), 100)) == 100


def test_no_error_shows_a_password(server: RedisServer) -> None:
    broker = open_broker(f"redis://me:verysecret@127.0.0.1:{server.port}/0")
    texts = [repr(broker), repr(vars(broker))]
    for ask in (
        lambda: broker.producer().publish([Message("p.e.requests", b"x")]),
        lambda: broker.admin().topics("p"),
        lambda: broker.consumer(Subscription(topics=("p.e.requests",), member="m", group="p.e.a")).poll(1, 1, 0.0),
    ):
        with pytest.raises(UserMistake) as caught:
            ask()
        texts.append(str(caught.value))
    assert not any(re.search("verysecret", text) for text in texts)
