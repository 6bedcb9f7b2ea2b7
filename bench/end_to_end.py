"""From publish to a readable row: a publishing process, a worker and the sync service, all at once.

Nothing is believed: afterwards every request that was accepted must have its row, every row its request, and the output
topic must hold exactly one prediction a request.
"""

import time
from collections import Counter
from contextlib import closing
from pathlib import Path

from sqlalchemy import create_engine, text

from figures import Figure
from predictq.brokers import Admin, Done, Subscription
from predictq.messages import PREDICTION, PREDICTION_TYPE, REQUEST
from stage import AUDIT_GROUP, NAMES, Stage, staged, until
from traffic import DEPLOYMENT, ENDPOINT, Workload, read_messages
from worker_drain import left_of
from workload import prepare

__all__ = ["left_of_sync", "measure"]

TYPE_FIELD = f'"type":"{PREDICTION_TYPE}"'.encode()


def measure(root: Path, rounds: int, *, quick: bool) -> list[Figure]:
    """Requests/s, what each process spends on a request, and what was lost or doubled."""
    workload = prepare(root, 50_000 if quick else 200_000)
    rates, lost, doubled = [], [], []
    spent: dict[str, list[float]] = {}
    for _ in range(rounds):
        with staged(root, workload) as stage:
            seconds, cpu_seconds = _flow(stage, workload)
            wrong = _audit(stage, workload)
        rates.append(workload.count / seconds)
        for name, each in cpu_seconds.items():
            spent.setdefault(name, []).append(each / workload.count * 1e6)
        lost.append(float(wrong[0]))
        doubled.append(float(wrong[1]))
    return [
        Figure(name="publish to readable row", unit="requests/s", rounds=tuple(rates), goal=15_000),
        *(Figure(name=f"CPU of {name} for a request", unit="µs", rounds=tuple(spent[name])) for name in spent),
        Figure(name="lost: accepted without a row", unit="", rounds=tuple(lost), goal=0, better="less"),
        Figure(name="doubled or foreign: rows and events", unit="", rounds=tuple(doubled), goal=0, better="less"),
    ]


def _flow(stage: Stage, workload: Workload) -> tuple[float, dict[str, float]]:
    """Seconds from the first publish to the last row, and CPU seconds of the processes meanwhile."""
    stage.run("db", "upgrade")
    with closing(stage.broker.admin()) as admin:
        processes = [stage.start("worker", DEPLOYMENT), stage.start("sync")]
        before = [process.cpu_seconds() for process in processes]
        publisher = stage.publishing(workload.messages)
        if publisher.stdout is None:
            raise RuntimeError("the publisher has no standard output")
        started = float(publisher.stdout.readline())
        until(lambda: publisher.poll() is not None, *processes)
        accepted = int(publisher.stdout.readline())
        if accepted != workload.count:
            raise RuntimeError(f"{accepted} of {workload.count} were accepted")
        # In this order: once nothing is left upstream, what is left downstream can only shrink.
        until(lambda: left_of(admin) == 0, *processes)
        until(lambda: left_of_sync(admin) == 0, *processes)
        seconds = time.time() - started
        spent = {p.name: p.cpu_seconds() - at for p, at in zip(processes, before, strict=True)}
        for process in processes:
            process.stop()
    return seconds, spent


def left_of_sync(admin: Admin) -> int:
    lags = [
        admin.lag(NAMES.predictions(ENDPOINT), NAMES.store_group),
        admin.lag(NAMES.requests(ENDPOINT), NAMES.ledger_group),
    ]
    return sum(lag.ready + lag.in_flight for lag in lags)


def _audit(stage: Stage, workload: Workload) -> tuple[int, int]:
    sent = {REQUEST.decode(value)["id"] for values in read_messages(workload.messages, 1000) for value in values}
    stored = _stored(stage)
    emitted = _emitted(stage)
    lost = len(sent - stored.keys()) + len(sent - emitted.keys())
    doubled = sum(n - 1 for n in stored.values()) + sum(n - 1 for n in emitted.values())
    foreign = len(stored.keys() - sent) + len(emitted.keys() - sent)
    return lost, doubled + foreign


def _stored(stage: Stage) -> Counter[str]:
    engine = create_engine(stage.settings.database_url())
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT request_id FROM predictions WHERE status = 'succeeded'"))
        stored = Counter(str(request_id) for (request_id,) in rows)
    engine.dispose()
    return stored


def _emitted(stage: Stage) -> Counter[str]:
    subscription = Subscription(topics=(NAMES.predictions(ENDPOINT),), member="bench-audit", group=AUDIT_GROUP)
    emitted: Counter[str] = Counter()
    with closing(stage.broker.consumer(subscription)) as consumer, closing(stage.broker.admin()) as admin:
        while admin.lag(NAMES.predictions(ENDPOINT), AUDIT_GROUP).ready:
            batch = consumer.poll(5000, 64 * 1024 * 1024, 0.0)
            values = [record.value for record in batch if TYPE_FIELD in record.value]
            emitted.update(PREDICTION.decode(value)["data"]["request_id"] for value in values)
            consumer.settle(batch, [Done()] * len(batch))
    return emitted
