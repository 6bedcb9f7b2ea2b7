"""The loop on a real broker in memory: what becomes of records when handlers fail, wait, hang or die."""

import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import pytest

from predictq.brokers import Broker, Done, Message, Record, Subscription, open_broker
from predictq.errors import DatabaseUnavailable
from predictq.loop import Limits, Loop, Outcome, Stop
from predictq.topology import GroupSpec, TopicSpec, Topology

WORK, RETRIES, OUT, DEAD = "p.e.requests", "p.e.retries.d", "p.e.predictions", "p.e.dead-letters"
GROUP = "p.e.d"
TOPOLOGY = Topology(
    "p",
    tuple(TopicSpec(name, 1, 3600.0) for name in (WORK, RETRIES, OUT, DEAD)),
    (GroupSpec(GROUP, (RETRIES, WORK)), GroupSpec("p.check", (OUT, DEAD))),
)
DEADLINE_SECONDS = 20.0


class Upper:
    """A handler that answers each record in capitals; tests make it misbehave."""

    def __init__(self, before: Callable[[Sequence[Record]], None] = lambda _: None) -> None:
        self.seen: list[list[bytes]] = []
        self._before = before

    def limits(self) -> Limits:
        return Limits(100, 1_000_000, 0.05)

    def handle(self, records: Sequence[Record]) -> Outcome:
        self.seen.append([record.value for record in records])
        self._before(records)
        return Outcome([Done([Message(OUT, record.value.upper())]) for record in records])

    def buried(self, record: Record, reason: str) -> Sequence[Message]:
        return [Message(OUT, b"buried " + record.value)]

    def tick(self) -> None:
        pass


@pytest.fixture
def broker() -> Iterator[Broker]:
    broker = open_broker(f"memory://{uuid.uuid4().hex}")
    admin = broker.admin()
    admin.ensure(TOPOLOGY)
    admin.close()
    yield broker
    broker.close()


@pytest.fixture
def start(broker: Broker) -> Iterator[Callable[[Upper], tuple[Loop, Stop]]]:
    """Starts loops; stops them at the end and fails if one does not come to its end."""
    running: list[tuple[threading.Thread, Stop]] = []

    def start(handler: Upper) -> tuple[Loop, Stop]:
        loop, stop = Loop(name="test", broker=broker, subscription=subscription(), handler=handler), Stop()
        thread = threading.Thread(target=loop.run, args=(stop,))
        thread.start()
        running.append((thread, stop))
        return loop, stop

    yield start
    for thread, stop in running:
        stop.set()
        thread.join(DEADLINE_SECONDS)
        assert not thread.is_alive()


def subscription() -> Subscription:
    return Subscription(
        topics=(RETRIES, WORK), member=uuid.uuid4().hex, group=GROUP, retry_topic=RETRIES, claim_seconds=0.6
    )


def publish(broker: Broker, *values: bytes) -> None:
    producer = broker.producer()
    producer.publish([Message(WORK, value) for value in values])
    producer.close()


def collect(broker: Broker, topic: str, count: int) -> list[Record]:
    """The next `count` records of a topic, as soon as they are there."""
    consumer = broker.consumer(Subscription(topics=(topic,), member=uuid.uuid4().hex, group="p.check"))
    found: list[Record] = []
    deadline = time.monotonic() + DEADLINE_SECONDS
    while len(found) < count:
        assert time.monotonic() < deadline, f"only {[record.value for record in found]} came to {topic}"
        batch = consumer.poll(100, 1_000_000, 0.0)
        consumer.settle(batch, [Done()] * len(batch))
        found += batch
    consumer.close()
    return found


def settled(broker: Broker) -> bool:
    admin = broker.admin()
    lags = [admin.lag(topic, GROUP) for topic in (WORK, RETRIES)]
    admin.close()
    return all(lag.ready == 0 and lag.in_flight == 0 for lag in lags)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_every_record_is_answered_and_acknowledged(broker: Broker, start: Callable[[Upper], object]) -> None:
    publish(broker, b"a", b"b", b"c")
    start(Upper())
    assert sorted(record.value for record in collect(broker, OUT, 3)) == [b"A", b"B", b"C"]
    wait_until(lambda: settled(broker))


def test_the_culprit_alone_is_dead_and_its_neighbours_are_answered(
    broker: Broker, start: Callable[[Upper], object]
) -> None:
    def fail(records: Sequence[Record]) -> None:
        if any(record.value == b"bad" for record in records):
            raise ValueError("no letters\nsecond line")

    publish(broker, b"a", b"b", b"bad", b"c", b"d")
    start(Upper(fail))
    answers = sorted(record.value for record in collect(broker, OUT, 5))
    assert answers == [b"A", b"B", b"C", b"D", b"buried bad"]
    (dead,) = collect(broker, DEAD, 1)
    assert dead.value == b"bad"
    assert dead.headers["dead-reason"] == "ValueError: no letters"
    assert dead.headers["dead-group"] == GROUP
    assert dead.headers["dead-topic"] == WORK


def test_headers_of_strangers_and_a_burial_that_fails_end_nothing(
    broker: Broker, start: Callable[[Upper], object]
) -> None:
    def fail(records: Sequence[Record]) -> None:
        if any(record.value == b"bad" for record in records):
            raise ValueError("bad")

    class Gravedigger(Upper):
        def buried(self, record: Record, reason: str) -> Sequence[Message]:
            raise KeyError("no spade")

    producer = broker.producer()
    strange = {"attempt": "x" * 20_000, "redrive": "-1"}
    producer.publish([Message(WORK, value, headers=strange) for value in (b"bad", b"a")])
    producer.close()
    start(Gravedigger(fail))
    assert [record.value for record in collect(broker, OUT, 1)] == [b"A"]
    (dead,) = collect(broker, DEAD, 1)
    assert (dead.value, dead.attempt, dead.redrive) == (b"bad", 1, 0)


def test_what_is_unavailable_is_waited_for_and_nothing_is_charged(
    broker: Broker, start: Callable[[Upper], tuple[Loop, Stop]]
) -> None:
    back = threading.Event()
    unready: list[bool] = []

    def away(_: Sequence[Record]) -> None:
        if len(handler.seen) > 2:
            unready.append(not loop.ready.is_set())
            back.set()
        if not back.is_set():
            raise DatabaseUnavailable("the database is locked")

    handler = Upper(away)
    loop, _ = start(handler)
    wait_until(loop.ready.is_set)
    publish(broker, b"a", b"b")
    assert sorted(record.value for record in collect(broker, OUT, 2)) == [b"A", b"B"]
    assert handler.seen[0] == handler.seen[1] == handler.seen[2]
    assert unready == [True]
    assert loop.ready.is_set()
    assert len(handler.seen) == 3


def test_a_stop_while_something_is_unavailable_gives_the_batch_back_uncounted(
    broker: Broker, start: Callable[[Upper], tuple[Loop, Stop]]
) -> None:
    waiting = threading.Event()

    def away(_: Sequence[Record]) -> None:
        waiting.set()
        raise DatabaseUnavailable("gone")

    publish(broker, b"a")
    _, stop = start(Upper(away))
    assert waiting.wait(DEADLINE_SECONDS)
    stop.set()
    redeliveries: list[int] = []
    start(Upper(lambda records: redeliveries.extend(record.redeliveries for record in records)))
    assert [record.value for record in collect(broker, OUT, 1)] == [b"A"]
    assert redeliveries == [0]


def test_a_handler_slower_than_the_claim_keeps_its_records(broker: Broker, start: Callable[[Upper], object]) -> None:
    slow = Upper(lambda _: time.sleep(2.0))  # more than three claims of 0.6 s
    idle = Upper()
    publish(broker, b"a")
    start(slow)
    wait_until(lambda: bool(slow.seen))
    start(idle)
    assert [record.value for record in collect(broker, OUT, 1)] == [b"A"]
    wait_until(lambda: settled(broker))
    assert (slow.seen, idle.seen) == ([[b"a"]], [])


def crash(broker: Broker, batches: int = 1) -> None:
    """A member that takes batches and is never heard of again, as after SIGKILL."""
    for _ in range(batches):
        abandoned.append(broker.consumer(subscription()))
        wait_until(lambda: bool(abandoned[-1].poll(100, 1_000_000, 0.0)))


abandoned: list = []  # type: ignore[type-arg] # keeps crashed members from being closed by the garbage collector


def test_records_that_came_for_the_third_time_are_handled_alone(
    broker: Broker, start: Callable[[Upper], object]
) -> None:
    publish(broker, b"a", b"b", b"c")
    crash(broker, batches=2)
    handler = Upper()
    start(handler)
    assert sorted(record.value for record in collect(broker, OUT, 3)) == [b"A", b"B", b"C"]
    assert sorted(handler.seen) == [[b"a"], [b"b"], [b"c"]]


def test_a_record_that_ends_two_processes_while_alone_is_dead_and_was_charged_no_attempt(
    broker: Broker, start: Callable[[Upper], object]
) -> None:
    producer = broker.producer()
    producer.publish([Message(RETRIES, value, headers={"alone": "1"}) for value in (b"poison", b"b")])
    producer.close()
    crash(broker, batches=2)
    start(Upper())
    (dead,) = collect(broker, DEAD, 1)
    assert (dead.value, dead.headers["dead-attempts"]) == (b"poison", "1")
    assert "ended the process" in dead.headers["dead-reason"]
    assert sorted(record.value for record in collect(broker, OUT, 2)) == [b"B", b"buried poison"]


def test_a_record_that_was_alone_when_one_process_ended_gets_another_try(
    broker: Broker, start: Callable[[Upper], object]
) -> None:
    producer = broker.producer()
    producer.publish([Message(RETRIES, b"innocent", headers={"alone": "1"})])
    producer.close()
    crash(broker)
    start(Upper())
    assert [record.value for record in collect(broker, OUT, 1)] == [b"INNOCENT"]


def test_what_something_unavailable_holds_up_is_given_back_before_the_broker_takes_it(
    broker: Broker, start: Callable[[Upper], tuple[Loop, Stop]], caplog: pytest.LogCaptureFixture
) -> None:
    away = threading.Event()
    away.set()

    def fail_while_away(_: Sequence[Record]) -> None:
        if away.is_set():
            raise DatabaseUnavailable("away")

    broker.guarantees = replace(broker.guarantees, hold_seconds=0.4)
    handler = Upper(fail_while_away)
    publish(broker, b"a", b"b")
    start(handler)
    wait_until(lambda: caplog.text.count("given back") >= 2)
    away.clear()
    assert sorted(record.value for record in collect(broker, OUT, 2)) == [b"A", b"B"]
    wait_until(lambda: settled(broker))
