"""Resident memory of worker, sync service and gateway while they empty a small backlog and a large one."""

import time
from contextlib import closing
from pathlib import Path

import psutil

from asked import Asked
from command import Process
from end_to_end import left_of_sync
from figures import Figure
from stage import Stage, staged
from traffic import DEPLOYMENT, Workload
from worker_drain import left_of
from workload import prepare

__all__ = ["measure"]

MIB = 1024 * 1024
SMALL, LARGE = 10_000, 1_000_000
ROOM = 64  # MiB
COMMANDS = (("worker", DEPLOYMENT), ("sync",), ("gateway",))


def measure(asked: Asked) -> list[Figure]:
    """Highest RSS of each process with either backlog; one round, a large backlog being long enough."""
    sizes = (SMALL, 100_000 if asked.quick else LARGE)
    small, large = (_peaks(asked.folder, prepare(asked.folder, size)) for size in sizes)
    figures = []
    for name in small:
        for size, peaks in zip(sizes, (small, large), strict=True):
            what = f"{name}, peak RSS, {size:,} waiting"
            figures.append(Figure(name=what, unit="MiB", rounds=(peaks[name],), better="less"))
        growth = large[name] - small[name]
        figures.append(Figure(name=f"{name}, growth", unit="MiB", rounds=(growth,), goal=ROOM, better="less"))
    return figures


def _peaks(root: Path, workload: Workload) -> dict[str, float]:
    with staged(root, workload) as stage:
        stage.run("db", "upgrade")
        stage.publish(workload.messages, workload.count)
        return _drain(stage)


def _drain(stage: Stage) -> dict[str, float]:
    peaks: dict[str, float] = {}
    processes: list[Process] = []
    with closing(stage.broker.admin()) as admin:
        # The worker last: until then the backlog waits.
        processes = [stage.start(*argv) for argv in reversed(COMMANDS)]
        while True:
            for process in processes:
                process.check()
                peaks[process.name] = max(peaks.get(process.name, 0.0), resident(process))
            if left_of(stage, admin) == 0 and left_of_sync(stage, admin) == 0:
                return peaks
            time.sleep(0.05)


def resident(process: Process) -> float:
    """MiB of RSS of the process and those it started."""
    total = 0
    for one in process.family():
        try:
            total += one.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total / MIB
