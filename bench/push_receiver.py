"""A receiver of pushes that does as little as can be: it notes what came, and answers 204."""

import asyncio
import json
import time

__all__ = ["PushReceiver"]

ANSWER = b"HTTP/1.1 204 No Content\r\n\r\n"


class PushReceiver:
    """Serves within the event loop of the benchmark. Verifies nothing: that costs the receiver, not predictq."""

    def __init__(self, came: dict[str, float]) -> None:
        """`came` is filled: by request, when its push came; of one that came twice the first time."""
        self.pushes = 0
        self._came = came
        self._server: asyncio.Server | None = None
        self._serving: set[asyncio.Task[None]] = set()

    async def start(self) -> str:
        """Listen on a free port; the URL."""
        self._server = await asyncio.start_server(self._begin, "127.0.0.1", 0, backlog=1024)
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/"

    async def close(self) -> None:
        """End all connections."""
        if self._server is not None:
            self._server.close()
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    def _begin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
                body = json.loads(await reader.readexactly(length))
                now = time.perf_counter()
                self.pushes += 1
                for event in body if isinstance(body, list) else [body]:
                    self._came.setdefault(event["data"]["id"], now)
                writer.write(ANSWER)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
