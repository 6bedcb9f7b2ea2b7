"""How long requests wait when one of two workers is killed: SIGKILL in the midst of steady traffic.

The model is slow, so that the killed one has requests in hand. These, and what is published to its share until another
takes that over, have to wait; the longest wait after the kill is the figure. Settings are the default ones.
"""

import re
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from typing import Self

from asked import BROKERS, Asked
from attempt import attempt, say
from drain import PREDICTION
from figures import Figure
from predictq.brokers import Consumer, Done, Message, Subscription
from servers import serving
from stage import Stage, staged
from traffic import DEPLOYMENT, ENDPOINT, Workload, read_messages
from workload import prepare, prepare_forest

__all__ = ["measure"]

MESSAGES = 100_000
RATE = 100.0  # requests/s
STEADY_SECONDS = 3.0
LATE_SECONDS = 2.0
"""A request that is open for longer waits for the dead worker's share."""
DEADLINE_SECONDS = 120.0
REQUEST_ID = re.compile(rb'"id":"([^"]+)"')
WORKER = re.compile(rb'"worker":"([^"]+)"')


def measure(asked: Asked) -> list[Figure]:
    """Seconds of the longest wait, and how many requests waited for more than a second."""
    workload = prepare(asked.folder, MESSAGES)
    workload = replace(workload, model=prepare_forest(asked.folder))
    figures: list[Figure] = []
    with serving(asked.brokers or BROKERS, asked) as urls:
        for broker, url in urls.items():
            waits: list[list[float]] = []
            for _ in range(asked.rounds):
                with attempt(broker):
                    waits.append(_round(url, workload, asked))
                    say(f"{broker}: {max(waits[-1]):.2f} s")
            if waits:
                figures += _figures(broker, waits)
    return figures


def _figures(broker: str, waits: list[list[float]]) -> list[Figure]:
    longest = tuple(max(each) for each in waits)
    late = tuple(float(sum(wait > 1.0 for wait in each)) for each in waits)
    return [
        Figure(name=f"{broker}: longest wait after SIGKILL", unit="s", rounds=longest, better="less"),
        Figure(name=f"{broker}: waited for more than 1 s", unit="requests", rounds=late, better="less"),
    ]


def _round(url: str, workload: Workload, asked: Asked) -> list[float]:
    with staged(asked.folder, workload, broker=url, audited=False) as stage:
        workers = stage.start_all(("worker", DEPLOYMENT), ("worker", DEPLOYMENT))
        with _Feeder(stage, workload) as feeder, closing(_reading(stage)) as consumer:
            seen = _Seen(consumer)
            seen.until(lambda: len(seen.workers) == 2, "both workers have answered")
            steady = time.time() + STEADY_SECONDS
            seen.until(lambda: time.time() > steady and not feeder.open(seen.at, LATE_SECONDS), "nobody waits")
            workers[0].kill()
            killed = time.time()
            settled = killed + LATE_SECONDS + STEADY_SECONDS
            seen.until(lambda: time.time() > settled and not feeder.open(seen.at, LATE_SECONDS), "nobody waits again")
            feeder.stop()
            seen.until(lambda: not feeder.open(seen.at, 0.0), "all is answered")
            workers[1].check()
            return [at - max(killed, feeder.sent[one]) for one, at in seen.at.items() if at > killed]


def _reading(stage: Stage) -> Consumer:
    topics = (stage.names.predictions(ENDPOINT),)
    return stage.broker.consumer(
        Subscription(topics=topics, member="bench-reader", group=stage.names.store_group, idle_seconds=0.05)
    )


class _Seen:
    """When each request was answered first, and by whom."""

    def __init__(self, consumer: Consumer) -> None:
        self.at: dict[bytes, float] = {}
        self.workers: set[bytes] = set()
        self._consumer = consumer

    def until(self, done: Callable[[], bool], what: str) -> None:
        """Read on until it is so. Raises RuntimeError where that takes too long."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not done():
            if time.monotonic() > deadline:
                raise RuntimeError(f"not within {DEADLINE_SECONDS:g} s: {what}")
            batch = self._consumer.poll(500, 1 << 20, 0.0)
            now = time.time()
            for record in batch:
                if found := PREDICTION.search(record.value):
                    self.at.setdefault(found[1], now)
                elif worker := WORKER.search(record.value):
                    self.workers.add(worker[1])
            self._consumer.settle(batch, [Done()] * len(batch))


class _Feeder:
    """A thread that publishes requests at a steady rate."""

    def __init__(self, stage: Stage, workload: Workload) -> None:
        self.sent: dict[bytes, float] = {}
        """When the broker had it."""
        self._stage = stage
        self._workload = workload
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._feed, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """No more; what was published is in `sent`."""
        self._ended.set()
        self._thread.join()

    def open(self, answered: dict[bytes, float], seconds: float) -> bool:
        """Whether a request has been without an answer for so long."""
        before = time.time() - seconds
        return any(at <= before and one not in answered for one, at in self.sent.copy().items())

    def _feed(self) -> None:
        topic = self._stage.names.requests(ENDPOINT)
        with closing(self._stage.broker.producer()) as producer:
            for values in read_messages(self._workload.messages, 1):
                if self._ended.wait(1 / RATE):
                    return
                producer.publish([Message(topic, value) for value in values])
                found = REQUEST_ID.search(values[0])
                if found:
                    self.sent[found[1]] = time.time()
