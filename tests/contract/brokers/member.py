"""A member of the group in a process of its own: emits each request's value, until it is killed."""

import os
import sys

from predictq.brokers import Done, Message, Subscription, open_broker
from predictq.names import Names


def main(url: str, prefix: str, claim_seconds: float) -> None:
    """Serve for ever; says so on standard output once it is there."""
    names = Names(prefix)
    retries, predictions = names.retries("e", "a"), names.predictions("e")
    subscription = Subscription(
        topics=(retries, names.requests("e"), names.bulk("e")),
        member=f"process-{os.getpid()}",
        group=names.workers("e", "a"),
        retry_topic=retries,
        claim_seconds=claim_seconds,
    )
    consumer = open_broker(url).consumer(subscription)
    print("ready", flush=True)
    while True:
        batch = consumer.poll(20, 1 << 20, 0.0)
        consumer.settle(batch, [Done((Message(predictions, record.value, record.key),)) for record in batch])


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]))
