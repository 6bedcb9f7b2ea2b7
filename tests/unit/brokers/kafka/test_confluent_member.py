"""What a transaction is told of a member: librdkafka's own notation, which it hands out and does not explain."""

import pytest
from confluent_kafka import Consumer

from predictq.brokers.kafka.drivers.confluent_member import written


@pytest.mark.parametrize("instance", [None, "one"])
def test_a_membership_is_written_as_librdkafka_writes_it(instance: str | None) -> None:
    settings = {"bootstrap.servers": "127.0.0.1:1", "group.id": "p.e.a", "log_level": 0}
    consumer = Consumer(settings | ({} if instance is None else {"group.instance.id": instance}))
    try:
        assert written("p.e.a", -1, "", instance) == consumer.consumer_group_metadata()
    finally:
        consumer.close()
