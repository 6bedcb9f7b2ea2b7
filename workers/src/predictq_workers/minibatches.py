"""Requests put together for one predict call, and what came of them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from predictq.brokers import Record
from predictq.messages import RequestEvent
from predictq_workers.model import Failure

__all__ = ["MiniBatch", "Work", "cut"]


class Work(NamedTuple):
    """A request that is to be predicted."""

    at: int
    """Its place among the records."""
    record: Record
    request: RequestEvent
    topic: str
    """Where its prediction goes."""
    start: int
    """Its first instance, among the instances of all records."""
    stop: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MiniBatch:
    """Requests whose instances were predicted together. Times are Unix seconds."""

    batch_id: str
    works: Sequence[Work]
    outputs: list[Any]
    """One for each instance of the works; None where there is none."""
    failures: Mapping[int, Failure]
    """By the instance's place among the instances of all records."""
    requests: int
    """Those that had at least one instance to predict."""
    size: int
    """Instances that the model was called with: all but the invalid ones."""
    failed: int
    """Of these, how many the model did not answer."""
    started_at: float
    finished_at: float


def cut(works: Sequence[Work], max_batch_size: int) -> Iterator[Sequence[Work]]:
    """Mini-batches of at most `max_batch_size` instances, in order; a larger request is one by itself."""
    first = 0
    for last, work in enumerate(works):
        if work.stop - works[first].start > max_batch_size and last > first:
            yield works[first:last]
            first = last
    if works:
        yield works[first:]
