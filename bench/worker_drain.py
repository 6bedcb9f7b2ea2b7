"""How fast one worker process empties a backlog, against the bare loop on the same bytes."""

import json
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from asked import Asked
from figures import Figure, ratio_of
from predictq.brokers import Admin
from stage import Stage, staged, until
from traffic import DEPLOYMENT, ENDPOINT, Workload
from workload import prepare

__all__ = ["measure"]


def measure(asked: Asked) -> list[Figure]:
    """Rounds of bare loop, worker, bare loop, worker …"""
    workload = prepare(asked.folder, 50_000 if asked.quick else 200_000)
    bare, ours = [], []
    for _ in range(asked.rounds):
        bare.append(_bare(asked.folder, workload))
        ours.append(_drain(asked.folder, workload))
    bare_figure = Figure(name="bare loop", unit="requests/s", rounds=tuple(bare))
    our_figure = Figure(name="one worker process drains a backlog", unit="requests/s", rounds=tuple(ours), goal=40_000)
    return [bare_figure, our_figure, ratio_of("worker to bare loop", our_figure, bare_figure, goal=0.6)]


def _bare(root: Path, workload: Workload) -> float:
    script = Path(__file__).with_name("bare_loop.py")
    with TemporaryDirectory(dir=root) as folder:
        command = [sys.executable, *map(str, (script, workload.messages, workload.model, Path(folder) / "bare.db"))]
        result = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    if result["requests"] != workload.count:
        raise RuntimeError(f"the bare loop answered {result['requests']} of {workload.count}")
    return workload.count / float(result["seconds"])


def _drain(root: Path, workload: Workload) -> float:
    with staged(root, workload) as stage:
        stage.publish(workload.messages, workload.count)
        with closing(stage.broker.admin()) as admin:
            return _rate(stage, admin, workload.count)


def _rate(stage: Stage, admin: Admin, count: int) -> float:
    """From the first settled batch that is seen to the last."""
    if left_of(stage, admin) != count:
        raise RuntimeError(f"{left_of(stage, admin)} of {count} requests are waiting")
    worker = stage.start("worker", DEPLOYMENT)
    until(lambda: left_of(stage, admin) < count, worker)
    started, left = time.perf_counter(), left_of(stage, admin)
    until(lambda: left_of(stage, admin) == 0, worker)
    return left / (time.perf_counter() - started)


def left_of(stage: Stage, admin: Admin) -> int:
    """Requests that the deployment has not settled."""
    lag = admin.lag(stage.names.requests(ENDPOINT), stage.names.workers(ENDPOINT, DEPLOYMENT))
    return lag.ready + (lag.in_flight or 0)
