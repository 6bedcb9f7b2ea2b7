"""Submits at a fixed rate that does not slow down when the answers do; several ways of being told share it."""

import asyncio
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Mapping

from traffic import ENDPOINT
from workload import instances

__all__ = ["OpenLoop", "answer_of"]


class OpenLoop:
    """One client of a gateway. Keeps its connections open, and opens another whenever all are in use."""

    def __init__(self, port: int, headers: Mapping[str, str] | None = None, *, expected: int = 202) -> None:
        """`expected` is the status of an answer that is as it should be: 200 where the result is waited for."""
        body = json.dumps({"instances": instances()[:1]}, separators=(",", ":")).encode()
        more = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
        head = (
            f"POST /v1/endpoints/{ENDPOINT}/predictions HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
            f"Content-Type: application/json\r\n{more}Content-Length: {len(body)}\r\n\r\n"
        )
        self.due: dict[str, float] = {}
        """By request, the moment at which it was to be sent, as `time.perf_counter` counts."""
        self.answered: dict[str, float] = {}
        """And when its answer was there."""
        self.refused: Counter[str] = Counter()
        """What came instead of a result, and how often: a status, or what became of the connection."""
        self._expected = expected
        self._port = port
        self._request = head.encode() + body
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def load(self, rate: float, seconds: float, ended: threading.Event | None = None) -> None:
        """Submit at random moments (Poisson arrivals), so many a second, for so long or until `ended` is set.

        Returns when all are answered.
        """
        arrivals = random.Random(7)
        due = time.perf_counter()
        end = due + seconds
        async with asyncio.TaskGroup() as tasks:
            while due < end and not (ended is not None and ended.is_set()):
                if (pause := due - time.perf_counter()) > 0:
                    await asyncio.sleep(pause)
                tasks.create_task(self.submit(due))
                due += arrivals.expovariate(rate)

    async def submit(self, due: float) -> None:
        """Submit one, and note its answer."""
        try:
            reader, writer = self._idle.pop() if self._idle else await asyncio.open_connection("127.0.0.1", self._port)
            writer.write(self._request)
            status, body = await answer_of(reader)
        except (OSError, asyncio.IncompleteReadError) as error:
            self.refused[type(error).__name__] += 1
            return
        answered = time.perf_counter()
        self._idle.append((reader, writer))
        if status != self._expected:
            self.refused[str(status)] += 1
            return
        request_id = json.loads(body)["id"]
        self.due[request_id], self.answered[request_id] = due, answered

    def latencies(self) -> list[float]:
        """Seconds from due to answered, of every request."""
        return [answered - self.due[each] for each, answered in self.answered.items()]

    async def close(self) -> None:
        """Close all connections."""
        for _, writer in self._idle:
            writer.close()
            await writer.wait_closed()


async def answer_of(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Status and body of the next answer, which tells its length."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
    return int(head.split(b" ", 2)[1]), await reader.readexactly(length)
