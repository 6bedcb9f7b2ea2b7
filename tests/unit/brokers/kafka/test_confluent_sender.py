"""What counts as sent, with a producer that says little: a real one does so too seldom to be waited for."""

from collections.abc import Callable
from typing import Any

from confluent_kafka import KafkaError

from predictq.brokers.kafka.driver import Place, Row
from predictq.brokers.kafka.drivers.confluent_sender import ConfluentSender
from predictq.brokers.kafka.options import options_of
from predictq.errors import BrokerUnavailable

ROWS = [Row(Place("t.e.requests", 0), value, None, []) for value in (b"a", b"b")]


class Stranger:
    """A message that is none of the rows."""

    def topic(self) -> str:
        return "t.e.requests"

    def partition(self) -> int:
        return 0

    def key(self) -> None:
        return None

    def value(self) -> bytes:
        return b"of somebody else"


class QuietProducer:
    """Takes everything; `left` is what it says is still on its way, whatever is done."""

    def __init__(self, left: int, *, stranger: bool = False) -> None:
        self._left = left
        self._stranger = stranger
        self._heard: Callable[..., Any] | None = None

    def produce(
        self, _topic: str, _value: bytes, _key: bytes | None, _partition: int, heard: Callable[..., Any]
    ) -> None:
        self._heard = heard

    def flush(self, _seconds: float) -> int:
        if self._stranger and self._heard is not None:
            self._heard(KafkaError(KafkaError._MSG_TIMED_OUT), Stranger())
        return self._left

    def purge(self) -> None:
        pass


def sender(producer: QuietProducer) -> ConfluentSender:
    one = ConfluentSender(options_of("kafka+confluent://127.0.0.1:1"), {})
    one._producer = producer  # type: ignore[assignment]
    return one


def test_when_all_is_flushed_and_nothing_failed_all_is_durable() -> None:
    assert sender(QuietProducer(0)).send(ROWS, 1.0) == ()


def test_what_nobody_heard_of_is_not_durable() -> None:
    failures = sender(QuietProducer(1)).send(ROWS, 1.0)
    assert [failure.row for failure in failures] == [0, 1]
    assert all(isinstance(failure.error, BrokerUnavailable) for failure in failures)


def test_after_an_error_that_fits_no_row_none_is_durable() -> None:
    failures = sender(QuietProducer(0, stranger=True)).send(ROWS, 1.0)
    assert [failure.row for failure in failures] == [0, 1]
