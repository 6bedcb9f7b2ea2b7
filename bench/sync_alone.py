"""How fast the sync service writes, without workers beside it: into PostgreSQL and into SQLite.

The handlers of ledger and store are called with prepared records, 1000 a call as by default, so that this is their path
and the database's alone; then a whole `predictq sync` process empties a backlog of requests and predictions on the
embedded broker. The ceiling is a bare loop on psycopg that writes the same predictions, in the same round.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from answering import load, predict, settle_memory
from asked import Asked
from figures import Figure, ratio_of
from predictq.brokers import NO_HEADERS, Admin, Message, Record
from predictq.loop import Handler, Limits
from predictq.names import Names
from predictq_sync.database import Database
from predictq_sync.ledger import Ledger
from predictq_sync.migrations import upgrade
from predictq_sync.store import Store
from servers import new_database, serving
from stage import Stage, staged, until
from traffic import ENDPOINT, Workload, read_messages
from workload import prepare

__all__ = ["measure"]

BATCH = 1000
NAMES = Names()
GOAL = 40_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Rows/s of one database, a figure a round; CPU in µs a row."""

    ledger: list[float] = field(default_factory=list)
    store: list[float] = field(default_factory=list)
    late: list[float] = field(default_factory=list)
    both: list[float] = field(default_factory=list)
    service: list[float] = field(default_factory=list)
    client_cpu: list[float] = field(default_factory=list)
    server_cpu: list[float] = field(default_factory=list)


def measure(asked: Asked) -> list[Figure]:
    """Rounds of bare loop, PostgreSQL, SQLite, bare loop …"""
    workload = prepare(asked.folder, 20_000 if asked.quick else 100_000)
    predictions = _predictions(asked.folder, workload)
    bare: list[float] = []
    series = {"PostgreSQL": Series(), "SQLite": Series()}
    with serving(["postgresql"], asked) as urls:
        for _ in range(asked.rounds):
            bare.append(_bare(urls["postgresql"], workload, predictions))
            for name, one in series.items():
                server = urls["postgresql"] if name == "PostgreSQL" else None
                _handlers(asked.folder, server, workload, predictions, one)
                one.service.append(_service(asked.folder, server, workload, predictions))
    ceiling = Figure(name="bare loop on psycopg: predictions", unit="rows/s", rounds=tuple(bare))
    figures = [ceiling]
    for name, one in series.items():
        goal = GOAL if name == "PostgreSQL" else None
        store = Figure(name=f"{name}: store alone", unit="rows/s", rounds=tuple(one.store), goal=goal)
        figures += [
            store,
            *([ratio_of("PostgreSQL: store to bare loop", store, ceiling)] if goal else []),
            Figure(name=f"{name}: ledger alone", unit="rows/s", rounds=tuple(one.ledger), goal=goal),
            Figure(name=f"{name}: ledger after the store", unit="rows/s", rounds=tuple(one.late)),
            Figure(name=f"{name}: both at once, rows of either", unit="rows/s", rounds=tuple(one.both), goal=goal),
            Figure(name=f"{name}: service on a backlog, rows of either", unit="rows/s", rounds=tuple(one.service)),
            Figure(name=f"{name}: CPU of the store for a row", unit="µs", rounds=tuple(one.client_cpu), better="less"),
        ]
        if one.server_cpu:
            spent = tuple(one.server_cpu)
            figures.append(Figure(name=f"{name}: CPU of the server for it", unit="µs", rounds=spent, better="less"))
    return figures


def _predictions(folder: Path, workload: Workload) -> Path:
    """The answers of the model to all requests, a line each."""
    file = folder / f"predictions-{workload.count}.jsonl"
    if not file.exists():
        model = load(workload.model)
        half_written = file.with_suffix(".part")
        with half_written.open("wb") as out:
            for values in read_messages(workload.messages, 500):
                out.writelines(value + b"\n" for value in predict(values, model))
        half_written.rename(file)
    return file


@contextmanager
def _database(folder: Path, server: str | None) -> Iterator[Database]:
    """Empty and migrated; a file, or a new database on the server."""
    with ExitStack() as stack:
        url = stack.enter_context(new_database(server))
        if server is None:
            file = folder / f"sync-{time.time_ns()}.db"
            stack.callback(_remove, file)
            url = f"sqlite:///{file}"
        database = stack.enter_context(closing(Database(url)))
        upgrade(database)
        yield database


def _remove(file: Path) -> None:
    for each in file.parent.glob(f"{file.name}*"):
        each.unlink()


def _bare(server: str, workload: Workload, predictions: Path) -> float:
    with _database(workload.messages.parent, server) as database:
        _drain(_ledger(database), _records(workload.messages, NAMES.requests(ENDPOINT)))
        url = database.engine.url.render_as_string(hide_password=False)
        script = Path(__file__).with_name("bare") / "postgresql_loop.py"
        command = [sys.executable, str(script), str(predictions), url, str(BATCH)]
        result = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    return float(result["predictions"] / result["seconds"])


def _handlers(folder: Path, server: str | None, workload: Workload, predictions: Path, series: Series) -> None:
    requests = _records(workload.messages, NAMES.requests(ENDPOINT))
    answers = _records(predictions, NAMES.predictions(ENDPOINT))
    count, half = workload.count, workload.count // 2
    settle_memory()
    with _database(folder, server) as database:
        series.ledger.append(count / _seconds(lambda: _drain(_ledger(database), requests)))
        before = _cpu_seconds(database)
        series.store.append(count / _seconds(lambda: _drain(_store(database), answers)))
        spent = [after - at for after, at in zip(_cpu_seconds(database), before, strict=True)]
        series.client_cpu.append(spent[0] / count * 1e6)
        if server is not None:
            series.server_cpu.append(spent[1] / count * 1e6)
        _check(database, count)
    with _database(folder, server) as database:
        _drain(_store(database), answers)
        series.late.append(count / _seconds(lambda: _drain(_ledger(database), requests)))
        _check(database, count)
    with _database(folder, server) as database, ThreadPoolExecutor(2) as threads:
        # As in a service at work: the store answers what the ledger wrote a while ago.
        _drain(_ledger(database), requests[:half])

        def both() -> None:
            ledger = threads.submit(_drain, _ledger(database), requests[half:])
            threads.submit(_drain, _store(database), answers[:half]).result()
            ledger.result()

        series.both.append(count / _seconds(both))
        _check(database, half)


def _service(folder: Path, server: str | None, workload: Workload, predictions: Path) -> float:
    """Rows/s of a `predictq sync` process, from the first settled batch that is seen to the last."""
    with new_database(server) as url, staged(folder, workload, database=url, audited=False) as stage:
        stage.run("db", "upgrade")
        with closing(stage.broker.producer()) as producer, closing(stage.broker.admin()) as admin:
            for file, topic in (
                (workload.messages, stage.names.requests(ENDPOINT)),
                (predictions, stage.names.predictions(ENDPOINT)),
            ):
                for values in read_messages(file, BATCH):
                    producer.publish([Message(topic, value) for value in values])
            return _rate(stage, admin, 2 * workload.count)


def _rate(stage: Stage, admin: Admin, count: int) -> float:
    def left() -> int:
        lags = [
            admin.lag(stage.names.requests(ENDPOINT), stage.names.ledger_group),
            admin.lag(stage.names.predictions(ENDPOINT), stage.names.store_group),
        ]
        return sum(lag.ready + (lag.in_flight or 0) for lag in lags)

    sync = stage.start("sync")
    until(lambda: left() < count, sync)
    started, waiting = time.perf_counter(), left()
    until(lambda: left() == 0, sync)
    return waiting / (time.perf_counter() - started)


def _records(file: Path, topic: str) -> Sequence[Record]:
    now = time.time()
    return [
        Record(topic, 0, str(number), value, None, NO_HEADERS, now, 0)
        for number, value in enumerate(value for values in read_messages(file, BATCH) for value in values)
    ]


def _ledger(database: Database) -> Ledger:
    return Ledger(database=database, names=NAMES, endpoints=[ENDPOINT], limits=_limits(), admin=_no_admin)


def _store(database: Database) -> Store:
    return Store(database=database, names=NAMES, endpoints=[ENDPOINT], limits=_limits())


def _limits() -> Limits:
    return Limits(BATCH, 1 << 24, 0.0)


def _no_admin() -> Admin:
    raise RuntimeError("nothing here asks the broker")


def _drain(handler: Handler, records: Sequence[Record]) -> None:
    for start in range(0, len(records), BATCH):
        handler.handle(records[start : start + BATCH])


def _seconds(call: Callable[[], None]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def _cpu_seconds(database: Database) -> tuple[float, float]:
    """Of this process, and of the sessions of PostgreSQL that serve it on this machine."""
    sessions: Sequence[int] = ()
    if database.dialect == "postgresql":
        with database.read() as connection:
            found = connection.exec_driver_sql("SELECT pid FROM pg_stat_activity WHERE datname = current_database()")
            sessions = found.scalars().all()
    return _spent(psutil.Process()), sum(_spent(psutil.Process(pid)) for pid in sessions)


def _spent(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _check(database: Database, count: int) -> None:
    with database.read() as connection:
        found = connection.exec_driver_sql(
            "SELECT count(*) FROM predictions JOIN requests ON requests.id = predictions.request_id "
            "WHERE requests.status = 'succeeded'"
        ).scalar_one()
    if found != count:
        raise RuntimeError(f"{found} of {count} predictions were stored and rolled up")
