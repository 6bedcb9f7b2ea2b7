"""The bare loop on Kafka with kafka-python: `kafka_loop.py URL NAME MODEL`. Reads until it is ended."""

import sys
from urllib.parse import urlsplit

from kafka import KafkaConsumer, KafkaProducer

from answering import BATCH, load, predict, settle_memory


def main(url: str, name: str, model_file: str) -> None:
    servers = urlsplit(url).netloc.split(",")
    model = load(model_file)
    producer = KafkaProducer(
        bootstrap_servers=servers, acks="all", enable_idempotence=True, linger_ms=5, batch_size=524288
    )
    consumer = KafkaConsumer(
        f"{name}.requests",
        bootstrap_servers=servers,
        group_id=f"{name}.bare",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_poll_records=BATCH,
    )
    output = f"{name}.predictions"
    settle_memory()
    while True:
        found = consumer.poll(timeout_ms=100)
        values = [record.value for records in found.values() for record in records]
        if not values:
            continue
        sent = [producer.send(output, value) for value in predict(values, model)]
        producer.flush()
        # flush() tells of no failure; the futures do.
        for future in sent:
            future.get(0)
        consumer.commit()


if __name__ == "__main__":
    main(*sys.argv[1:4])
