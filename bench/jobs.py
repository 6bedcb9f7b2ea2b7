"""A file of many rows: from the start of its upload to its last row readable, beside the plain way of today.

All processes run on the embedded broker and database: gateway, ingest, one worker, sync service. While the largest file
is worked off, single requests are submitted and waited for at a low rate: they overtake it. The plain way is a script
as a data scientist writes it: pandas reads the file, the model predicts it at once, `to_sql` writes the table.
"""

import asyncio
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from statistics import quantiles
from typing import Any

import httpx
import joblib
import numpy as np
import pandas as pd

from asked import Asked
from attempt import attempt, say
from command import Process
from figures import Figure, ratio_of
from memory import ROOM, resident
from open_loop import OpenLoop
from stage import Stage, staged
from traffic import DEPLOYMENT, ENDPOINT, Workload
from workload import instances, prepare

__all__ = ["measure"]

ROWS = 1_000_000
QUICK = 10
GOALS = {"parquet": 100_000, "csv": 60_000}
RESULT_GOAL = 300_000
SINGLES = 100.0  # requests/s
LATENCY_GOAL = 100  # ms
COMMANDS = (("worker", DEPLOYMENT), ("sync",), ("ingest",), ("gateway",))


def measure(asked: Asked) -> list[Figure]:
    """Rows/s of each kind of file, of its results, and of the plain way; latency beside it; memory."""
    workload = prepare(asked.folder, 10_000)
    rows = ROWS // QUICK if asked.quick else ROWS
    figures: list[Figure] = []
    for form in GOALS:
        file = _file(asked.folder, form, rows)
        taken = []
        for _ in range(asked.rounds):
            with attempt(f"{rows:,} rows of {form}"):
                taken.append((_Round(asked.folder, workload, file, rows).run(), _plain(workload, file, rows)))
                say(f"{form}: {taken[-1][0]['rate']:,.0f} rows/s, plain {taken[-1][1]:,.0f}")
        if taken:
            figures += _figures(form, taken)
    return figures + _memory(asked, workload, rows)


def _figures(form: str, taken: list[tuple[dict[str, float], float]]) -> list[Figure]:
    ours = Figure(
        name=f"{form}: upload to last row readable",
        unit="rows/s",
        rounds=tuple(each["rate"] for each, _ in taken),
        goal=GOALS[form],
    )
    plain = Figure(name=f"{form}: pandas, predict, to_sql", unit="rows/s", rounds=tuple(rate for _, rate in taken))
    return [
        ours,
        plain,
        ratio_of(f"{form}: predictq to the plain way", ours, plain),
        Figure(
            name=f"{form}: results as Parquet",
            unit="rows/s",
            rounds=tuple(each["results"] for each, _ in taken),
            goal=RESULT_GOAL,
        ),
        Figure(
            name=f"{form}: single requests meanwhile, p99",
            unit="ms",
            rounds=tuple(each["p99"] for each, _ in taken),
            goal=LATENCY_GOAL,
            better="less",
        ),
        *(
            Figure(name=f"{form}: CPU of {name} for a row", unit="µs", rounds=tuple(each[name] for each, _ in taken))
            for name in ("worker", "sync", "ingest", "gateway")
        ),
    ]


def _memory(asked: Asked, workload: Workload, rows: int) -> list[Figure]:
    """Peak RSS with all rows and with a tenth of them."""
    small, large = (
        _Round(asked.folder, workload, _file(asked.folder, "parquet", count), count).run()
        for count in (rows // 10, rows)
    )
    return [
        Figure(
            name=f"{name}, growth from {rows // 10:,} rows to {rows:,}",
            unit="MiB",
            rounds=(large[f"{name} MiB"] - small[f"{name} MiB"],),
            goal=ROOM,
            better="less",
        )
        for name in ("worker", "sync", "ingest", "gateway")
    ]


class _Round:
    """One job on a fresh installation."""

    def __init__(self, root: Path, workload: Workload, file: Path, rows: int) -> None:
        self._root, self._workload, self._file, self._rows = root, workload, file, rows
        self._peaks: dict[str, float] = {}
        self._latencies: Sequence[float] = ()

    def run(self) -> dict[str, float]:
        """Figures by their names."""
        with staged(self._root, self._workload, audited=False) as stage:
            stage.run("db", "upgrade")
            processes = stage.start_all(*COMMANDS)
            with httpx.Client(base_url=f"http://127.0.0.1:{stage.port}", timeout=60) as http, self._singles(stage):
                before = {process.name: process.cpu_seconds() for process in processes}
                seconds, job_id = self._work(http, processes)
                spent = {p.name: (p.cpu_seconds() - before[p.name]) / self._rows * 1e6 for p in processes}
            results = self._read(stage, job_id)
            p99 = quantiles(self._latencies, n=100)[98] * 1e3
            peaks = {f"{name} MiB": peak for name, peak in self._peaks.items()}
            return {"rate": self._rows / seconds, "results": results, "p99": p99, **spent, **peaks}

    def _work(self, http: httpx.Client, processes: list[Process]) -> tuple[float, str]:
        started = time.perf_counter()
        with self._file.open("rb") as data:
            answer = http.post(
                f"/v1/endpoints/{ENDPOINT}/jobs", files={"file": (self._file.name, data)}, data={"arrays": "true"}
            )
        answer.raise_for_status()
        job_id = str(answer.json()["id"])
        while (body := http.get(f"/v1/jobs/{job_id}").json())["completed_at"] is None:
            for process in processes:
                process.check()
                self._peaks[process.name] = max(self._peaks.get(process.name, 0.0), resident(process))
            time.sleep(0.1)
        seconds = time.perf_counter() - started
        if body["counts"]["succeeded"] != self._rows:
            raise RuntimeError(f"not all rows were answered: {body}")
        return seconds, job_id

    def _read(self, stage: Stage, job_id: str) -> float:
        url = f"http://127.0.0.1:{stage.port}/v1/jobs/{job_id}/results?format=parquet"
        started = time.perf_counter()
        with httpx.stream("GET", url, timeout=600) as answer:
            size = sum(map(len, answer.iter_bytes()))
        if not size:
            raise RuntimeError("the results are empty")
        return self._rows / (time.perf_counter() - started)

    @contextmanager
    def _singles(self, stage: Stage) -> Iterator[None]:
        """Within the block single requests are submitted at random moments, and their latencies taken."""
        ended = threading.Event()

        async def submit() -> None:
            client = OpenLoop(stage.port, {"Prefer": "wait=30"}, expected=200)
            await client.load(SINGLES, 3600.0, ended)
            await client.close()
            if client.refused:
                raise RuntimeError(f"not all single requests had a result: {dict(client.refused)}")
            self._latencies = client.latencies()

        with ThreadPoolExecutor(1) as thread:
            submitting = thread.submit(asyncio.run, submit())
            try:
                yield
            finally:
                ended.set()
            submitting.result()


def _file(folder: Path, form: str, rows: int) -> Path:
    file = folder / f"rows-{rows}.{form}"
    if not file.exists():
        known = np.array(instances())
        table = pd.DataFrame(np.tile(known, (rows // len(known) + 1, 1))[:rows], columns=[f"f{i}" for i in range(30)])
        half_written = file.with_suffix(".part")
        if form == "csv":
            table.to_csv(half_written, index=False)
        else:
            table.to_parquet(half_written, index=False)
        half_written.rename(file)
    return file


def _plain(workload: Workload, file: Path, rows: int) -> float:
    model: Any = joblib.load(workload.model)
    database = file.with_name("plain.db")
    database.unlink(missing_ok=True)
    started = time.perf_counter()
    table = pd.read_parquet(file) if file.suffix == ".parquet" else pd.read_csv(file)
    probabilities = model.predict_proba(table.to_numpy())
    answers = pd.DataFrame(probabilities, columns=[str(name) for name in model.classes_])
    answers["label"] = model.classes_[probabilities.argmax(axis=1)]
    with closing(sqlite3.connect(database)) as connection:
        answers.to_sql("predictions", connection, index_label="row")
    seconds = time.perf_counter() - started
    database.unlink()
    return rows / seconds
