"""FastStream on Kafka with confluent-kafka: batches in, `publish_batch` out, committed after the handler.

`faststream_confluent.py URL NAME MODEL` reads until it is ended.
"""

import asyncio
import sys
from typing import Any
from urllib.parse import urlsplit

from faststream import AckPolicy, FastStream
from faststream.confluent import KafkaBroker, KafkaMessage

from answering import BATCH, load, predict, settle_memory


async def raw(message: KafkaMessage) -> Any:
    """The messages as they came: pydantic decodes them faster than FastStream would."""
    return message.body


async def serve(url: str, name: str, model_file: str) -> None:
    model = load(model_file)
    broker = KafkaBroker(urlsplit(url).netloc, acks="all", linger_ms=5, logger=None)

    @broker.subscriber(
        f"{name}.requests",
        group_id=f"{name}.bench",
        batch=True,
        max_records=BATCH,
        auto_offset_reset="earliest",
        ack_policy=AckPolicy.NACK_ON_ERROR,
        decoder=raw,
    )
    async def work(values: list[bytes]) -> None:
        await broker.publish_batch(*predict(values, model), topic=f"{name}.predictions")

    settle_memory()
    await FastStream(broker, logger=None).run()


if __name__ == "__main__":
    asyncio.run(serve(*sys.argv[1:4]))
