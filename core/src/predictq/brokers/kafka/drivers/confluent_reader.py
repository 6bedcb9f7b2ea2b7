"""Reading without a group with confluent-kafka."""

from collections.abc import Mapping, Sequence

from confluent_kafka import Consumer, TopicPartition

from predictq.brokers.kafka.driver import Fetched, Place
from predictq.brokers.kafka.drivers.confluent_errors import translated
from predictq.brokers.kafka.drivers.confluent_polling import Polling
from predictq.brokers.kafka.drivers.confluent_settings import Noise, connect
from predictq.brokers.kafka.options import Options

__all__ = ["ConfluentReader"]


class ConfluentReader:
    """A Consumer with places of its own choice."""

    def __init__(self, options: Options, settings: Mapping[str, object], offsets: Mapping[Place, int]) -> None:
        self._where = options.shown
        noise = Noise()
        with translated(self._where):
            # librdkafka asks for the name of a group even where none is joined.
            consumer = Consumer({**settings, "group.id": "predictq.reader", "error_cb": noise})
        self._consumer: Consumer | None = consumer
        self._polling = Polling(consumer, noise, self._where)
        try:
            [topic, *_] = [place.topic for place in offsets]
            connect(
                lambda seconds: consumer.list_topics(topic, seconds),
                lambda: consumer.consume(1, 0.0),
                noise,
                options,
            )
            with translated(self._where):
                consumer.assign([TopicPartition(*place, offset) for place, offset in offsets.items()])
        except BaseException:
            self.close()
            raise

    def poll(self, timeout_seconds: float, max_records: int) -> Sequence[Fetched]:
        if self._consumer is None:
            raise RuntimeError("the reader is closed")
        return self._polling.poll(timeout_seconds, max_records)

    def close(self) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            with translated(self._where):
                consumer.close()
