"""One contender empties one backlog, watched from outside: what its outputs hold, and how fast they grew."""

import re
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

__all__ = ["Drained", "Failed", "Filled", "Running", "audit", "watch"]

PREDICTION = re.compile(rb'"request_id":"([^"]+)"')
QUIET_SECONDS = 1.0
"""For so long the outputs must not have grown before it is over; repeats would show in it."""


class Failed(Exception):
    """A contender that did not answer everything in time."""


class Filled(Protocol):
    """What can be counted and read back."""

    def emitted(self) -> int: ...

    def outputs(self) -> Iterator[bytes]: ...


class Running(Protocol):
    """A process that may have ended by itself."""

    def check(self) -> None: ...

    def cpu_seconds(self) -> float: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Drained:
    """What one drain gave."""

    rate: float
    """Requests/s from the first output that was seen to the last."""
    cpu_microseconds: float
    """What the contender's own processes spent on a request, user and system."""
    repeated: int
    """Predictions beyond one a request."""


def watch(
    ground: Filled, running: Running, count: int, *, deadline_seconds: float, every_seconds: float = 0.02
) -> Drained:
    """Wait until `count` requests are answered and it is quiet; read everything back and count it.

    Raises Failed when that is not so by the deadline or when an answer is missing.
    """
    deadline = time.monotonic() + deadline_seconds
    samples: list[tuple[float, int, float]] = []
    while True:
        running.check()
        emitted, now = ground.emitted(), time.monotonic()
        if emitted and (not samples or emitted > samples[-1][1]):
            samples.append((now, emitted, running.cpu_seconds()))
        if samples and samples[-1][1] >= count and now - samples[-1][0] > QUIET_SECONDS:
            break
        if now > deadline:
            raise Failed(f"{samples[-1][1] if samples else 0} of {count} answers after {deadline_seconds:g} s")
        time.sleep(every_seconds)
    (began, first, before), (ended, last, after) = samples[0], samples[-1]
    if last == first:
        raise Failed(f"all {count} answers came between two looks; a larger backlog is needed")
    answers = audit(ground.outputs())
    if len(answers) != count:
        raise Failed(f"{len(answers)} of {count} requests are answered")
    # Some of what a contender emits may be no prediction; it takes its part of the time all the same.
    predictions = answers.total()
    requests = (last - first) * (count / last)
    return Drained(
        rate=requests / (ended - began),
        cpu_microseconds=(after - before) / requests * 1e6,
        repeated=predictions - count,
    )


def audit(outputs: Iterable[bytes]) -> Counter[bytes]:
    """How often each request was answered."""
    return Counter(found[1] for value in outputs if (found := PREDICTION.search(value)))
