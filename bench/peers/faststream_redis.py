"""FastStream on Redis Streams: batches of one stream, results to another through a pipeline.

`faststream_redis.py URL NAME MODEL` reads until it is ended; with MESSAGES COUNT it fills the stream instead.
"""

import asyncio
import sys
from itertools import islice
from pathlib import Path
from typing import Any

from faststream import FastStream
from faststream.redis import Pipeline, RedisBatchStreamMessage, RedisBroker, StreamSub
from pydantic import TypeAdapter

from answering import BATCH, Request, answer, load, settle_memory

PAGE = 1000
REQUESTS = TypeAdapter(list[Request])


async def decode(message: RedisBatchStreamMessage) -> list[Request]:
    """FastStream has made one JSON array of the batch; pydantic reads it in one go."""
    return REQUESTS.validate_json(message.body)


async def serve(url: str, name: str, model_file: str) -> None:
    model = load(model_file)
    broker = RedisBroker(url, logger=None)
    stream = StreamSub(f"{name}.requests", group="bench", consumer="one", batch=True, max_records=BATCH, last_id="0")
    output = f"{name}.predictions"

    @broker.subscriber(stream=stream, decoder=decode)
    async def work(requests: list[Any], pipe: Pipeline) -> None:
        for value in answer(requests, model):
            await broker.publish(value, stream=output, pipeline=pipe)
        await pipe.execute()

    settle_memory()
    await FastStream(broker, logger=None).run()


async def fill(url: str, name: str, messages: Path, count: int) -> None:
    broker = RedisBroker(url, logger=None)
    client = await broker.connect()
    with messages.open("rb") as lines:
        left = islice(lines, count)
        while page := list(islice(left, PAGE)):
            async with client.pipeline() as pipe:
                for line in page:
                    await broker.publish(line.rstrip(b"\n"), stream=f"{name}.requests", pipeline=pipe)
                await pipe.execute()
    await broker.stop()


if __name__ == "__main__":
    url, name, model_file, *filling = sys.argv[1:]
    asyncio.run(fill(url, name, Path(filling[0]), int(filling[1])) if filling else serve(url, name, model_file))
