"""Topics on Kafka."""

import time
from collections.abc import Iterable, Iterator, Sequence
from urllib.parse import urlsplit

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

__all__ = ["KafkaCount", "KafkaGround", "servers_of"]

PARTITIONS = 4
SECONDS = 60.0


def servers_of(url: str) -> str:
    """`host:port,…` of a URL."""
    return urlsplit(url).netloc.rpartition("@")[2]


class KafkaCount:
    """Messages of a topic: the sum of its end offsets, by one small request for each partition."""

    def __init__(self, url: str, topic: str) -> None:
        self._topic = topic
        self._reader = Consumer({"bootstrap.servers": servers_of(url), "group.id": "bench-count", "log_level": 3})

    def __call__(self) -> int:
        ends = 0
        for partition in range(PARTITIONS):
            ends += self._reader.get_watermark_offsets(TopicPartition(self._topic, partition), timeout=SECONDS)[1]
        return ends

    def close(self) -> None:
        self._reader.close()


class KafkaGround:
    """Topics `NAME.requests` and `NAME.predictions`."""

    def __init__(self, url: str, name: str) -> None:
        self._servers: dict[str, str | int | float | bool] = {"bootstrap.servers": servers_of(url)}
        self._input, self._output = f"{name}.requests", f"{name}.predictions"
        self._admin = AdminClient(self._servers)
        created = self._admin.create_topics(
            [NewTopic(topic, num_partitions=PARTITIONS, replication_factor=1) for topic in (self._input, self._output)]
        )
        for future in created.values():
            future.result(SECONDS)
        self.emitted = KafkaCount(url, self._output)
        self._reader = Consumer(
            {**self._servers, "group.id": f"{name}-audit", "enable.auto.commit": False, "auto.offset.reset": "earliest"}
        )

    def fill(self, calls: Iterable[Sequence[bytes]]) -> None:
        """All partitions alike."""
        producer = Producer(
            {**self._servers, "acks": "all", "enable.idempotence": True, "linger.ms": 20, "log_level": 3}
        )
        for number, values in enumerate(calls):
            for value in values:
                producer.produce(self._input, value, partition=number % PARTITIONS)
            producer.poll(0)
            while len(producer) > 50_000:
                producer.poll(0.01)
        if producer.flush(SECONDS):
            raise RuntimeError("kafka: not all messages were accepted")

    def outputs(self) -> Iterator[bytes]:
        """From the beginning to the end as it stands now."""
        left = self.emitted()
        self._reader.assign([TopicPartition(self._output, partition, 0) for partition in range(PARTITIONS)])
        deadline = time.monotonic() + SECONDS
        while left > 0:
            if time.monotonic() > deadline:
                raise RuntimeError(f"kafka: {left} messages could not be read back")
            for message in self._reader.consume(5000, 1.0):
                if message.error():
                    raise KafkaException(message.error())
                left -= 1
                yield message.value() or b""

    def close(self) -> None:
        """Delete both topics."""
        self.emitted.close()
        self._reader.close()
        for future in self._admin.delete_topics([self._input, self._output]).values():
            future.result(SECONDS)
