"""Filling a batch from what was fetched ahead."""

from predictq.brokers.kafka.driver import Place
from predictq.brokers.kafka.gathering import Gathering
from predictq.brokers.kafka.held import DELAYS, Held
from predictq.brokers.kafka.notes import Note
from predictq.brokers.port import NO_HEADERS, Record


def held(topic: str, level: int, values: list[bytes], *, partition: int = 0, single: int | None = None) -> Held:
    one = Held(Place(topic, partition), level, off=0)
    one.add(
        [
            Record(topic, partition, str(i), value, None, {"alone": "1"} if i == single else NO_HEADERS, 0.0, 0)
            for i, value in enumerate(values)
        ]
    )
    return one


def values(gathering: Gathering) -> list[bytes]:
    return [record.value for record in gathering.records]


def test_topics_come_in_their_order_and_delays_never() -> None:
    there = [held("bulk", 2, [b"3"]), held("requests", 1, [b"2"]), held("delays", DELAYS, [b"x"])]
    there.append(held("retries", 0, [b"1"]))
    assert values(Gathering(there, 0, 10, 100)) == [b"1", b"2", b"3"]


def test_partitions_of_a_topic_take_turns() -> None:
    there = [held("requests", 0, [b"%d" % i] * 3, partition=i) for i in range(3)]
    assert [values(Gathering(there, turn, 3, 100))[0] for turn in range(4)] == [b"0", b"1", b"2", b"0"]


def test_a_batch_ends_before_it_is_too_large_and_one_record_always_fits() -> None:
    one = held("requests", 0, [b"xx", b"yy", b"zz"])
    assert values(Gathering([one], 0, 10, 5)) == [b"xx", b"yy"]
    assert values(Gathering([one], 0, 10, 1)) == [b"xx"]
    assert values(Gathering([one], 0, 1, 100)) == [b"xx"]


def test_a_record_marked_alone_comes_alone() -> None:
    one = held("retries", 0, [b"a", b"b", b"c"], single=1)
    first = Gathering([one, held("requests", 1, [b"r"])], 0, 10, 100)
    assert (values(first), first.full) == ([b"a"], True)
    one.take(first.records)
    assert values(Gathering([one], 0, 10, 100)) == [b"b"]


def test_suspects_are_counted_and_not_mixed_with_what_follows_them() -> None:
    one = held("requests", 0, [b"a", b"b", b"c"])
    one.note = Note(0, 2, 1)
    gathering = Gathering([one], 0, 10, 100)
    assert [(record.value, record.redeliveries) for record in gathering.records] == [(b"a", 1), (b"b", 1)]
    assert gathering.full


def test_what_is_put_back_comes_first_and_its_bytes_are_counted() -> None:
    one = held("requests", 0, [b"a", b"bb", b"c"], single=0)
    taken = Gathering([one], 0, 1, 100).records
    one.take(taken)
    assert (one.size, one.ahead, one.singles) == (3, 2, set())
    one.put_back(taken)
    assert (one.size, one.ahead, one.singles) == (4, 3, {"0"})
    assert values(Gathering([one], 0, 10, 100)) == [b"a"]
