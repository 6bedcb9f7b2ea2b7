"""Being told of a result, by each way that there is, at 1,000 requests/s that do not slow down when the answers do.

All processes run, on the embedded broker and database or on servers: gateway, one worker, sync service, and in one
event loop the client that submits and whoever is told. A latency counts from the moment a request was due to be sent to
the moment its result was there. Then what waiting costs: 2,000 long polls at once, and 5,000 idle clients of the
endpoint's stream on one gateway process.
"""

import asyncio
import json
import os
import resource
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from statistics import quantiles
from typing import NamedTuple

import httpx
from websockets.asyncio.client import connect

from asked import Asked
from attempt import attempt, say
from command import Process
from figures import Figure
from open_loop import OpenLoop
from predictq.push.secrets import new_secret
from push_receiver import PushReceiver
from servers import new_database, serving
from stage import Stage, staged
from traffic import DEPLOYMENT, ENDPOINT, Workload
from workload import prepare

__all__ = ["measure"]

RATE = 1000.0  # requests/s
LONG_POLLS = 2000
IDLE = 5000
OPENED_AT_ONCE = 200
LAST_SECONDS = 120.0
"""How long what is still under way after the load is waited for."""
SPARE_FILES = 200
ACKNOWLEDGED_EVERY = 100
KNOWN_SECONDS = 2.5
"""After which every process knows of a new webhook."""
DATA = b"data: "
SETTINGS = {
    "PREDICTQ_PUSH__SECRET": new_secret(),
    "PREDICTQ_PUSH__ALLOW_HTTP": "true",
    "PREDICTQ_PUSH__ALLOW_PRIVATE_ADDRESSES": "true",
    "PREDICTQ_GATEWAY__MAX_STREAMS": str(2 * IDLE),
    "PREDICTQ_GATEWAY__MAX_WAIT_SECONDS": "120",
}


Way = Callable[[Stage, dict[str, float]], AbstractAsyncContextManager[Callable[[], int]]]
"""Being told within the block: by request, when its result came. Gives how many pushes there were."""


class Told(NamedTuple):
    """What came of one round."""

    latencies: Sequence[float]
    """Seconds."""
    rate: float
    """Of results that were told a second, from the first that was due to the last that came."""
    pushes: int
    refused: Mapping[str, int]
    """Requests that were not accepted, by what came instead."""


class Ground(NamedTuple):
    """Where rounds take place."""

    root: Path
    workload: Workload
    broker: str
    database: str | None
    """The PostgreSQL server; None: a file."""
    prefix: str
    """Of the figures' names."""

    @contextmanager
    def running(self) -> Iterator[Stage]:
        """A new installation, and its processes."""
        with (
            new_database(self.database) as database,
            staged(self.root, self.workload, broker=self.broker, database=database, audited=False) as stage,
        ):
            stage.run("db", "upgrade")
            stage.start_all(("worker", DEPLOYMENT), ("sync",), ("gateway",))
            yield stage


def measure(asked: Asked) -> list[Figure]:
    """Milliseconds, events/s, and kibibytes a client; SQLite with SQLite, servers with PostgreSQL."""
    workload = prepare(asked.folder, 10_000)
    brokers = asked.brokers or ("sqlite",)
    servers = [*brokers, *(["postgresql"] if brokers != ("sqlite",) else [])]
    figures: list[Figure] = []
    with _environment(SETTINGS), _many_files() as files, serving(servers, asked) as urls:
        for broker in brokers:
            database = None if broker == "sqlite" else urls["postgresql"]
            prefix = f"{broker}: " if asked.brokers else ""
            ground = Ground(asked.folder, workload, urls[broker], database, prefix)
            for name, way in WAYS.items():
                figures += _told(ground, name, way, asked)
            figures += _long_polls(ground, asked)
            if database is None:
                figures += _idle(ground, asked, min(IDLE, files - SPARE_FILES))
    return figures


@asynccontextmanager
async def _sse(stage: Stage, arrived: dict[str, float]) -> AsyncIterator[Callable[[], int]]:
    """Follow the endpoint by Server-Sent Events."""
    reader, writer = await _follow(stage.port)

    async def read() -> None:
        while line := await reader.readline():
            if line.startswith(DATA):
                now = time.perf_counter()
                arrived.setdefault(json.loads(line[len(DATA) :])["id"], now)

    task = asyncio.create_task(read())
    try:
        yield lambda: len(arrived)
    finally:
        task.cancel()
        writer.close()


@asynccontextmanager
async def _socket(stage: Stage, arrived: dict[str, float]) -> AsyncIterator[Callable[[], int]]:
    """Follow the endpoint by WebSocket, and acknowledge every hundredth event."""
    async with connect(f"ws://127.0.0.1:{stage.port}/v1/stream", compression=None) as socket:
        await socket.send(json.dumps({"type": "subscribe", "ref": "all", "endpoint": ENDPOINT}))
        while json.loads(await socket.recv())["type"] != "subscribed":
            pass

        async def read() -> None:
            async for text in socket:
                now = time.perf_counter()
                message = json.loads(text)
                arrived.setdefault(message["data"]["id"], now)
                if message["seq"] % ACKNOWLEDGED_EVERY == 0:
                    await socket.send(json.dumps({"type": "ack", "seq": message["seq"]}))

        task = asyncio.create_task(read())
        try:
            yield lambda: len(arrived)
        finally:
            task.cancel()


@asynccontextmanager
async def _webhook(stage: Stage, arrived: dict[str, float], *, batch: bool = False) -> AsyncIterator[Callable[[], int]]:
    """A webhook on all that the endpoint answers."""
    receiver = PushReceiver(arrived)
    asked = {"url": await receiver.start(), "endpoint": ENDPOINT, "batch": batch}
    async with httpx.AsyncClient() as http:
        (await http.post(f"http://127.0.0.1:{stage.port}/v1/webhooks", json=asked)).raise_for_status()
    await asyncio.sleep(KNOWN_SECONDS)
    try:
        yield lambda: receiver.pushes
    finally:
        await receiver.close()


WAYS: Mapping[str, Way] = {
    "endpoint stream (SSE)": _sse,
    "endpoint stream (WebSocket)": _socket,
    "webhook": _webhook,
    "webhook with batch": partial(_webhook, batch=True),
}


def _told(ground: Ground, name: str, way: Way, asked: Asked) -> list[Figure]:
    taken: list[Told] = []
    spent: dict[str, list[float]] = {}
    what = f"{ground.prefix}{name} at {RATE:.0f} requests/s"
    for _ in range(asked.rounds):
        with attempt(what), ground.running() as stage:
            before = [process.cpu_seconds() for process in stage.processes]
            taken.append(told := asyncio.run(_round(stage, way, 5 if asked.quick else 30)))
            for process, at in zip(stage.processes, before, strict=True):
                each = (process.cpu_seconds() - at) / len(told.latencies) * 1e6
                spent.setdefault(process.name, []).append(each)
            say(f"{what}: {told.rate:,.0f}/s in {told.pushes:,} pushes; refused: {dict(told.refused)}")
    if not taken:
        return []
    cuts = [quantiles(each.latencies, n=100) for each in taken]
    return [
        Figure(name=f"{what}: told", unit="results/s", rounds=tuple(each.rate for each in taken)),
        Figure(name=f"{what}: refused", unit="requests", rounds=tuple(map(_refused, taken)), better="less"),
        Figure(name=f"{what}, p50", unit="ms", rounds=tuple(cut[49] * 1e3 for cut in cuts), better="less"),
        Figure(name=f"{what}, p99", unit="ms", rounds=tuple(cut[98] * 1e3 for cut in cuts), better="less"),
        *(
            Figure(name=f"{what}: CPU of {each} for a request", unit="µs", rounds=tuple(spent[each]), better="less")
            for each in spent
        ),
    ]


async def _round(stage: Stage, way: Way, seconds: float) -> Told:
    arrived: dict[str, float] = {}
    async with way(stage, arrived) as pushes:
        client = OpenLoop(stage.port)
        await client.load(RATE / 4, 2.0)
        warm = set(client.due)
        began = time.perf_counter()
        await client.load(RATE, seconds)
        deadline = time.perf_counter() + LAST_SECONDS
        while missing := client.due.keys() - arrived.keys():
            if time.perf_counter() > deadline:
                raise RuntimeError(f"{len(missing)} of {len(client.due)} were not told")
            await asyncio.sleep(0.05)
        await client.close()
    latencies = [arrived[each] - due for each, due in client.due.items() if each not in warm]
    return Told(latencies, len(latencies) / (max(arrived.values()) - began), pushes(), client.refused)


def _refused(told: Told) -> float:
    return float(sum(told.refused.values()))


def _long_polls(ground: Ground, asked: Asked) -> list[Figure]:
    count = LONG_POLLS // 10 if asked.quick else LONG_POLLS
    taken: list[list[float]] = []
    for _ in range(asked.rounds):
        with attempt(f"{count} long polls"), ground.running() as stage:
            taken.append(asyncio.run(_held(stage, count)))
    cuts = [quantiles(each, n=100) for each in taken]
    what = f"{ground.prefix}{count:,} long polls at once, from the start of predicting"
    return [
        Figure(name=f"{what}, p50", unit="ms", rounds=tuple(cut[49] * 1e3 for cut in cuts), better="less"),
        Figure(name=f"{what}, p99", unit="ms", rounds=tuple(cut[98] * 1e3 for cut in cuts), better="less"),
    ] * bool(taken)


async def _held(stage: Stage, count: int) -> list[float]:
    """Seconds from when the worker goes on to each answer; all are waited for before."""
    (worker,) = (each for each in stage.processes if each.name == "worker")
    client = OpenLoop(stage.port, {"Prefer": "wait=100"}, expected=200)
    worker.suspend()
    try:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(count):
                tasks.create_task(client.submit(time.perf_counter()))
            async with httpx.AsyncClient() as http:
                url = f"http://127.0.0.1:{stage.port}/v1/endpoints/{ENDPOINT}"
                while (await http.get(url)).json()["deployments"][0]["lag"]["ready"] < count:
                    await asyncio.sleep(0.05)
            began = time.perf_counter()
            worker.resume()
    finally:
        worker.resume()
    await client.close()
    if client.refused:
        raise RuntimeError(f"not all had a result within the wait: {dict(client.refused)}")
    return [answered - began for answered in client.answered.values()]


def _idle(ground: Ground, asked: Asked, count: int) -> list[Figure]:
    count = count // 10 if asked.quick else count
    with attempt(f"{count} idle streams"), ground.running() as stage:
        (gateway,) = (each for each in stage.processes if each.name == "gateway")
        before, after, opened_seconds = asyncio.run(_opened(stage, gateway, count))
        what = f"{ground.prefix}{count:,} idle clients of the endpoint stream"
        return [
            Figure(
                name=f"{what}: memory of the gateway for each", unit="KiB", rounds=((after - before) / count / 1024,)
            ),
            Figure(name=f"{what}: opened", unit="clients/s", rounds=(count / opened_seconds,)),
        ]
    return []


async def _opened(stage: Stage, gateway: Process, count: int) -> tuple[int, int, float]:
    """Bytes before and after, and the seconds in between."""
    held = [await _follow(stage.port)]
    before, began = _resident(gateway), time.perf_counter()
    while len(held) <= count:
        some = min(OPENED_AT_ONCE, count + 1 - len(held))
        held += await asyncio.gather(*(_follow(stage.port) for _ in range(some)))
    seconds = time.perf_counter() - began
    await asyncio.sleep(20.0)  # a heartbeat for each
    gateway.check()
    after = _resident(gateway)
    for _, writer in held:
        writer.close()
    return before, after, seconds


def _resident(process: Process) -> int:
    return sum(int(each.memory_info().rss) for each in process.family())


async def _follow(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A stream of the endpoint, from now on."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = (
        f"GET /v1/endpoints/{ENDPOINT}/events HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAccept: text/event-stream\r\n\r\n"
    )
    writer.write(head.encode())
    answer = await reader.readuntil(b"\r\n\r\n")
    if b" 200 " not in answer.split(b"\r\n", 1)[0]:
        raise RuntimeError(f"not followed: {answer!r}")
    return reader, writer


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """For the processes that are started within the block."""
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def _many_files() -> Iterator[int]:
    """As many open files a process as may be, for this one and those that it starts; how many that is."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard < IDLE + SPARE_FILES:
        say(f"{hard} files may be open: fewer than {IDLE:,} idle clients")
    try:
        yield hard
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
