"""The keeper of claims: what is lost is told, what is being settled is nobody's loss."""

import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from tests.conftest import eventually

from predictq.brokers import Batch, Record
from predictq.brokers.port import NO_HEADERS
from predictq.loop.keeper import Keeper


class Losing:
    """All that the keeper asks of a consumer; it has lost everything."""

    def __init__(self) -> None:
        self.asked: list[Batch] = []
        self._lock = threading.Lock()

    def extend(self, batch: Batch) -> bool:
        with self._lock:
            self.asked.append(batch)
        return False


def batch(name: str) -> Batch:
    return Batch([Record("t", 0, name, name.encode(), None, NO_HEADERS, 0.0, 0)])


@pytest.fixture
def consumer() -> Losing:
    return Losing()


@pytest.fixture
def keeper(consumer: Any) -> Iterator[Keeper]:
    with Keeper(consumer, claim_seconds=0.03, name="test") as keeper:
        yield keeper


def test_a_claim_that_is_lost_while_its_batch_is_handled_is_told(
    keeper: Keeper, consumer: Losing, caplog: pytest.LogCaptureFixture
) -> None:
    keeper.hold(batch("a"))
    eventually(lambda: "lost to another member" in caplog.text)


def test_a_claim_that_ends_while_its_batch_is_settled_is_no_loss(
    keeper: Keeper, consumer: Losing, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    settled = batch("a")
    keeper.settling(settled)
    keeper.hold(settled)
    eventually(lambda: len(consumer.asked) > 2)
    keeper.release(settled)
    assert caplog.text == ""


def test_each_batch_in_hand_is_kept_until_it_is_released(keeper: Keeper, consumer: Losing) -> None:
    first, second = batch("a"), batch("b")
    keeper.hold(first)
    keeper.hold(second)
    eventually(lambda: first in consumer.asked and second in consumer.asked)
    keeper.release(first)
    consumer.asked.clear()
    eventually(lambda: second in consumer.asked)
    assert first not in consumer.asked
