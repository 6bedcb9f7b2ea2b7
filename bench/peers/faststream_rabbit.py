"""FastStream on RabbitMQ, which it reads message by message: many handlers at once, each result confirmed.

`faststream_rabbit.py URL NAME MODEL` reads until it is ended.
"""

import asyncio
import sys

from faststream import AckPolicy, FastStream
from faststream.rabbit import Channel, QueueType, RabbitBroker, RabbitMessage, RabbitQueue

from answering import load, predict, settle_memory

PREFETCH = 1000


async def raw(message: RabbitMessage) -> bytes:
    """The message as it came: pydantic decodes it faster than FastStream would."""
    return message.body


async def serve(url: str, name: str, model_file: str) -> None:
    model = load(model_file)
    broker = RabbitBroker(url, default_channel=Channel(prefetch_count=PREFETCH, publisher_confirms=True), logger=None)
    queue = RabbitQueue(f"{name}.requests", durable=True, queue_type=QueueType.QUORUM)
    output = f"{name}.predictions"

    @broker.subscriber(queue, ack_policy=AckPolicy.NACK_ON_ERROR, decoder=raw)
    async def work(value: bytes) -> None:
        (prediction,) = predict([value], model)
        await broker.publish(prediction, output, persist=True, mandatory=True)

    settle_memory()
    await FastStream(broker, logger=None).run()


if __name__ == "__main__":
    asyncio.run(serve(*sys.argv[1:4]))
