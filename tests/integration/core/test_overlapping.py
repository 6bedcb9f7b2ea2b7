"""The loop where two batches may be in hand: one is settled while the next is handled, unless that is risky."""

import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

import pytest
from tests.conftest import eventually

from predictq.brokers import Batch, Broker, Consumer, Done, Message, Record, Subscription, Verdict, open_broker
from predictq.loop import Limits, Loop, Outcome, Stop
from predictq.names import Names
from predictq.topology import GroupSpec, TopicSpec, Topology

NAMES = Names(f"o{uuid.uuid4().hex[:8]}")
WORK, RETRIES, OUT, DEAD = NAMES.requests("e"), NAMES.retries("e", "d"), NAMES.predictions("e"), NAMES.dead_letters("e")
GROUP = NAMES.workers("e", "d")
TOPOLOGY = Topology(
    NAMES.prefix,
    tuple(TopicSpec(name, 1, 3600.0) for name in (WORK, RETRIES, OUT, DEAD)),
    (GroupSpec(GROUP, (RETRIES, WORK)), GroupSpec(NAMES.store_group, (OUT,))),
)
RISKY_SECONDS = 0.3
"""For so long a settle is held up in which nothing may happen."""


class Events:
    """What the loop did, in order; and a settle that can be held up."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.handling = {"a": threading.Event(), "b": threading.Event()}
        self.overlapped: bool | None = None


class Watched:
    """A broker whose consumers hold up the settlement of `a` until `b` is handled, or for so many seconds."""

    def __init__(self, broker: Broker, events: Events, seconds: float) -> None:
        self._broker, self._events, self._seconds = broker, events, seconds

    def __getattr__(self, name: str) -> Any:
        return getattr(self._broker, name)

    def consumer(self, subscription: Subscription) -> Consumer:
        consumer, events = self._broker.consumer(subscription), self._events
        settle = consumer.settle

        def held_up(batch: Batch, verdicts: Sequence[Verdict], also: Sequence[Message] = ()) -> int:
            if batch[0].value == b"a":
                events.overlapped = events.handling["b"].wait(self._seconds)
            lost = settle(batch, verdicts, also)
            events.seen.append(f"settled {batch[0].value.decode()}")
            return lost

        consumer.settle = held_up  # type: ignore[method-assign] # the same, later
        return consumer


class Echo:
    """One record at a time."""

    def __init__(self, events: Events) -> None:
        self._events = events

    def limits(self) -> Limits:
        return Limits(1, 1 << 20, 0.0)

    def handle(self, records: Sequence[Record]) -> Outcome:
        name = records[0].value.decode()
        self._events.seen.append(f"handled {name}")
        self._events.handling[name].set()
        return Outcome([Done((Message(OUT, record.value),)) for record in records])

    def buried(self, record: Record, reason: str) -> Sequence[Message]:
        return ()

    def tick(self) -> None:
        pass


@pytest.fixture
def broker(redis_url: str) -> Iterator[Broker]:
    with closing(open_broker(redis_url)) as broker, closing(broker.admin()) as admin:
        admin.ensure(TOPOLOGY)
        yield broker
        admin.ensure(Topology(NAMES.prefix, (), ()), prune=True)


def served(broker: Broker, messages: Sequence[Message], *, hold_up_seconds: float) -> Events:
    """What a loop did until both records were settled."""
    with closing(broker.producer()) as producer:
        producer.publish(messages)
    events, stop = Events(), Stop()
    watched: Any = Watched(broker, events, hold_up_seconds)
    subscription = Subscription(topics=(RETRIES, WORK), member=uuid.uuid4().hex, group=GROUP, retry_topic=RETRIES)
    loop = Loop(name="echo", broker=watched, subscription=subscription, handler=Echo(events))
    thread = threading.Thread(target=loop.run, args=(stop,))
    thread.start()
    try:
        eventually(lambda: len(events.seen) == 4, lambda: str(events.seen))
    finally:
        stop.set()
        thread.join(30.0)
    assert not thread.is_alive()
    return events


def test_the_next_batch_is_handled_while_one_is_settled(broker: Broker) -> None:
    events = served(broker, [Message(WORK, b"a"), Message(WORK, b"b")], hold_up_seconds=30.0)
    assert events.overlapped
    assert events.seen == ["handled a", "handled b", "settled a", "settled b"]


def test_what_may_end_the_process_is_handled_while_nothing_else_is_in_hand(broker: Broker) -> None:
    alone = Message(WORK, b"b", headers={"alone": "1"})
    events = served(broker, [Message(WORK, b"a"), alone], hold_up_seconds=RISKY_SECONDS)
    assert not events.overlapped
    assert events.seen == ["handled a", "settled a", "handled b", "settled b"]
