"""What the mini-batches of an endpoint's deployments tell: how many, how large, how long."""

import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate
from typing import NamedTuple

from sqlalchemy import bindparam, case, func, select
from typing_extensions import TypedDict

from predictq.clock import wire_time
from predictq_sync.database import Database
from predictq_sync.tables import batches

__all__ = ["Activity", "ActivityReader", "DeploymentActivity", "Latency", "Window"]

MAX_STEPS = 150
STEPS = (1, 2, 5, 10, 15, 20, 30)
"""Seconds; each divides a minute, so that steps begin when minutes do."""


class Latency(TypedDict):
    """Seconds from when the oldest request of a mini-batch was published to its end: of the others an upper bound."""

    p50: float | None
    p90: float | None
    p99: float | None
    of: int
    """Requests that these are of."""


class DeploymentActivity(TypedDict):
    """A number for each step: 0 of what is counted, null of the others, where no mini-batch ended."""

    name: str
    requests: list[int]
    instances: list[int]
    batches: list[int]
    batch_size: list[float | None]
    """Mean instances."""
    predict_seconds: list[float | None]
    """Mean from begin to end of predicting."""
    failed_batches: list[int]
    """Of which no instance has an output."""
    latency_seconds: Latency


class Activity(TypedDict):
    """Deployments of an endpoint over a window of equal steps."""

    endpoint: str
    begin: str
    end: str
    """Now, less what has begun of a step; the window ends just before it."""
    step_seconds: float
    deployments: list[DeploymentActivity]


class Window(NamedTuple):
    """So many steps up to now. Steps are aligned to the clock: successive windows agree in what is over."""

    step_seconds: int
    steps: int

    @classmethod
    def of(cls, seconds: float) -> "Window":
        """The window that holds so many seconds, 1 to an hour and a bit."""
        step = next((each for each in STEPS if seconds <= each * MAX_STEPS), STEPS[-1])
        return cls(step, min(MAX_STEPS, math.ceil(seconds / step)))


class Sums(NamedTuple):
    """Of the mini-batches of one deployment that ended within one step."""

    batches: int
    requests: int
    instances: int
    failed: int
    predict_seconds: float


class ActivityReader:
    """Reads mini-batches. Blocks; may be used by any thread."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    def activity(self, endpoint: str, window: Window, deployments: Iterable[str]) -> Activity:
        """Of these deployments, and of others that have left mini-batches within the window."""
        step, steps = window
        end = int(self._clock()) // step * step
        begin = end - steps * step
        limits = {"begin": wire_time(begin), "end": wire_time(end)}
        asked = {"endpoint": endpoint, **limits, "step": step}
        by_step: defaultdict[str, dict[int, Sums]] = defaultdict(dict)
        taken: defaultdict[str, list[tuple[float, int]]] = defaultdict(list)
        with self._database.read() as connection:
            for name, number, *sums in connection.execute(_BY_STEP, asked):
                by_step[name][number - begin // step] = Sums(*sums)
            for name, seconds, weight in connection.execute(_BY_LATENCY, asked):
                taken[name].append((seconds, weight))
        return {
            "endpoint": endpoint,
            "begin": limits["begin"],
            "end": limits["end"],
            "step_seconds": float(step),
            "deployments": [
                _deployment(name, [by_step[name].get(each, NOTHING) for each in range(steps)], taken[name])
                for name in dict.fromkeys([*deployments, *sorted(by_step)])
            ],
        }


NOTHING = Sums(0, 0, 0, 0, 0.0)


def _deployment(name: str, sums: Sequence[Sums], taken: list[tuple[float, int]]) -> DeploymentActivity:
    return {
        "name": name,
        "requests": [each.requests for each in sums],
        "instances": [each.instances for each in sums],
        "batches": [each.batches for each in sums],
        "batch_size": [round(each.instances / each.batches, 2) if each.batches else None for each in sums],
        "predict_seconds": [round(each.predict_seconds / each.batches, 6) if each.batches else None for each in sums],
        "failed_batches": [each.failed for each in sums],
        "latency_seconds": _latency(sorted(taken)),
    }


def _latency(taken: Sequence[tuple[float, int]]) -> Latency:
    """Percentiles by nearest rank, of values in their order and how often each of them counts."""
    ranks = list(accumulate(weight for _, weight in taken))
    of = ranks[-1] if ranks else 0

    def percentile(share: float) -> float | None:
        return next((value for (value, _), rank in zip(taken, ranks, strict=True) if rank >= share * of), None)

    return {"p50": percentile(0.5), "p90": percentile(0.9), "p99": percentile(0.99), "of": of}


_WITHIN = (
    batches.c.finished_at >= bindparam("begin"),
    batches.c.finished_at < bindparam("end"),
    batches.c.endpoint == bindparam("endpoint"),
    # Null in what an earlier version stored, or a worker that knows no calendar.
    batches.c.finished_second.is_not(None),
)
_STEP = batches.c.finished_second // bindparam("step", type_=batches.c.finished_second.type)
_BY_STEP = (
    select(
        batches.c.deployment,
        _STEP.label("step"),
        func.count(),
        func.sum(batches.c.requests),
        func.sum(batches.c.size),
        func.sum(case((batches.c.status == "failed", 1), else_=0)),
        func.sum(batches.c.predict_seconds),
    )
    .where(*_WITHIN)
    .group_by(batches.c.deployment, "step")
)
_BY_LATENCY = (
    select(batches.c.deployment, batches.c.latency_seconds, func.sum(batches.c.requests))
    .where(*_WITHIN)
    .group_by(batches.c.deployment, batches.c.latency_seconds)
)
