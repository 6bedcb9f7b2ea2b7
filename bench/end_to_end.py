"""From publish to a readable row: a publishing process, a worker and the sync service, all at once.

Nothing is believed: afterwards every request that was accepted must have its row, every row its request, and the output
topic must hold exactly one prediction a request. On RabbitMQ rows alone are looked at.
"""

import time
from collections import Counter
from contextlib import closing

from sqlalchemy import create_engine, text

from asked import Asked
from attempt import attempt, say
from figures import Figure
from predictq.brokers import Admin, Done, Lag, Subscription
from predictq.messages import PREDICTION, PREDICTION_TYPE, REQUEST
from servers import new_database, serving
from stage import Stage, staged, until
from traffic import DEPLOYMENT, ENDPOINT, Workload, read_messages
from worker_drain import left_of
from workload import prepare

__all__ = ["left_of_sync", "measure"]

LOOK_SECONDS = 0.1
"""Asking a server for a lag takes some of the time of the cores that are measured."""
TYPE_FIELD = f'"type":"{PREDICTION_TYPE}"'.encode()


def measure(asked: Asked) -> list[Figure]:
    """Requests/s, what each process spends on a request, and what was lost or doubled; on each broker asked for.

    SQLite with SQLite; servers with PostgreSQL.
    """
    brokers = asked.brokers or ("sqlite",)
    on_postgresql = "postgresql" in asked.urls or brokers != ("sqlite",)
    figures: list[Figure] = []
    with serving([*brokers, *(["postgresql"] if on_postgresql else [])], asked) as urls:
        for broker in brokers:
            database = urls["postgresql"] if broker != "sqlite" or "postgresql" in asked.urls else None
            figures += _figures(f"{broker}: " if brokers != ("sqlite",) else "", urls[broker], database, asked)
    return figures


def _figures(prefix: str, broker: str, database: str | None, asked: Asked) -> list[Figure]:
    workload = prepare(asked.folder, 50_000 if asked.quick else 200_000 if database is None else 100_000)
    # On RabbitMQ another group would be another queue to write to, and repeats are allowed there.
    audited = not broker.startswith("amqp")
    rates, lost, doubled = [], [], []
    spent: dict[str, list[float]] = {}
    for _ in range(asked.rounds):
        with (
            attempt(f"{prefix}publish to readable row"),
            new_database(database) as database_url,
            staged(asked.folder, workload, broker=broker, database=database_url, audited=audited) as stage,
        ):
            seconds, cpu_seconds = _flow(stage, workload)
            wrong = _audit(stage, workload, emitted=audited)
            rates.append(workload.count / seconds)
            for name, each in cpu_seconds.items():
                spent.setdefault(name, []).append(each / workload.count * 1e6)
            lost.append(float(wrong[0]))
            doubled.append(float(wrong[1]))
            say(f"{prefix}{rates[-1]:,.0f}/s to a readable row")
    if not rates:
        return []
    goal = 15_000 if database is None else None
    return [
        Figure(name=f"{prefix}publish to readable row", unit="requests/s", rounds=tuple(rates), goal=goal),
        *(Figure(name=f"{prefix}CPU of {name} for a request", unit="µs", rounds=tuple(spent[name])) for name in spent),
        Figure(name=f"{prefix}lost: accepted without a row", unit="", rounds=tuple(lost), goal=0, better="less"),
        Figure(
            name=f"{prefix}doubled or foreign: rows and events", unit="", rounds=tuple(doubled), goal=0, better="less"
        ),
    ]


def _flow(stage: Stage, workload: Workload) -> tuple[float, dict[str, float]]:
    """Seconds from the first publish to the last row, and CPU seconds of the processes meanwhile."""
    stage.run("db", "upgrade")
    with closing(stage.broker.admin()) as admin:
        processes = [stage.start("worker", DEPLOYMENT), stage.start("sync")]
        before = [process.cpu_seconds() for process in processes]
        publisher = stage.publishing(workload.messages, workload.count)
        if publisher.stdout is None:
            raise RuntimeError("the publisher has no standard output")
        started = float(publisher.stdout.readline())
        until(lambda: publisher.poll() is not None, *processes)
        accepted = int(publisher.stdout.readline())
        if accepted != workload.count:
            raise RuntimeError(f"{accepted} of {workload.count} were accepted")
        # In this order: once nothing is left upstream, what is left downstream can only shrink.
        until(lambda: left_of(stage, admin) == 0, *processes, every_seconds=LOOK_SECONDS)
        until(lambda: left_of_sync(stage, admin) == 0, *processes, every_seconds=LOOK_SECONDS)
        # Some brokers cannot tell what is in flight.
        with closing(_Rows(stage)) as rows:
            until(lambda: rows.count() >= workload.count, *processes)
        seconds = time.time() - started
        spent = {p.name: p.cpu_seconds() - at for p, at in zip(processes, before, strict=True)}
        for process in processes:
            process.stop()
    return seconds, spent


class _Rows:
    """The predictions that can be read."""

    def __init__(self, stage: Stage) -> None:
        self._engine = create_engine(stage.settings.database_url())

    def count(self) -> int:
        """All of them."""
        with self._engine.connect() as connection:
            return int(connection.execute(text("SELECT count(*) FROM predictions")).scalar_one())

    def close(self) -> None:
        self._engine.dispose()


def left_of_sync(stage: Stage, admin: Admin) -> int:
    lags = [
        admin.lag(stage.names.predictions(ENDPOINT), stage.names.store_group),
        admin.lag(stage.names.requests(ENDPOINT), stage.names.ledger_group),
    ]
    return sum(map(_left, lags))


def _left(lag: Lag) -> int:
    return lag.ready + (lag.in_flight or 0)


def _audit(stage: Stage, workload: Workload, *, emitted: bool) -> tuple[int, int]:
    sent = {REQUEST.decode(value)["id"] for values in read_messages(workload.messages, 1000) for value in values}
    stored = _stored(stage)
    lost = doubled = 0
    for found in (stored, _emitted(stage)) if emitted else (stored,):
        lost += len(sent - found.keys())
        doubled += sum(n - 1 for n in found.values()) + len(found.keys() - sent)
    return lost, doubled


def _stored(stage: Stage) -> Counter[str]:
    engine = create_engine(stage.settings.database_url())
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT request_id FROM predictions WHERE status = 'succeeded'"))
        stored = Counter(str(request_id) for (request_id,) in rows)
    engine.dispose()
    return stored


def _emitted(stage: Stage) -> Counter[str]:
    subscription = Subscription(
        topics=(stage.names.predictions(ENDPOINT),), member="bench-audit", group=stage.audit_group
    )
    emitted: Counter[str] = Counter()
    with closing(stage.broker.consumer(subscription)) as consumer, closing(stage.broker.admin()) as admin:
        # On Kafka what is to be handed out next counts as in flight already.
        while _left(admin.lag(stage.names.predictions(ENDPOINT), stage.audit_group)):
            batch = consumer.poll(5000, 64 * 1024 * 1024, 0.0)
            values = [record.value for record in batch if TYPE_FIELD in record.value]
            emitted.update(PREDICTION.decode(value)["data"]["request_id"] for value in values)
            consumer.settle(batch, [Done()] * len(batch))
    return emitted
