"""The bare loop on Kafka with confluent-kafka: `confluent_loop.py URL NAME MODEL`. Reads until it is ended."""

import sys
from typing import Any
from urllib.parse import urlsplit

from confluent_kafka import Consumer, KafkaException, Producer

from answering import BATCH, load, predict, settle_memory


def main(url: str, name: str, model_file: str) -> None:
    servers = urlsplit(url).netloc
    model = load(model_file)
    producer = Producer(
        {"bootstrap.servers": servers, "acks": "all", "enable.idempotence": True, "linger.ms": 5},
    )
    consumer = Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": f"{name}.bare",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "partition.assignment.strategy": "cooperative-sticky",
        }
    )
    consumer.subscribe([f"{name}.requests"])
    output = f"{name}.predictions"
    failed: list[Any] = []

    def delivered(error: Any, _: Any) -> None:
        if error is not None:
            failed.append(error)

    settle_memory()
    while True:
        messages = consumer.consume(BATCH, 0.1)
        if not messages:
            continue
        for message in messages:
            if message.error():
                raise KafkaException(message.error())
        for value in predict([message.value() or b"" for message in messages], model):
            producer.produce(output, value, on_delivery=delivered)
        if producer.flush(30) or failed:
            raise SystemExit(f"not all predictions were accepted: {failed[:1]}")
        consumer.commit(asynchronous=False)


if __name__ == "__main__":
    main(*sys.argv[1:4])
