"""Publishing: one script a call, or a few where there is much to publish."""

from collections.abc import Iterator, Sequence

from predictq.brokers.port import Message
from predictq.brokers.redis.appending import append, check_sizes, plan
from predictq.brokers.redis.connection import RedisConnection
from predictq.brokers.redis.options import Place
from predictq.brokers.redis.topics import Topics
from predictq.errors import BrokerUnavailable, PublishError

__all__ = ["RedisProducer"]

_MOST_AT_ONCE = 5_000
_MOST_BYTES_AT_ONCE = 64 * 1024 * 1024
"""The server does nothing else meanwhile."""


class RedisProducer:
    """Puts messages on topics; all of a call or none, unless there are thousands."""

    def __init__(self, place: Place) -> None:
        self._connection = RedisConnection(place)
        self._topics = Topics(self._connection)

    def publish(self, messages: Sequence[Message]) -> None:
        """Return when the server has all. Raises BrokerUnavailable when it is not known to have any."""
        check_sizes(messages)
        for topic in {message[0] for message in messages}:
            self._topics[topic]
        done = 0
        for portion in _portions(messages):
            try:
                append(self._connection, plan(portion, self._topics), self._topics)
            except BrokerUnavailable as error:
                if not done:
                    raise
                raise PublishError(str(error), range(done, len(messages))) from error
            done += len(portion)

    def close(self) -> None:
        """Close the connection; may be called again."""
        self._connection.close()


def _portions(messages: Sequence[Message]) -> Iterator[Sequence[Message]]:
    first, size = 0, 0
    for i, message in enumerate(messages):
        if i > first and (i - first == _MOST_AT_ONCE or size + len(message[1]) > _MOST_BYTES_AT_ONCE):
            yield messages[first:i]
            first, size = i, 0
        size += len(message[1])
    if messages:
        yield messages[first:]
