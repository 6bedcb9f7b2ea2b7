"""What the mini-batches of an endpoint's deployments tell: how many, how large, how long."""

import math
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from itertools import accumulate
from operator import add
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
    """Of mini-batches of one deployment."""

    batches: int
    requests: int
    instances: int
    failed: int
    predict_seconds: float

    def plus(self, other: "Sums") -> "Sums":
        """Of both."""
        return Sums(*map(add, self, other))


class ActivityReader:
    """Reads mini-batches. Blocks; may be used by any thread."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    def activity(self, endpoint: str, window: Window, deployments: Sequence[str]) -> Activity:
        """Of these deployments."""
        step, steps = window
        end = int(self._clock()) // step * step
        begin = end - steps * step
        asked = {"endpoint": endpoint, "deployments": list(deployments), "begin": begin, "end": end}
        by_step: defaultdict[str, list[Sums]] = defaultdict(lambda: [NOTHING] * steps)
        taken: defaultdict[str, list[tuple[float, int]]] = defaultdict(list)
        with self._database.read() as connection:
            for name, second, *sums in connection.execute(_BY_SECOND, asked):
                at = (second - begin) // step
                by_step[name][at] = by_step[name][at].plus(Sums(*sums))
            for name, seconds, weight in connection.execute(_BY_LATENCY, asked):
                taken[name].append((seconds, weight))
        return {
            "endpoint": endpoint,
            "begin": wire_time(begin),
            "end": wire_time(end),
            "step_seconds": float(step),
            "deployments": [_deployment(name, by_step[name], taken[name]) for name in deployments],
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


# Every column is in `batches_by_deployment`, whose order the first of them is in.
_WITHIN = (
    batches.c.endpoint == bindparam("endpoint"),
    batches.c.deployment.in_(bindparam("deployments", expanding=True)),
    batches.c.finished_second >= bindparam("begin"),
    batches.c.finished_second < bindparam("end"),
)
_BY_SECOND = (
    select(
        batches.c.deployment,
        batches.c.finished_second,
        func.count(),
        func.sum(batches.c.requests),
        func.sum(batches.c.size),
        func.sum(case((batches.c.status == "failed", 1), else_=0)),
        func.sum(batches.c.predict_seconds),
    )
    .where(*_WITHIN)
    .group_by(batches.c.deployment, batches.c.finished_second)
)
_BY_LATENCY = (
    select(batches.c.deployment, batches.c.latency_seconds, func.sum(batches.c.requests))
    .where(*_WITHIN)
    .group_by(batches.c.deployment, batches.c.latency_seconds)
)
