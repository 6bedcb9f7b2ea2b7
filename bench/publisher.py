"""A client: publishes prepared requests as fast as it can, 500 a call: `publisher.py MESSAGES URL PREFIX COUNT`.

Prints the Unix time at which it began, then, at the end, how many the broker has accepted.
"""

import sys
import time
from contextlib import closing
from pathlib import Path

from predictq.brokers import Message, open_broker
from predictq.names import Names
from traffic import ENDPOINT, read_messages

CALL = 500


def main(messages: Path, url: str, prefix: str, count: int) -> None:
    topic = Names(prefix).requests(ENDPOINT)
    broker = open_broker(url)
    accepted = 0
    with closing(broker), closing(broker.producer()) as producer:
        print(time.time(), flush=True)
        for values in read_messages(messages, CALL, count):
            producer.publish([Message(topic, value) for value in values])
            accepted += len(values)
    print(accepted, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4]))
