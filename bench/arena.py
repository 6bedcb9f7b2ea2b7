"""The place of one drain: a backlog that waits, outputs that are counted, and a process that can be started on it."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from drain import Filled, Running
from grounds.amqp import AmqpCount
from grounds.ground import Count, Ground
from grounds.kafka import KafkaCount
from grounds.redis import PARTITIONS, RedisCount
from predictq.brokers import Done, Subscription
from programs import HERE, Program
from stage import Stage, staged
from traffic import DEPLOYMENT, ENDPOINT, Workload, read_messages

__all__ = ["Arena", "Prepare", "StageOutputs", "predictq", "script"]

CALL = 500
FILL_SECONDS = 120.0
READ_SECONDS = 60.0
NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Arena:
    """Filled and ready."""

    outputs: Filled
    start: Callable[[], Running]
    """Starts the process that empties it, which ends with the arena."""


Prepare = Callable[[str, Path, Workload], AbstractContextManager[Arena]]
"""From the server's URL, a folder for files, and what is sent."""


@contextmanager
def predictq(url: str, folder: Path, workload: Workload) -> Iterator[Arena]:
    """`predictq worker`; its outputs are what waits for the sync service, which does not run."""
    with staged(folder, workload, broker=url, audited=False) as stage, closing(StageOutputs(stage)) as outputs:
        stage.publish(workload.messages, workload.count)
        yield Arena(outputs=outputs, start=lambda: stage.start("worker", DEPLOYMENT))


def script(
    path: str,
    ground: Callable[[str, str], Ground],
    *,
    python: Callable[[], str],
    fills: bool = False,
    env: Mapping[str, str] = NOTHING,
) -> Prepare:
    """A script of `bench/`, called with URL, name and model.

    With `fills` it is called with the messages and their number too, and then puts them on its inputs itself.
    """

    @contextmanager
    def prepare(url: str, folder: Path, workload: Workload) -> Iterator[Arena]:
        name = f"bench-{time.time_ns():x}"
        log = folder / f"{Path(path).stem}.log"
        # -P: a script may have the name of a package that it imports.
        argv = [python(), "-P", str(HERE / path), url, name, str(workload.model)]
        with closing(ground(url, name)) as filled, ExitStack() as running:
            if fills:
                Program([*argv, str(workload.messages), str(workload.count)], log, env=env).finish(FILL_SECONDS)
            else:
                filled.fill(read_messages(workload.messages, CALL, workload.count))

            def start() -> Program:
                program = Program(argv, log, env=env)
                running.callback(program.stop)
                return program

            yield Arena(outputs=filled, start=start)

    return prepare


class StageOutputs:
    """The predictions topic of a stage, read as the sync service's group, which has read nothing before."""

    def __init__(self, stage: Stage) -> None:
        self._topic = stage.names.predictions(ENDPOINT)
        self._group = stage.names.store_group
        self._broker = stage.broker
        self.emitted = _count_of(stage, self._topic, self._group)

    def outputs(self) -> Iterator[bytes]:
        """Takes all that waits."""
        left = self.emitted()
        deadline = time.monotonic() + READ_SECONDS
        subscription = Subscription(topics=(self._topic,), member="bench-count", group=self._group)
        with closing(self._broker.consumer(subscription)) as consumer:
            while left > 0:
                if time.monotonic() > deadline:
                    raise RuntimeError(f"{left} predictions could not be read back")
                batch = consumer.poll(2000, 16 * 1024 * 1024, 0.0)
                yield from (record.value for record in batch)
                consumer.settle(batch, [Done()] * len(batch))
                left -= len(batch)

    def close(self) -> None:
        """Close the connection that counts."""
        self.emitted.close()


class _Waiting:
    """What waits for a group, as predictq says it. On a file; on a server it would cost more than counting alone."""

    def __init__(self, stage: Stage, topic: str, group: str) -> None:
        self._topic, self._group = topic, group
        self._admin = stage.broker.admin()

    def __call__(self) -> int:
        return self._admin.lag(self._topic, self._group).ready

    def close(self) -> None:
        self._admin.close()


def _count_of(stage: Stage, topic: str, group: str) -> Count:
    url = stage.settings.broker_url()
    prefix, endpoint, kind = topic.split(".")
    if "kafka" in url.partition("://")[0]:
        return KafkaCount(url, topic)
    if url.startswith("redis"):
        return RedisCount(url, [f"{{{prefix}.{endpoint}.{partition}}}:{kind}" for partition in range(PARTITIONS)])
    if url.startswith("amqp"):
        return AmqpCount(url, f"{topic}.{group.partition('.')[2]}")
    return _Waiting(stage, topic, group)
