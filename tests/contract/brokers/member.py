"""A member of the group in a process of its own: emits each request's value, until it is killed."""

import os
import sys

from predictq.brokers import Done, Message, Subscription, open_broker


def main(url: str, claim_seconds: float) -> None:
    """Serve for ever; says so on standard output once it is there."""
    subscription = Subscription(
        topics=("t.e.retries.a", "t.e.requests", "t.e.bulk"),
        member=f"process-{os.getpid()}",
        group="t.e.a",
        retry_topic="t.e.retries.a",
        claim_seconds=claim_seconds,
    )
    consumer = open_broker(url).consumer(subscription)
    print("ready", flush=True)
    while True:
        batch = consumer.poll(20, 1 << 20, 0.0)
        consumer.settle(batch, [Done((Message("t.e.predictions", record.value, record.key),)) for record in batch])


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
