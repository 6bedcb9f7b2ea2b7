"""From submit to result over HTTP, `Prefer: wait`, at a fixed rate that does not slow down when the answers do.

Requests are due at random moments (Poisson arrivals), and a latency counts from the moment its request was due, not
from when it could be sent: a stall is charged to all that had to wait behind it.
"""

import asyncio
from pathlib import Path
from statistics import quantiles

from asked import Asked
from figures import Figure
from open_loop import OpenLoop
from stage import staged
from traffic import DEPLOYMENT, Workload
from workload import prepare

__all__ = ["measure"]

RATE = 200.0  # requests/s


def measure(asked: Asked) -> list[Figure]:
    """p50 and p99 in milliseconds."""
    workload = prepare(asked.folder, 10_000)
    taken = [_round(asked.folder, workload, seconds=5 if asked.quick else 30) for _ in range(asked.rounds)]
    cuts = [quantiles(latencies, n=100) for latencies in taken]
    what = f"submit to result at {RATE:.0f} requests/s"
    return [
        Figure(name=f"{what}, p50", unit="ms", rounds=tuple(c[49] * 1e3 for c in cuts), goal=25, better="less"),
        Figure(name=f"{what}, p99", unit="ms", rounds=tuple(c[98] * 1e3 for c in cuts), better="less"),
    ]


def _round(root: Path, workload: Workload, *, seconds: float) -> list[float]:
    with staged(root, workload) as stage:
        stage.run("db", "upgrade")
        processes = [stage.start("worker", DEPLOYMENT), stage.start("sync"), stage.start("gateway")]
        asyncio.run(_load(stage.port, 2.0))
        latencies = asyncio.run(_load(stage.port, seconds))
        for process in processes:
            process.check()
    return latencies


async def _load(port: int, seconds: float) -> list[float]:
    client = OpenLoop(port, {"Prefer": "wait=30"}, expected=200)
    await client.load(RATE, seconds)
    await client.close()
    if client.refused:
        raise RuntimeError(f"not all had a result within the wait: {dict(client.refused)}")
    return client.latencies()
