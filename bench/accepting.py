"""How many single-instance requests one gateway process accepts over HTTP: wrk, 64 connections.

A 202 means durable on the broker; the topic is counted afterwards, and must hold all that were accepted.
"""

import json
import os
import resource
import shutil
import subprocess
from contextlib import closing
from pathlib import Path

from asked import Asked
from figures import Figure
from stage import Stage, staged
from traffic import DEPLOYMENT, ENDPOINT, Workload
from workload import instances, prepare

__all__ = ["measure"]

CONNECTIONS = 64


def measure(asked: Asked) -> list[Figure]:
    """Accepted requests/s, with the share of the two cores that gateway and load tool had."""
    if shutil.which("wrk") is None:
        raise RuntimeError("wrk is not installed: apt-get install wrk")
    workload = prepare(asked.folder, 10_000)
    taken = [_round(asked.folder, workload, seconds=3 if asked.quick else 10) for _ in range(asked.rounds)]
    rates, gateway, tool = zip(*taken, strict=True)
    return [
        Figure(name=f"accepted over HTTP, {CONNECTIONS} connections", unit="requests/s", rounds=rates),
        Figure(name="CPU of the gateway", unit="cores", rounds=gateway),
        Figure(name="CPU of wrk", unit="cores", rounds=tool),
    ]


def _round(root: Path, workload: Workload, *, seconds: int) -> tuple[float, float, float]:
    with staged(root, workload) as stage:
        gateway = stage.start("gateway")
        _load(stage, 1)
        before = gateway.cpu_seconds(), _tool_seconds()
        result = _load(stage, seconds)
        after = gateway.cpu_seconds(), _tool_seconds()
        gateway.check()
        if result["refused"] or result["broken"]:
            raise RuntimeError(f"not all were accepted: {result}")
        with closing(stage.broker.admin()) as admin:
            held = admin.lag(stage.names.requests(ENDPOINT), stage.names.workers(ENDPOINT, DEPLOYMENT)).ready
        if held < result["requests"]:
            raise RuntimeError(f"{result['requests']} were accepted, {held} are on the topic")
        wall = result["seconds"]
        return result["requests"] / wall, (after[0] - before[0]) / wall, (after[1] - before[1]) / wall


def _load(stage: Stage, seconds: int) -> dict[str, float]:
    body = stage.folder / "body.json"
    body.write_text(json.dumps({"instances": instances()[:1]}, separators=(",", ":")))
    script = Path(__file__).with_name("submit.lua")
    url = f"http://127.0.0.1:{stage.port}/v1/endpoints/{ENDPOINT}/predictions"
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", str(script), url]
    environment = {**os.environ, "BENCH_BODY": str(body)}
    output = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
    result: dict[str, float] = json.loads(output.splitlines()[-1])
    return result


def _tool_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
