"""How fast one worker process empties a backlog, against the bare loop on the same bytes."""

import json
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from figures import Figure, ratio_of
from predictq.brokers import Admin
from stage import NAMES, Stage, staged, until
from traffic import DEPLOYMENT, ENDPOINT, Workload
from workload import prepare

__all__ = ["measure"]


def measure(root: Path, rounds: int, *, quick: bool) -> list[Figure]:
    """Rounds of bare loop, worker, bare loop, worker …"""
    workload = prepare(root, 50_000 if quick else 200_000)
    bare, ours = [], []
    for _ in range(rounds):
        bare.append(_bare(root, workload))
        ours.append(_drain(root, workload))
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
        stage.publish(workload.messages)
        with closing(stage.broker.admin()) as admin:
            return _rate(stage, admin, workload.count)


def _rate(stage: Stage, admin: Admin, count: int) -> float:
    """From the first settled batch that is seen to the last."""
    if left_of(admin) != count:
        raise RuntimeError(f"{left_of(admin)} of {count} requests are waiting")
    worker = stage.start("worker", DEPLOYMENT)
    until(lambda: left_of(admin) < count, worker)
    started, left = time.perf_counter(), left_of(admin)
    until(lambda: left_of(admin) == 0, worker)
    return left / (time.perf_counter() - started)


def left_of(admin: Admin) -> int:
    """Requests that the deployment has not settled."""
    lag = admin.lag(NAMES.requests(ENDPOINT), NAMES.workers(ENDPOINT, DEPLOYMENT))
    return lag.ready + lag.in_flight
