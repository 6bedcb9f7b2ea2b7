"""What every test of the port gets: a fresh place on each broker, with topics and groups in it."""

import itertools
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from predictq.brokers import Broker, Consumer, Done, Lag, Message, Record, Subscription, Verdict, open_broker
from predictq.topology import GroupSpec, TopicSpec, Topology

PATIENCE = 10.0
"""Seconds until something that must happen is given up."""

REQUESTS = "t.e.requests"
BULK = "t.e.bulk"
RETRIES = "t.e.retries.a"
PREDICTIONS = "t.e.predictions"
DEAD_LETTERS = "t.e.dead-letters"
HINTS = "t.commits"

GROUP = "t.e.a"
OTHER_GROUP = "t.e.b"
STORE = "t.sync.predictions"
KEEPER = "t.sync.dead-letters"


def topology(retention_seconds: float = 3600.0) -> Topology:
    """Four partitions of requests, read by two groups; everything that one endpoint needs beside them."""
    partitions = {REQUESTS: 4, BULK: 2, RETRIES: 2, PREDICTIONS: 2, DEAD_LETTERS: 1, HINTS: 1}
    return Topology(
        "t",
        tuple(TopicSpec(name, count, retention_seconds) for name, count in partitions.items()),
        (
            GroupSpec(GROUP, (RETRIES, REQUESTS, BULK)),
            GroupSpec(OTHER_GROUP, (REQUESTS,)),
            GroupSpec(STORE, (PREDICTIONS,)),
            GroupSpec(KEEPER, (DEAD_LETTERS,)),
        ),
    )


class Rig:
    """A broker in use: opens producers and consumers, and closes them all."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.broker: Broker = open_broker(url)
        self.admin = self.broker.admin()
        self.admin.ensure(topology())
        self.producer = self.broker.producer()
        self._members = itertools.count(1)
        self._closing: list[Callable[[], None]] = [self.broker.close, self.admin.close, self.producer.close]

    def consumer(
        self,
        *topics: str,
        group: str | None = GROUP,
        claim_seconds: float = 10.0,
        idle_seconds: float = 0.05,
    ) -> Consumer:
        """A new member; for the group of the deployment it reads all that the deployment reads."""
        if not topics:
            topics = {GROUP: (RETRIES, REQUESTS, BULK), STORE: (PREDICTIONS,), KEEPER: (DEAD_LETTERS,)}.get(
                group or "", (REQUESTS,)
            )
        consumer = self.broker.consumer(
            Subscription(
                topics=topics,
                member=f"member-{next(self._members)}",
                group=group,
                retry_topic=RETRIES if RETRIES in topics else None,
                claim_seconds=claim_seconds,
                idle_seconds=idle_seconds,
            )
        )
        self._closing.append(consumer.close)
        return consumer

    def publish(self, *values: str, topic: str = REQUESTS, key: str | None = None) -> None:
        """One message for each value, in one call."""
        packed = None if key is None else key.encode()
        self.producer.publish([Message(topic, value.encode(), packed) for value in values])

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

    def nothing_for(self, consumer: Consumer) -> bool:
        """Whether a poll, waiting its idle time, brings nothing."""
        return len(consumer.poll(1000, 1 << 30, 0.0)) == 0

    def lag(self, topic: str = REQUESTS, group: str = GROUP) -> Lag:
        """The group's lag on the topic."""
        return self.admin.lag(topic, group)

    def left(self, group: str = GROUP) -> int:
        """Unsettled messages of the deployment's group on all its topics."""
        lags = [self.lag(topic, group) for topic in (RETRIES, REQUESTS, BULK)]
        return sum(lag.ready + lag.in_flight for lag in lags)

    def close(self) -> None:
        """Close everything, the broker last."""
        while self._closing:
            self._closing.pop()()


def values(records: Sequence[Record]) -> list[str]:
    """The records' values as text."""
    return [record.value.decode() for record in records]


def eventually(condition: Callable[[], bool], what: str) -> None:
    """Wait until the condition holds."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"waited {PATIENCE} s in vain: {what}"
        time.sleep(0.005)


@pytest.fixture(params=["sqlite", "memory"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A place that nothing has been in."""
    return {"sqlite": f"sqlite:///{tmp_path}/broker.db", "memory": f"memory://{uuid.uuid4().hex}"}[request.param]


@pytest.fixture
def rig(url: str) -> Iterator[Rig]:
    """A broker with topics and groups, for one test."""
    rig = Rig(url)
    yield rig
    rig.close()
