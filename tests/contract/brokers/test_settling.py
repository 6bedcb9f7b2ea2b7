"""Verdicts: what each of them does to a record, and that a batch is settled as a whole."""

import time

import pytest
from tests.contract.brokers.conftest import (
    DEAD_LETTERS,
    GROUP,
    HINTS,
    KEEPER,
    OTHER_GROUP,
    PATIENCE,
    PREDICTIONS,
    REQUESTS,
    RETRIES,
    STORE,
    Rig,
    values,
)

from predictq.brokers import Dead, Done, Isolate, Message, Record, Release, Retry, Subscription, Verdict
from predictq.errors import MessageTooLarge, UserMistake


def output(text: str) -> Message:
    return Message(PREDICTIONS, text.encode())


def test_outputs_and_what_the_batch_emits_are_published(rig: Rig) -> None:
    consumer, store = rig.consumer(), rig.consumer(group=STORE)
    rig.publish("a", "b", key="k")
    batch = consumer.poll(10, 1 << 20, 0.0)
    verdicts = [Done((Message(PREDICTIONS, record.value * 2, record.key, {"from": "a"}),)) for record in batch]
    assert consumer.settle(batch, verdicts, [output("batch")]) == 0
    records = rig.served(store, 3)
    assert sorted(values(records)) == ["aa", "batch", "bb"]
    [doubled] = [record for record in records if record.value == b"aa"]
    assert (doubled.key, dict(doubled.headers)) == (b"k", {"from": "a"})


def test_one_record_may_have_many_outputs_on_several_topics(rig: Rig) -> None:
    consumer, store, other = rig.consumer(), rig.consumer(group=STORE), rig.consumer(group=OTHER_GROUP)
    rig.publish("a")
    batch = consumer.poll(10, 1 << 20, 0.0)
    consumer.settle(batch, [Done((output("1"), Message(REQUESTS, b"again"), output("2")))])
    assert sorted(values(rig.served(store, 2))) == ["1", "2"]
    assert sorted(values(rig.served(other, 2))) == ["a", "again"]


@pytest.mark.parametrize("count", [0, 1, 3])
def test_another_number_of_verdicts_is_refused_and_nothing_is_settled(rig: Rig, count: int) -> None:
    consumer, store = rig.consumer(), rig.consumer(group=STORE)
    rig.publish("a", "b")
    batch = consumer.poll(10, 1 << 20, 0.0)
    with pytest.raises(ValueError, match=f"{count} verdicts on a batch of 2"):
        consumer.settle(batch, [Done((output("x"),))] * count)
    assert rig.nothing_for(store)
    assert rig.lag().in_flight == 2
    assert consumer.settle(batch, [Done()] * 2) == 0


def test_a_batch_is_settled_once(rig: Rig) -> None:
    consumer = rig.consumer()
    rig.publish("a")
    batch = consumer.poll(10, 1 << 20, 0.0)
    consumer.settle(batch, [Done()])
    with pytest.raises(RuntimeError, match="not in hand"):
        consumer.settle(batch, [Done((output("x"),))])
    assert rig.lag(PREDICTIONS, STORE).ready == 0


def test_an_output_for_an_unknown_topic_settles_nothing(rig: Rig) -> None:
    consumer, store = rig.consumer(), rig.consumer(group=STORE)
    rig.publish("a")
    batch = consumer.poll(10, 1 << 20, 0.0)
    with pytest.raises(UserMistake, match=r"t\.e\.nowhere"):
        consumer.settle(batch, [Done((output("x"), Message("t.e.nowhere", b"y")))])
    assert rig.nothing_for(store)
    assert consumer.settle(batch, [Done()]) == 0


def test_an_output_above_the_limit_settles_nothing(rig: Rig) -> None:
    consumer, store = rig.consumer(), rig.consumer(group=STORE)
    rig.publish("a")
    batch = consumer.poll(10, 1 << 20, 0.0)
    with pytest.raises(MessageTooLarge):
        consumer.settle(batch, [Done((Message(PREDICTIONS, bytes(rig.broker.max_message_bytes + 1)),))])
    assert rig.nothing_for(store)
    assert consumer.settle(batch, [Done()]) == 0


def test_a_retry_comes_again_with_its_attempt_raised_and_not_before_its_time(rig: Rig) -> None:
    consumer = rig.consumer()
    rig.producer.publish([Message(REQUESTS, b"a", b"k", {"origin": "file"})])
    [first] = rig.served(consumer, 1, lambda _: Retry(0.3))
    retried_at = time.monotonic()
    [second] = rig.served(consumer, 1, lambda _: Retry(0.0))
    assert time.monotonic() - retried_at >= 0.25
    [third] = rig.served(consumer, 1)
    assert [record.attempt for record in (first, second, third)] == [1, 2, 3]
    assert (third.value, third.key, third.headers["origin"]) == (b"a", b"k", "file")
    assert (third.redeliveries, third.alone) == (0, False)
    assert third.published_at == pytest.approx(first.published_at, abs=0.001)
    assert rig.left() == 0


def test_each_retry_comes_at_its_own_time(rig: Rig) -> None:
    consumer = rig.consumer()
    rig.publish("later", "soon", key="k")
    batch = consumer.poll(2, 1 << 20, 0.0)
    consumer.settle(batch, [Retry(60.0), Retry(0.0)])
    assert values(rig.served(consumer, 1)) == ["soon"]
    assert rig.nothing_for(consumer)
    assert rig.left() == 1


def test_a_retry_wakes_a_poll_that_waits(rig: Rig) -> None:
    consumer = rig.consumer(idle_seconds=PATIENCE)
    rig.publish("a")
    rig.served(consumer, 1, lambda _: Retry(0.2))
    started = time.monotonic()
    assert values(rig.served(consumer, 1)) == ["a"]
    assert time.monotonic() - started < PATIENCE / 2


def test_a_retry_holds_up_nothing_that_comes_after_it(rig: Rig) -> None:
    consumer = rig.consumer()
    rig.publish("slow", key="k")
    rig.served(consumer, 1, lambda _: Retry(60.0))
    rig.publish("next", key="k")
    assert values(rig.served(consumer, 1)) == ["next"]
    assert rig.left() == 1


def test_a_retry_is_for_its_own_group_alone(rig: Rig) -> None:
    consumer, other = rig.consumer(), rig.consumer(group=OTHER_GROUP)
    rig.publish("a")
    rig.served(consumer, 1, lambda _: Retry(0.0))
    rig.served(consumer, 1)
    assert len(rig.served(other, 1)) == 1
    assert rig.nothing_for(other)


@pytest.mark.parametrize("verdict", [Retry(0.0), Isolate()])
def test_without_a_retry_topic_a_copy_is_refused(rig: Rig, verdict: Verdict) -> None:
    consumer = rig.consumer(group=OTHER_GROUP)
    rig.publish("a")
    batch = consumer.poll(1, 1 << 20, 0.0)
    with pytest.raises(ValueError, match="retry topic"):
        consumer.settle(batch, [verdict])


def test_the_retry_topic_must_be_read(rig: Rig) -> None:
    with pytest.raises(ValueError, match="not among the topics"):
        rig.broker.consumer(Subscription(topics=(REQUESTS,), member="m", group=GROUP, retry_topic=RETRIES))


def test_isolated_records_come_singly_and_cost_no_attempt(rig: Rig) -> None:
    consumer = rig.consumer()
    rig.publish("a", "b", "c", "d")
    batch = consumer.poll(10, 1 << 20, 0.0)
    consumer.settle(batch, [Isolate() if record.value in b"bc" else Done() for record in batch])
    rig.publish("e")
    seen: list[tuple[str, int, bool]] = []
    while len(seen) < 3:
        batch = consumer.poll(10, 1 << 20, 0.0)
        assert len(batch) <= 1 or not any(record.alone for record in batch)
        seen += [(record.value.decode(), record.attempt, record.alone) for record in batch]
        consumer.settle(batch, [Done()] * len(batch))
    assert sorted(seen) == [("b", 1, True), ("c", 1, True), ("e", 1, False)]


def test_a_dead_record_becomes_a_dead_letter_that_says_why(rig: Rig) -> None:
    consumer, keeper, store = rig.consumer(), rig.consumer(group=KEEPER), rig.consumer(group=STORE)
    rig.producer.publish([Message(REQUESTS, b"\xffbad", b"k", {"origin": "file"})])
    [record] = rig.served(consumer, 1, lambda _: Dead("no JSON", (output("failed"),)))
    [letter] = rig.served(keeper, 1)
    assert (letter.topic, letter.value, letter.key) == (DEAD_LETTERS, b"\xffbad", b"k")
    assert letter.headers["origin"] == "file"
    assert letter.headers["dead-reason"] == "no JSON"
    assert letter.headers["dead-group"] == GROUP
    assert letter.headers["dead-topic"] == REQUESTS
    assert letter.headers["dead-partition"] == str(record.partition)
    assert letter.headers["dead-position"] == record.position
    assert values(rig.served(store, 1)) == ["failed"]
    assert rig.left() == 0


def test_a_released_batch_comes_again_untouched(rig: Rig) -> None:
    consumer = rig.consumer()
    rig.publish("a", "b", "c")
    first = rig.served(consumer, 3, lambda _: Release())
    second = rig.served(consumer, 3)
    assert sorted(first) == sorted(second)


@pytest.mark.parametrize("released", ["abc", "a", "b", "c", "ab", "ac", "bc"])
def test_only_the_released_records_of_a_batch_come_again(rig: Rig, released: str) -> None:
    consumer, store = rig.consumer(), rig.consumer(group=STORE)
    rig.publish("a", "b", "c", key="k")
    batch = consumer.poll(10, 1 << 20, 0.0)

    def judge(record: Record) -> Verdict:
        text = record.value.decode()
        return Release() if text in released else Done((output(text),))

    consumer.settle(batch, [judge(record) for record in batch])
    again = rig.served(consumer, len(released))
    assert sorted(values(again)) == sorted(released)
    assert [(record.attempt, record.redeliveries, record.alone) for record in again] == [(1, 0, False)] * len(released)
    assert rig.left() == 0
    done = [text for text in "abc" if text not in released]
    assert sorted(values(rig.served(store, len(done)))) == done


def test_without_a_retry_topic_a_release_brings_back_what_follows_and_its_outputs_are_not_written(rig: Rig) -> None:
    consumer, store = rig.consumer(group=OTHER_GROUP), rig.consumer(group=STORE)
    rig.publish("a", "b", "c", key="k")
    batch = consumer.poll(10, 1 << 20, 0.0)
    assert consumer.settle(batch, [Done((output("a"),)), Release(), Done((output("c"),))]) == 0
    rig.served(consumer, 2, lambda record: Done((output(record.value.decode()),)))
    assert sorted(values(rig.served(store, 3))) == ["a", "b", "c"]
    assert rig.nothing_for(store)


def test_the_verdicts_of_one_batch_do_not_touch_one_another(rig: Rig) -> None:
    consumer, keeper, store = rig.consumer(), rig.consumer(group=KEEPER), rig.consumer(group=STORE)
    rig.publish("done", "dead", "retry", "isolate", "release", "last", key="k")
    verdicts: dict[str, Verdict] = {
        "done": Done((output("done"),)),
        "dead": Dead("why"),
        "retry": Retry(0.0),
        "isolate": Isolate(),
        "release": Release(),
        "last": Done((output("last"),)),
    }
    batch = consumer.poll(10, 1 << 20, 0.0)
    consumer.settle(batch, [verdicts[record.value.decode()] for record in batch])
    again = {record.value.decode(): record for record in rig.served(consumer, 3)}
    assert {text: (record.attempt, record.alone) for text, record in again.items()} == {
        "retry": (2, False),
        "isolate": (1, True),
        "release": (1, False),
    }
    assert values(rig.served(keeper, 1)) == ["dead"]
    assert sorted(values(rig.served(store, 2))) == ["done", "last"]
    assert rig.left() == 0


def test_a_broadcast_may_emit_and_buries_nothing(rig: Rig) -> None:
    consumer, store = rig.consumer(HINTS, group=None), rig.consumer(group=STORE)
    rig.publish("a", "b", topic=HINTS)
    batch = consumer.poll(10, 1 << 20, 0.0)
    assert consumer.settle(batch, [Done((output("x"),)), Dead("what is this?", (output("y"),))]) == 0
    assert sorted(values(rig.served(store, 2))) == ["x", "y"]
    assert rig.lag(DEAD_LETTERS, KEEPER).ready == 0
    assert rig.nothing_for(consumer)


def test_an_empty_batch_may_emit_too(rig: Rig) -> None:
    consumer, store = rig.consumer(), rig.consumer(group=STORE)
    batch = consumer.poll(10, 1 << 20, 0.0)
    consumer.settle(batch, [], [output("heartbeat")])
    assert values(rig.served(store, 1)) == ["heartbeat"]
