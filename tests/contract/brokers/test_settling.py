"""Verdicts: what each of them does to a record, and that a batch is settled as a whole."""

import time

import pytest
from tests.contract.brokers.conftest import PATIENCE, Rig, values

from predictq.brokers import Dead, Done, Isolate, Message, Record, Release, Retry, Subscription, Verdict
from predictq.errors import MessageTooLarge, UserMistake


def test_outputs_and_what_the_batch_emits_are_published(rig: Rig) -> None:
    consumer, store = rig.consumer(), rig.consumer(group=rig.store)
    rig.publish("a", "b", key="k")
    batch = rig.polled(consumer, 2)
    verdicts = [Done((Message(rig.predictions, record.value * 2, record.key, {"from": "a"}),)) for record in batch]
    assert consumer.settle(batch, verdicts, [rig.output("batch")]) == 0
    records = rig.served(store, 3)
    assert sorted(values(records)) == ["aa", "batch", "bb"]
    [doubled] = [record for record in records if record.value == b"aa"]
    assert (doubled.key, dict(doubled.headers)) == (b"k", {"from": "a"})


def test_one_record_may_have_many_outputs_on_several_topics(rig: Rig) -> None:
    consumer, store, other = rig.consumer(), rig.consumer(group=rig.store), rig.consumer(group=rig.other_group)
    rig.publish("a")
    batch = rig.polled(consumer, 1)
    consumer.settle(batch, [Done((rig.output("1"), Message(rig.requests, b"again"), rig.output("2")))])
    assert sorted(values(rig.served(store, 2))) == ["1", "2"]
    assert sorted(values(rig.served(other, 2))) == ["a", "again"]


@pytest.mark.parametrize("count", [0, 1, 3])
def test_another_number_of_verdicts_is_refused_and_nothing_is_settled(rig: Rig, count: int) -> None:
    consumer, store = rig.consumer(), rig.consumer(group=rig.store)
    rig.publish("a", "b")
    batch = rig.polled(consumer, 2)
    with pytest.raises(ValueError, match=f"{count} verdicts on a batch of 2"):
        consumer.settle(batch, [Done((rig.output("x"),))] * count)
    assert rig.nothing_for(store)
    assert rig.in_flight(2)
    assert consumer.settle(batch, [Done()] * 2) == 0


def test_a_batch_is_settled_once(rig: Rig) -> None:
    consumer = rig.consumer()
    rig.publish("a")
    batch = rig.polled(consumer, 1)
    consumer.settle(batch, [Done()])
    with pytest.raises(RuntimeError, match="not in hand"):
        consumer.settle(batch, [Done((rig.output("x"),))])
    assert rig.lag(rig.predictions, rig.store).ready == 0


def test_an_output_for_an_unknown_topic_settles_nothing(rig: Rig) -> None:
    consumer, store = rig.consumer(), rig.consumer(group=rig.store)
    rig.publish("a")
    batch = rig.polled(consumer, 1)
    with pytest.raises(UserMistake, match=rig.nowhere):
        consumer.settle(batch, [Done((rig.output("x"), Message(rig.nowhere, b"y")))])
    assert rig.nothing_for(store)
    assert consumer.settle(batch, [Done()]) == 0


def test_an_output_above_the_limit_settles_nothing(rig: Rig) -> None:
    consumer, store = rig.consumer(), rig.consumer(group=rig.store)
    rig.publish("a")
    batch = rig.polled(consumer, 1)
    with pytest.raises(MessageTooLarge):
        consumer.settle(batch, [Done((Message(rig.predictions, bytes(rig.broker.max_message_bytes + 1)),))])
    assert rig.nothing_for(store)
    assert consumer.settle(batch, [Done()]) == 0


def test_a_retry_comes_again_with_its_attempt_raised_and_not_before_its_time(rig: Rig) -> None:
    consumer = rig.consumer()
    rig.producer.publish([Message(rig.requests, b"a", b"k", {"origin": "file"})])
    before = time.monotonic()
    [first] = rig.served(consumer, 1, lambda _: Retry(0.3))
    [second] = rig.served(consumer, 1, lambda _: Retry(0.0))
    assert time.monotonic() - before >= 0.29
    [third] = rig.served(consumer, 1)
    assert [record.attempt for record in (first, second, third)] == [1, 2, 3]
    assert (third.value, third.key, third.headers["origin"]) == (b"a", b"k", "file")
    assert (third.redeliveries, third.alone) == (0, False)
    assert third.published_at == pytest.approx(first.published_at, abs=0.001)
    assert rig.left() == 0


def test_each_retry_comes_at_its_own_time(rig: Rig) -> None:
    consumer = rig.consumer()
    rig.publish("later", "soon", key="k")
    batch = rig.polled(consumer, 2)
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
    consumer, other = rig.consumer(), rig.consumer(group=rig.other_group)
    rig.publish("a")
    rig.served(consumer, 1, lambda _: Retry(0.0))
    rig.served(consumer, 1)
    assert len(rig.served(other, 1)) == 1
    assert rig.nothing_for(other)


@pytest.mark.parametrize("verdict", [Retry(0.0), Isolate()])
def test_without_a_retry_topic_a_copy_is_refused(rig: Rig, verdict: Verdict) -> None:
    consumer = rig.consumer(group=rig.other_group)
    rig.publish("a")
    batch = rig.polled(consumer, 1)
    with pytest.raises(ValueError, match="retry topic"):
        consumer.settle(batch, [verdict])


def test_the_retry_topic_must_be_read(rig: Rig) -> None:
    with pytest.raises(ValueError, match="not among the topics"):
        rig.broker.consumer(Subscription(topics=(rig.requests,), member="m", group=rig.group, retry_topic=rig.retries))


def test_isolated_records_come_singly_and_cost_no_attempt(rig: Rig) -> None:
    consumer = rig.consumer()
    rig.publish("a", "b", "c", "d")
    batch = rig.polled(consumer, 4)
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
    consumer, keeper, store = rig.consumer(), rig.consumer(group=rig.keeper), rig.consumer(group=rig.store)
    rig.producer.publish([Message(rig.requests, b"\xffbad", b"k", {"origin": "file"})])
    [record] = rig.served(consumer, 1, lambda _: Dead("no JSON", (rig.output("failed"),)))
    [letter] = rig.served(keeper, 1)
    assert (letter.topic, letter.value, letter.key) == (rig.dead_letters, b"\xffbad", b"k")
    assert letter.headers["origin"] == "file"
    assert letter.headers["dead-reason"] == "no JSON"
    assert letter.headers["dead-group"] == rig.group
    assert letter.headers["dead-topic"] == rig.requests
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
    consumer, store = rig.consumer(), rig.consumer(group=rig.store)
    rig.publish("a", "b", "c", key="k")
    batch = rig.polled(consumer, 3)

    def judge(record: Record) -> Verdict:
        text = record.value.decode()
        return Release() if text in released else Done((rig.output(text),))

    consumer.settle(batch, [judge(record) for record in batch])
    again = rig.served(consumer, len(released))
    assert sorted(values(again)) == sorted(released)
    assert [(record.attempt, record.redeliveries, record.alone) for record in again] == [(1, 0, False)] * len(released)
    assert rig.left() == 0
    done = [text for text in "abc" if text not in released]
    assert sorted(values(rig.served(store, len(done)))) == done


def test_without_a_retry_topic_a_release_may_bring_back_what_follows_but_no_output_twice(rig: Rig) -> None:
    consumer, store = rig.consumer(group=rig.other_group), rig.consumer(group=rig.store)
    rig.publish("a", "b", "c", key="k")
    batch = rig.polled(consumer, 3)
    assert consumer.settle(batch, [Done((rig.output("a"),)), Release(), Done((rig.output("c"),))]) == 0
    came_again = 0
    while not came_again or rig.left(rig.other_group):
        came_again += len(rig.served(consumer, 1, lambda record: Done((rig.output(record.value.decode()),))))
    assert came_again in (1, 2)
    assert sorted(values(rig.served(store, 3))) == ["a", "b", "c"]
    assert rig.nothing_for(store)


def test_the_verdicts_of_one_batch_do_not_touch_one_another(rig: Rig) -> None:
    consumer, keeper, store = rig.consumer(), rig.consumer(group=rig.keeper), rig.consumer(group=rig.store)
    rig.publish("done", "dead", "retry", "isolate", "release", "last", key="k")
    verdicts: dict[str, Verdict] = {
        "done": Done((rig.output("done"),)),
        "dead": Dead("why"),
        "retry": Retry(0.0),
        "isolate": Isolate(),
        "release": Release(),
        "last": Done((rig.output("last"),)),
    }
    batch = rig.polled(consumer, 6)
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
    consumer, store = rig.consumer(rig.hints, group=None), rig.consumer(group=rig.store)
    rig.publish("a", "b", topic=rig.hints)
    batch = rig.polled(consumer, 2)
    assert consumer.settle(batch, [Done((rig.output("x"),)), Dead("what is this?", (rig.output("y"),))]) == 0
    assert sorted(values(rig.served(store, 2))) == ["x", "y"]
    assert rig.lag(rig.dead_letters, rig.keeper).ready == 0
    assert rig.nothing_for(consumer)


def test_an_empty_batch_may_emit_too(rig: Rig) -> None:
    consumer, store = rig.consumer(), rig.consumer(group=rig.store)
    batch = consumer.poll(10, 1 << 20, 0.0)
    consumer.settle(batch, [], [rig.output("heartbeat")])
    assert values(rig.served(store, 1)) == ["heartbeat"]
