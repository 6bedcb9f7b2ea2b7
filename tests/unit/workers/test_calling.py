"""One bad instance never fails its neighbours."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictq.errors import Retryable
from predictq_workers.calling import Calls
from predictq_workers.class_model import ClassModel


class NoGuard:
    @contextmanager
    def watching(self) -> Iterator[None]:
        yield


class Doubling:
    """Raises as soon as one of its instances is bad, and remembers the sizes of its calls."""

    def __init__(self, bad: set[int], error: BaseException | None = None) -> None:
        self.bad = bad
        self.error = error or RuntimeError("no such number")
        self.sizes: list[int] = []

    def predict(self, batch: list[int]) -> list[int]:
        self.sizes.append(len(batch))
        if self.bad & set(batch):
            raise self.error
        return [2 * one for one in batch]


def calls(model: Any, max_batch_size: int = 100) -> Calls:
    return Calls(ClassModel(model, "Doubling"), max_batch_size=max_batch_size, guard=NoGuard())


@given(st.integers(1, 60), st.sets(st.integers(0, 59)), st.integers(1, 70))
def test_exactly_the_culprits_fail(count: int, bad: set[int], max_batch_size: int) -> None:
    predicted = calls(Doubling(bad), max_batch_size).predict(list(range(count)))

    assert predicted.failures.keys() == {index for index in bad if index < count}
    assert predicted.outputs == [None if index in bad else 2 * index for index in range(count)]


def test_a_good_batch_is_one_call() -> None:
    model = Doubling(set())
    calls(model).predict(list(range(100)))
    assert model.sizes == [100]


def test_one_culprit_costs_few_calls() -> None:
    model = Doubling({17})
    calls(model, 512).predict(list(range(512)))
    assert len(model.sizes) == 2 * 9 + 1


def test_more_than_a_batch_is_cut() -> None:
    model = Doubling(set())
    calls(model, 40).predict(list(range(100)))
    assert model.sizes == [40, 40, 20]


class _Marked(Exception):
    retryable = True


@pytest.mark.parametrize("error", [Retryable("the store is away"), _Marked("the store is away")])
def test_a_retryable_error_is_not_bisected(error: Exception) -> None:
    model = Doubling({3}, error)
    predicted = calls(model).predict(list(range(10)))
    assert model.sizes == [10]
    assert all(predicted.failures[index].retryable for index in range(10))
    assert "the store is away" in predicted.failures[0].detail


@pytest.mark.parametrize("error", [SystemExit(3), MemoryError("too much"), RecursionError()])
def test_whatever_a_model_raises_is_its_instances_fault(error: BaseException) -> None:
    predicted = calls(Doubling({1}, error)).predict([0, 1, 2])
    assert predicted.outputs == [0, None, 4]
    assert type(error).__name__ in predicted.failures[1].detail


class Dropping:
    """Loses the instances that it does not like."""

    def predict(self, batch: list[int]) -> list[int]:
        return [one for one in batch if one != 2]


def test_too_few_outputs_are_traced_to_the_instance() -> None:
    predicted = calls(Dropping()).predict([0, 1, 2, 3])
    assert predicted.outputs == [0, 1, None, 3]
    assert predicted.failures[2].type == "bad_output"
    assert predicted.failures[2].detail == "predict returned 0 outputs for 1 instances"
