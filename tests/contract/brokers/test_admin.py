"""Topics, groups and lag."""

import threading
import time
from dataclasses import replace

import pytest
from tests.beside import running
from tests.contract.brokers.conftest import Rig, eventually

from predictq.brokers import Change, Done, Lag, Retry
from predictq.errors import UserMistake
from predictq.topology import GroupSpec, TopicSpec, Topology


@pytest.fixture
def empty(rig: Rig) -> Rig:
    """A broker on which nothing is left of the rig's own topics and groups."""
    rig.admin.ensure(Topology(rig.prefix, (), ()), prune=True)
    return rig


def test_ensure_creates_everything_once(empty: Rig) -> None:
    spec = empty.topology()
    assert empty.admin.topics(empty.prefix) == {}
    changes = empty.admin.ensure(spec)
    assert {change.action for change in changes} == {"create"}
    assert any(empty.requests in change.what for change in changes)
    assert any(empty.group in change.what for change in changes)
    assert empty.admin.topics(empty.prefix) == {topic.name: topic.partitions for topic in spec.topics}
    assert empty.admin.ensure(spec) == []


def test_a_dry_run_tells_and_does_nothing(empty: Rig) -> None:
    planned = empty.admin.ensure(empty.topology(), dry_run=True)
    assert empty.admin.topics(empty.prefix) == {}
    assert empty.admin.ensure(empty.topology()) == planned


def test_many_may_ensure_at_once(empty: Rig) -> None:
    done: list[int] = []
    start = threading.Barrier(4)

    def ensure() -> None:
        start.wait()
        admin = empty.broker.admin()
        done.append(len(admin.ensure(empty.topology())))
        admin.close()

    with running(*[ensure] * 4):
        pass
    assert len(done) == 4
    assert max(done) > 0
    assert empty.admin.ensure(empty.topology()) == []


def test_prune_removes_what_is_not_in_the_topology_under_its_prefix(rig: Rig) -> None:
    other = f"{rig.prefix}other"
    rig.admin.ensure(Topology(other, (TopicSpec(f"{other}.e.requests", 1, 60.0),), ()))
    rig.publish("x")
    spec = rig.topology()
    smaller = Topology(
        rig.prefix,
        tuple(topic for topic in spec.topics if topic.name not in (rig.bulk, rig.retries)),
        (
            GroupSpec(rig.group, (rig.requests,)),
            *(group for group in spec.groups if group.name in (rig.other_group, rig.store)),
        ),
    )
    assert rig.admin.ensure(smaller) == []
    planned = rig.admin.ensure(smaller, prune=True, dry_run=True)
    changes = rig.admin.ensure(smaller, prune=True)
    assert changes == planned
    assert {change.action for change in changes} == {"delete"}
    assert Change("delete", f"topic {rig.bulk}") in changes
    assert set(rig.admin.topics(rig.prefix)) == {topic.name for topic in smaller.topics}
    assert set(rig.admin.topics(other)) == {f"{other}.e.requests"}
    with pytest.raises(UserMistake):
        rig.lag(rig.bulk)
    assert rig.lag(rig.requests).ready == 1
    assert rig.admin.ensure(smaller, prune=True) == []
    rig.admin.ensure(Topology(other, (), ()), prune=True)


def test_a_pruned_topic_is_gone_for_a_producer_that_knew_it(rig: Rig) -> None:
    rig.publish("x", topic=rig.hints)
    spec = rig.topology()
    rig.admin.ensure(replace(spec, topics=tuple(t for t in spec.topics if t.name != rig.hints)), prune=True)
    with pytest.raises(UserMistake, match="does not exist"):
        rig.publish("y", topic=rig.hints)


def test_another_number_of_partitions_is_refused(rig: Rig) -> None:
    spec = rig.topology()
    more = replace(spec, topics=tuple(replace(t, partitions=t.partitions + 1) for t in spec.topics))
    with pytest.raises(UserMistake, match="partitions"):
        rig.admin.ensure(more)
    assert rig.admin.ensure(spec) == []


def test_another_retention_is_taken_over(rig: Rig) -> None:
    changed = rig.topology(retention_seconds=100.0, unsettled_seconds=1000.0)
    changes = rig.admin.ensure(changed)
    assert {change.action for change in changes} == ({"change"} if rig.guarantees.retention != "none" else set())
    assert rig.admin.ensure(changed) == []


def told(rig: Rig, lag: Lag) -> Lag:
    """The lag as far as this broker can tell it."""
    if rig.guarantees.exact_lag:
        return lag
    return replace(lag, in_flight=None, oldest_published_at=None)


def test_the_lag_before_anybody_reads(rig: Rig) -> None:
    assert rig.lag() == told(rig, Lag(ready=0, in_flight=0, oldest_published_at=None, members=0))
    before = time.time()
    rig.publish("a", "b", "c")
    lag = rig.lag()
    assert lag == told(rig, replace(lag, ready=3, in_flight=0, members=0))
    if rig.guarantees.exact_lag:
        assert lag.oldest_published_at is not None
        assert before - 1 <= lag.oldest_published_at <= time.time() + 1
    assert rig.lag(rig.requests, rig.other_group).ready == 3


def test_the_lag_at_every_step(rig: Rig) -> None:
    rig.publish("a", "b", "c")
    consumer = rig.consumer()
    batch = rig.polled(consumer, 3)
    lag = rig.lag()
    assert lag == told(rig, replace(lag, ready=0, in_flight=3, members=1))
    assert (lag.oldest_published_at is not None) == rig.guarantees.exact_lag
    consumer.settle(batch, [Done(), Retry(60.0), Done()])
    assert rig.lag() == told(rig, Lag(ready=0, in_flight=0, oldest_published_at=None, members=1))
    delayed = rig.lag(rig.retries)
    assert delayed == told(rig, replace(delayed, ready=1, in_flight=0))
    if rig.guarantees.exact_lag:
        assert delayed.oldest_published_at == pytest.approx(batch[1].published_at, abs=0.001)
    assert rig.lag(rig.requests, rig.other_group).ready == 3
    consumer.close()
    assert rig.lag().members == 0


def test_the_lags_of_several_topics_are_those_of_each(rig: Rig) -> None:
    rig.publish("1", "2", "3")
    rig.publish("4", topic=rig.bulk)
    topics = [rig.bulk, rig.retries, rig.requests]
    lags = rig.admin.lags(topics, rig.group)
    assert [lag.ready for lag in lags] == [1, 0, 3]
    assert lags == [rig.lag(topic) for topic in topics]
    with pytest.raises(UserMistake, match="topics ensure"):
        rig.admin.lags([rig.requests, rig.nowhere], rig.group)


def test_the_age_of_the_oldest_goes_on_with_what_is_settled(rig: Rig) -> None:
    if not rig.guarantees.exact_lag:
        pytest.skip("this broker cannot tell the age of what waits")
    consumer = rig.consumer()
    oldest = []
    for text in ("1", "2", "3"):
        rig.publish(text, key="k")
        time.sleep(0.02)
    while (published_at := rig.lag().oldest_published_at) is not None:
        oldest.append(published_at)
        rig.served(consumer, 1)
    assert len(oldest) == 3
    assert oldest == sorted(set(oldest))


def test_the_lag_of_an_unknown_topic_or_group_is_the_callers_mistake(rig: Rig) -> None:
    for topic, group in (
        (rig.nowhere, rig.group),
        (rig.requests, f"{rig.prefix}.e.nobody"),
        (rig.predictions, rig.group),
    ):
        with pytest.raises(UserMistake, match="topics ensure"):
            rig.admin.lag(topic, group)


def test_a_broker_that_answers_is_healthy(rig: Rig) -> None:
    assert rig.admin.health().ok


def test_trimming_never_takes_what_a_group_has_not_settled(rig: Rig) -> None:
    rig.admin.ensure(rig.topology(retention_seconds=0.0))
    consumer, other = rig.consumer(idle_seconds=1.2), rig.consumer(group=rig.other_group)
    sent = [f"{i:03}" for i in range(200)]
    rig.publish(*sent[:100])
    rig.served(other, 30)
    rig.served(consumer, 100)
    rig.publish(*sent[100:])
    rig.served(consumer, 100)
    assert rig.nothing_for(consumer)
    lag = rig.lag(rig.requests, rig.other_group)
    waiting = lag.ready + (lag.in_flight or 0)
    assert waiting == 170 or (waiting < 170 and not rig.guarantees.exact_lag)
    assert len({record.value for record in rig.served(other, 170)}) == 170


def test_what_all_groups_have_settled_is_trimmed_after_its_retention(rig: Rig) -> None:
    if rig.guarantees.retention != "settled":
        pytest.skip(f"retention is {rig.guarantees.retention!r}")
    rig.admin.ensure(rig.topology(retention_seconds=0.0))
    consumer, other = rig.consumer(), rig.consumer(group=rig.other_group)
    rig.publish(*["x"] * 100)
    rig.served(consumer, 100)
    rig.served(other, 100)
    spec = rig.topology(retention_seconds=0.0)
    latecomer = f"{rig.group}-late"

    def all_gone() -> bool:
        rig.nothing_for(consumer)
        with_latecomer = (*spec.groups, GroupSpec(latecomer, (rig.requests,), "beginning"))
        rig.admin.ensure(Topology(spec.prefix, spec.topics, with_latecomer))
        left = rig.lag(rig.requests, latecomer).ready
        rig.admin.ensure(spec, prune=True)
        return left == 0

    eventually(all_gone, "settled records are deleted")
