"""Looking at single records with kafka-python, wherever they stand."""

import time
from collections.abc import Mapping
from typing import Any

from kafka import KafkaConsumer, TopicPartition

from predictq.brokers.kafka.driver import Place
from predictq.brokers.kafka.drivers.python_client import closed, connected
from predictq.brokers.kafka.drivers.python_errors import translated
from predictq.brokers.kafka.drivers.python_member import EVERYTHING, fetched, reading
from predictq.brokers.kafka.options import Options

__all__ = ["PythonHeads"]

_TURN_MS = 50
_FETCH_BYTES = 65_536
"""Of a partition; the first batch of some partition comes whole, however large, so each has its turn."""


class PythonHeads:
    """One consumer without a group, made when it is first needed and kept."""

    def __init__(self, options: Options, settings: Mapping[str, Any]) -> None:
        self._options = options
        self._settings = {**reading(options), **settings, "max_partition_fetch_bytes": _FETCH_BYTES}
        self._settings |= {"fetch_max_wait_ms": _TURN_MS}
        self._consumer: Any = None

    def published(self, spans: Mapping[Place, tuple[int, int]]) -> Mapping[Place, float]:
        """Unix seconds at which the first record of each span of offsets was published, the end excluded; nothing for
        a span without records."""
        found: dict[Place, float] = {}
        left = {TopicPartition(*place): end for place, (_, end) in spans.items()}
        deadline = time.monotonic() + self._options.request_seconds
        with translated(self._options.shown):
            if self._consumer is None:
                self._consumer = connected(KafkaConsumer, self._settings)
            consumer = self._consumer
            consumer.assign(list(left))
            consumer.resume(*left)
            for place, (begin, _) in spans.items():
                consumer.seek(TopicPartition(*place), begin)
            while left and time.monotonic() < deadline:
                for run in fetched(consumer.poll(_TURN_MS, EVERYTHING)):
                    found.setdefault(run.place, run.records[0].published_at)
                done = [tp for tp, end in left.items() if Place(*tp) in found or consumer.position(tp) >= end]
                for tp in done:
                    del left[tp]
                consumer.pause(*done)
        return found

    def close(self) -> None:
        """Let go of the connections; used again it makes new ones."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            closed(consumer, lambda: consumer.close(autocommit=False, timeout_ms=0))
