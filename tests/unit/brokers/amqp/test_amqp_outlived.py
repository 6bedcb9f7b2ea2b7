"""What is remembered of connections that were lost with something in hand."""

from predictq.brokers import NO_HEADERS, Record
from predictq.brokers.amqp.outlived import Outlived


def record(position: str) -> Record:
    return Record("p.e.requests", 0, position, b"", None, NO_HEADERS, 0.0, 0)


def test_each_loss_is_remembered_until_the_record_is_settled() -> None:
    outlived = Outlived()
    outlived.note([record("a"), record("b")])
    outlived.note([record("a")])
    assert [outlived.times("p.e.requests", position) for position in "abc"] == [2, 1, 0]
    assert outlived.times("p.e.bulk", "a") == 0
    outlived.forget([record("a"), record("c")])
    assert [outlived.times("p.e.requests", position) for position in "ab"] == [0, 1]


def test_what_ends_every_connection_is_not_excused_for_ever() -> None:
    outlived = Outlived()
    for _ in range(30):
        outlived.note([record("a")])
    assert outlived.times("p.e.requests", "a") == 10


def test_of_very_many_those_of_long_ago_are_forgotten() -> None:
    outlived = Outlived()
    for i in range(10_001):
        outlived.note([record(f"{i}")])
    assert [outlived.times("p.e.requests", position) for position in ("0", "1", "10000")] == [0, 1, 1]
