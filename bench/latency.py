"""From submit to result over HTTP, `Prefer: wait`, at a fixed rate that does not slow down when the answers do.

Requests are due at random moments (Poisson arrivals), and a latency counts from the moment its request was due, not
from when it could be sent: a stall is charged to all that had to wait behind it.
"""

import asyncio
import json
import random
import time
from pathlib import Path
from statistics import quantiles

from asked import Asked
from figures import Figure
from stage import Stage, staged
from traffic import DEPLOYMENT, ENDPOINT, Workload
from workload import instances, prepare

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
        client = _Client(stage)
        asyncio.run(client.load(2.0))
        latencies = asyncio.run(client.load(seconds))
        for process in processes:
            process.check()
    return latencies


class _Client:
    """Keeps its connections open, and opens another whenever all are waiting for an answer."""

    def __init__(self, stage: Stage) -> None:
        self._port = stage.port
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        body = json.dumps({"instances": instances()[:1]}, separators=(",", ":")).encode()
        head = (
            f"POST /v1/endpoints/{ENDPOINT}/predictions HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\n"
            f"Content-Type: application/json\r\nPrefer: wait=30\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self._request = head.encode() + body

    async def load(self, seconds: float) -> list[float]:
        """Seconds from due to answered, of every request."""
        self._idle = []
        arrivals = random.Random(7)
        latencies: list[float] = []
        due = time.perf_counter()
        end = due + seconds
        async with asyncio.TaskGroup() as tasks:
            while due < end:
                await asyncio.sleep(due - time.perf_counter())
                tasks.create_task(self._measure(due, latencies))
                due += arrivals.expovariate(RATE)
        for _, writer in self._idle:
            writer.close()
            await writer.wait_closed()
        return latencies

    async def _measure(self, due: float, latencies: list[float]) -> None:
        reader, writer = self._idle.pop() if self._idle else await asyncio.open_connection("127.0.0.1", self._port)
        writer.write(self._request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        body = json.loads(await reader.readexactly(length))
        latencies.append(time.perf_counter() - due)
        self._idle.append((reader, writer))
        if body["status"] != "succeeded":
            raise RuntimeError(f"no result within the wait: {head!r} {body}")
