"""Who is measured on which broker: the bare loop, predictq's worker, the peers."""

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from arena import Prepare, predictq, script
from grounds.amqp import AmqpGround
from grounds.ground import Ground
from grounds.kafka import KafkaGround
from grounds.redis import RedisGround, fsync
from peers_venv import peer_python

__all__ = ["CONTESTS", "Contender", "Contest"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """One way to do the same task."""

    name: str
    prepare: Prepare
    count: int
    """Requests of its backlog: some seconds' worth."""
    beside: Callable[[str], AbstractContextManager[None]] = lambda _: nullcontext()
    """How the server at the URL is set meanwhile."""
    goal: float | None = None
    """Least ratio of predictq to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """predictq and those it is compared with, under the same conditions."""

    name: str
    broker: str
    """Of asked.SERVERS."""
    ours: Contender
    bare: Contender
    peers: tuple[Contender, ...] = ()


def _bare(path: str, ground: Callable[[str, str], Ground]) -> Prepare:
    return script(f"bare/{path}", ground, python=lambda: sys.executable)


def _peer(path: str, ground: Callable[[str, str], Ground], *, fills: bool = False, confirms: bool = False) -> Prepare:
    return script(f"peers/{path}", ground, python=peer_python, fills=fills, env={"CONFIRMS": "1"} if confirms else {})


def _fsync(policy: str) -> Callable[[str], AbstractContextManager[None]]:
    return lambda url: fsync(url, policy)


def _one_stream(url: str, name: str) -> Ground:
    return RedisGround(url, name, outputs=(f"{name}.predictions",))


def _one_list(url: str, name: str) -> Ground:
    return RedisGround(url, name, outputs=(f"{name}.predictions",), lists=True)


REDIS = Contest(
    name="Redis, everysec",
    broker="redis",
    ours=Contender(name="predictq", prepare=predictq, count=100_000, beside=_fsync("everysec")),
    bare=Contender(
        name="bare loop",
        prepare=_bare("redis_loop.py", RedisGround),
        count=100_000,
        beside=_fsync("everysec"),
        goal=0.6,
    ),
    peers=(
        Contender(
            name="FastStream, batches of a stream",
            prepare=_peer("faststream_redis.py", _one_stream, fills=True),
            count=30_000,
            beside=_fsync("everysec"),
            goal=4.0,
        ),
        Contender(
            name="celery-batches",
            prepare=_peer("celery_batches.py", _one_list, fills=True),
            count=6_000,
            beside=_fsync("everysec"),
        ),
    ),
)
REDIS_ALWAYS = Contest(
    name="Redis, always",
    broker="redis",
    ours=Contender(name="predictq", prepare=predictq, count=100_000, beside=_fsync("always")),
    bare=Contender(
        name="bare loop", prepare=_bare("redis_loop.py", RedisGround), count=100_000, beside=_fsync("always"), goal=0.6
    ),
)
AIOKAFKA = _peer("faststream_kafka.py", KafkaGround)
KAFKA = Contest(
    name="Kafka, kafka-python",
    broker="kafka",
    ours=Contender(name="predictq", prepare=predictq, count=60_000),
    bare=Contender(name="bare loop", prepare=_bare("kafka_loop.py", KafkaGround), count=60_000, goal=0.75),
    peers=(Contender(name="FastStream on aiokafka", prepare=AIOKAFKA, count=60_000),),
)
CONFLUENT = Contest(
    name="Kafka, confluent",
    broker="confluent",
    ours=Contender(name="predictq", prepare=predictq, count=100_000),
    bare=Contender(name="bare loop", prepare=_bare("confluent_loop.py", KafkaGround), count=100_000, goal=0.75),
    peers=(
        Contender(name="FastStream on aiokafka", prepare=AIOKAFKA, count=60_000, goal=1.4),
        Contender(name="FastStream on confluent", prepare=_peer("faststream_confluent.py", KafkaGround), count=30_000),
    ),
)
AMQP = Contest(
    name="RabbitMQ, quorum queues",
    broker="amqp",
    ours=Contender(name="predictq", prepare=predictq, count=60_000),
    bare=Contender(name="bare loop", prepare=_bare("amqp_loop.py", AmqpGround), count=60_000, goal=0.7),
    peers=(
        Contender(
            name="celery-batches without confirms",
            prepare=_peer("celery_batches.py", AmqpGround, fills=True),
            count=15_000,
            goal=2.5,
        ),
        Contender(
            name="celery-batches with confirms",
            prepare=_peer("celery_batches.py", AmqpGround, fills=True, confirms=True),
            count=6_000,
        ),
        Contender(name="FastStream", prepare=_peer("faststream_rabbit.py", AmqpGround), count=5_000),
    ),
)
CONTESTS = (REDIS, REDIS_ALWAYS, KAFKA, CONFLUENT, AMQP)
