"""Topics, groups and lag."""

import threading
import time
from dataclasses import replace

import pytest
from tests.contract.brokers.conftest import (
    BULK,
    GROUP,
    HINTS,
    OTHER_GROUP,
    PREDICTIONS,
    REQUESTS,
    RETRIES,
    STORE,
    Rig,
    eventually,
    topology,
)

from predictq.brokers import Change, Done, Retry, open_broker
from predictq.errors import UserMistake
from predictq.topology import GroupSpec, TopicSpec, Topology


def test_ensure_creates_everything_once(url: str) -> None:
    broker = open_broker(url)
    admin = broker.admin()
    assert admin.topics() == {}
    changes = admin.ensure(topology())
    assert {change.action for change in changes} == {"create"}
    assert any(REQUESTS in change.what for change in changes)
    assert any(GROUP in change.what for change in changes)
    assert admin.topics() == {spec.name: spec.partitions for spec in topology().topics}
    assert admin.ensure(topology()) == []
    admin.close()
    broker.close()


def test_a_dry_run_tells_and_does_nothing(url: str) -> None:
    broker = open_broker(url)
    admin = broker.admin()
    planned = admin.ensure(topology(), dry_run=True)
    assert admin.topics() == {}
    assert admin.ensure(topology()) == planned
    admin.close()
    broker.close()


def test_many_may_ensure_at_once(url: str) -> None:
    broker = open_broker(url)
    done: list[int] = []
    start = threading.Barrier(4)

    def ensure() -> None:
        start.wait()
        admin = broker.admin()
        done.append(len(admin.ensure(topology())))
        admin.close()

    threads = [threading.Thread(target=ensure) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) == 4
    assert sorted(done)[:3] == [0, 0, 0]
    assert max(done) > 0
    broker.close()


def test_prune_removes_what_is_not_in_the_topology_under_its_prefix(rig: Rig) -> None:
    rig.admin.ensure(Topology("other", (TopicSpec("other.e.requests", 1, 60.0),), ()))
    rig.publish("x")
    spec = topology()
    smaller = Topology(
        "t",
        tuple(topic for topic in spec.topics if topic.name not in (BULK, RETRIES)),
        (GroupSpec(GROUP, (REQUESTS,)), *(group for group in spec.groups if group.name in (OTHER_GROUP, STORE))),
    )
    assert rig.admin.ensure(smaller) == []
    planned = rig.admin.ensure(smaller, prune=True, dry_run=True)
    changes = rig.admin.ensure(smaller, prune=True)
    assert changes == planned
    assert {change.action for change in changes} == {"delete"}
    assert Change("delete", f"topic {BULK}") in changes
    assert set(rig.admin.topics()) == {topic.name for topic in smaller.topics} | {"other.e.requests"}
    with pytest.raises(UserMistake):
        rig.lag(BULK)
    assert rig.lag(REQUESTS).ready == 1
    assert rig.admin.ensure(smaller, prune=True) == []


def test_a_pruned_topic_is_gone_for_a_producer_that_knew_it(rig: Rig) -> None:
    rig.publish("x", topic=HINTS)
    spec = topology()
    rig.admin.ensure(replace(spec, topics=tuple(t for t in spec.topics if t.name != HINTS)), prune=True)
    with pytest.raises(UserMistake, match="does not exist"):
        rig.publish("y", topic=HINTS)


def test_another_number_of_partitions_is_refused(rig: Rig) -> None:
    spec = topology()
    more = replace(spec, topics=tuple(replace(t, partitions=t.partitions + 1) for t in spec.topics))
    with pytest.raises(UserMistake, match="partitions"):
        rig.admin.ensure(more)
    assert rig.admin.ensure(spec) == []


def test_another_retention_is_taken_over(rig: Rig) -> None:
    changes = rig.admin.ensure(topology(retention_seconds=7.0))
    assert {change.action for change in changes} == {"change"}
    assert rig.admin.ensure(topology(retention_seconds=7.0)) == []


def test_the_lag_is_exact_at_every_step(rig: Rig) -> None:
    assert rig.lag() == replace(rig.lag(), ready=0, in_flight=0, oldest_published_at=None, members=0)
    before = time.time()
    rig.publish("a", "b", "c")
    consumer = rig.consumer()
    lag = rig.lag()
    assert (lag.ready, lag.in_flight) == (3, 0)
    assert lag.oldest_published_at is not None
    assert before - 1 <= lag.oldest_published_at <= time.time() + 1
    batch = consumer.poll(10, 1 << 20, 0.0)
    lag = rig.lag()
    assert (lag.ready, lag.in_flight, lag.members) == (0, 3, 1)
    assert lag.oldest_published_at is not None
    consumer.settle(batch, [Done(), Retry(60.0), Done()])
    assert (rig.lag().ready, rig.lag().in_flight, rig.lag().oldest_published_at) == (0, 0, None)
    delayed = rig.lag(RETRIES)
    assert (delayed.ready, delayed.in_flight) == (1, 0)
    assert delayed.oldest_published_at == pytest.approx(batch[1].published_at, abs=0.001)
    assert rig.lag(REQUESTS, OTHER_GROUP).ready == 3
    consumer.close()
    assert rig.lag().members == 0


def test_the_lag_of_an_unknown_topic_or_group_is_the_callers_mistake(rig: Rig) -> None:
    for topic, group in (("t.e.nowhere", GROUP), (REQUESTS, "t.e.nobody"), (PREDICTIONS, GROUP)):
        with pytest.raises(UserMistake, match="topics ensure"):
            rig.admin.lag(topic, group)


def test_a_broker_that_answers_is_healthy(rig: Rig) -> None:
    assert rig.admin.health().ok


def test_trimming_never_takes_what_a_group_has_not_settled(rig: Rig) -> None:
    rig.admin.ensure(topology(retention_seconds=0.0))
    consumer, other = rig.consumer(idle_seconds=1.2), rig.consumer(group=OTHER_GROUP)
    sent = [f"{i:03}" for i in range(200)]
    rig.publish(*sent[:100])
    rig.served(other, 30)
    rig.served(consumer, 100)
    rig.publish(*sent[100:])
    rig.served(consumer, 100)
    assert rig.nothing_for(consumer)
    assert rig.lag(REQUESTS, OTHER_GROUP).ready == 170
    assert len({record.value for record in rig.served(other, 170)}) == 170


def test_what_all_groups_have_settled_is_trimmed_after_its_retention(rig: Rig) -> None:
    rig.admin.ensure(topology(retention_seconds=0.0))
    consumer, other = rig.consumer(), rig.consumer(group=OTHER_GROUP)
    rig.publish(*["x"] * 100)
    rig.served(consumer, 100)
    rig.served(other, 100)
    spec = topology(retention_seconds=0.0)
    latecomer = f"{GROUP}-late"

    def all_gone() -> bool:
        rig.nothing_for(consumer)
        with_latecomer = (*spec.groups, GroupSpec(latecomer, (REQUESTS,), "beginning"))
        rig.admin.ensure(Topology(spec.prefix, spec.topics, with_latecomer))
        left = rig.lag(REQUESTS, latecomer).ready
        rig.admin.ensure(spec, prune=True)
        return left == 0

    eventually(all_gone, "settled records are deleted")
