"""What every test of the port gets: a fresh place on each broker, with topics and groups in it."""

import itertools
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.places import remove_all

from predictq.brokers import (
    Batch,
    Broker,
    Consumer,
    Done,
    Lag,
    Message,
    Record,
    Subscription,
    Verdict,
    open_broker,
)
from predictq.names import Names
from predictq.topology import GroupSpec, TopicSpec, Topology

PATIENCE = 10.0
"""Seconds until something that must happen is given up."""

EMBEDDED = ("sqlite", "memory")
BROKERS = (*EMBEDDED, "amqp", "redis", "kafka", "confluent")
"""What the whole suite runs on."""


class Rig:
    """A broker in use, under a prefix of its own: opens producers and consumers, and closes them all.

    Four partitions of requests, read by two groups; everything that one endpoint needs beside them.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.prefix = f"t{uuid.uuid4().hex[:8]}"
        names = Names(self.prefix)
        self.requests = names.requests("e")
        self.bulk = names.bulk("e")
        self.retries = names.retries("e", "a")
        self.predictions = names.predictions("e")
        self.dead_letters = names.dead_letters("e")
        self.hints = names.commits
        self.nowhere = f"{self.prefix}.e.nowhere"
        self.group = names.workers("e", "a")
        self.other_group = names.workers("e", "b")
        self.store = names.store_group
        self.keeper = names.dead_letters_group
        self.broker: Broker = open_broker(url)
        self.guarantees = self.broker.guarantees
        self.admin = self.broker.admin()
        self.admin.ensure(self.topology())
        self.producer = self.broker.producer()
        self._idle_seconds = 0.05 if url.startswith(EMBEDDED) else 0.5
        self._members = itertools.count(1)
        self._closing = ExitStack()
        for close in (self.broker.close, self.admin.close, self._remove, self.producer.close):
            self._closing.callback(close)

    def topology(self, retention_seconds: float = 3600.0, unsettled_seconds: float = 86_400.0) -> Topology:
        """What there is under the prefix."""
        partitions = {
            self.requests: 4,
            self.bulk: 2,
            self.retries: 2,
            self.predictions: 2,
            self.dead_letters: 1,
            self.hints: 1,
        }
        return Topology(
            self.prefix,
            tuple(TopicSpec(name, count, retention_seconds, unsettled_seconds) for name, count in partitions.items()),
            (
                GroupSpec(self.group, (self.retries, self.requests, self.bulk)),
                GroupSpec(self.other_group, (self.requests,)),
                GroupSpec(self.store, (self.predictions,)),
                GroupSpec(self.keeper, (self.dead_letters,)),
            ),
        )

    def consumer(
        self,
        *topics: str,
        group: str | None = "",
        claim_seconds: float = 10.0,
        idle_seconds: float | None = None,
    ) -> Consumer:
        """A new member, of the deployment's group unless said otherwise; it reads all that its group reads."""
        group = self.group if group == "" else group
        if not topics:
            reads = {spec.name: spec.topics for spec in self.topology().groups}
            topics = reads.get(group or "", (self.requests,))
        consumer = self.broker.consumer(
            Subscription(
                topics=topics,
                member=f"member-{next(self._members)}",
                group=group,
                retry_topic=self.retries if self.retries in topics else None,
                claim_seconds=claim_seconds,
                idle_seconds=self._idle_seconds if idle_seconds is None else idle_seconds,
            )
        )
        self._closing.callback(consumer.close)
        return consumer

    def publish(self, *values: str, topic: str = "", key: str | None = None) -> None:
        """One message for each value, in one call; requests unless said otherwise."""
        packed = None if key is None else key.encode()
        self.producer.publish([Message(topic or self.requests, value.encode(), packed) for value in values])

    def output(self, text: str) -> Message:
        """A prediction."""
        return Message(self.predictions, text.encode())

    def served(self, consumer: Consumer, count: int, judge: Callable[[Record], Verdict] | None = None) -> list[Record]:
        """`count` records, polled one batch after the other and settled as `judge` says (else done), in order."""
        records: list[Record] = []
        deadline = time.monotonic() + PATIENCE
        while len(records) < count:
            batch = consumer.poll(count - len(records), 1 << 30, 0.0)
            if batch:
                verdicts = [judge(record) for record in batch] if judge else [Done()] * len(batch)
                assert consumer.settle(batch, verdicts) == 0
                records += batch
            assert time.monotonic() < deadline, f"{len(records)} of {count} records came"
        return records

    def polled(self, consumer: Consumer, count: int) -> Batch:
        """The next `count` records in one batch."""
        deadline = time.monotonic() + PATIENCE
        while not (batch := consumer.poll(count, 1 << 30, PATIENCE)):
            assert time.monotonic() < deadline, "nothing came"
        assert len(batch) == count
        return batch

    def nothing_for(self, consumer: Consumer) -> bool:
        """Whether a poll, waiting its idle time, brings nothing."""
        return len(consumer.poll(1000, 1 << 30, 0.0)) == 0

    def lag(self, topic: str = "", group: str = "") -> Lag:
        """The group's lag on the topic; the deployment's on requests unless said otherwise."""
        return self.admin.lag(topic or self.requests, group or self.group)

    def left(self, group: str = "") -> int:
        """Unsettled messages of the group on all its topics, as far as the broker can tell."""
        [topics] = [spec.topics for spec in self.topology().groups if spec.name == (group or self.group)]
        lags = [self.lag(topic, group) for topic in topics]
        return sum(lag.ready + (lag.in_flight or 0) for lag in lags)

    def in_flight(self, count: int) -> bool:
        """Whether so many requests are handed out, where the broker can tell."""
        return self.lag().in_flight == (count if self.guarantees.exact_lag else None)

    def close(self) -> None:
        """Close everything, the broker last, and leave nothing on it."""
        self._closing.close()

    def _remove(self) -> None:
        if not self.url.startswith(EMBEDDED):
            # A member that was about to join when it was closed may still be counted for a moment.
            remove_all(self.admin, self.prefix)


def values(records: Sequence[Record]) -> list[str]:
    """The records' values as text."""
    return [record.value.decode() for record in records]


def eventually(condition: Callable[[], bool], what: str) -> None:
    """Wait until the condition holds."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"waited {PATIENCE} s in vain: {what}"
        time.sleep(0.005)


@pytest.fixture(params=BROKERS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A broker; the embedded ones are new, a server is shared by all tests."""
    embedded = {"sqlite": f"sqlite:///{tmp_path}/broker.db", "memory": f"memory://{uuid.uuid4().hex}"}
    url: str = embedded.get(request.param) or request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
def confluent_url(kafka_url: str) -> str:
    """The same Kafka by the other driver."""
    return kafka_url.replace("kafka://", "kafka+confluent://")


@pytest.fixture
def rig(url: str) -> Iterator[Rig]:
    """A broker with topics and groups, for one test."""
    rig = Rig(url)
    yield rig
    rig.close()
