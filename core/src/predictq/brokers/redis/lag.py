"""How far a group is behind on a topic."""

from predictq.brokers.port import Lag
from predictq.brokers.redis.assignment import check_group
from predictq.brokers.redis.connection import RedisConnection
from predictq.brokers.redis.keys import POOL, members_key
from predictq.brokers.redis.scripts import LAG
from predictq.brokers.redis.topics import Topics, unknown_topic

__all__ = ["lag_of"]


def lag_of(connection: RedisConnection, topic: str, group: str) -> Lag:
    """Raises UserMistake for an unknown topic or group."""
    topics = Topics(connection)
    check_group(connection, group, (topic,), topics)
    answer = connection.run(LAG, topics[topic].streams, (group, POOL))
    if answer is None:
        raise unknown_topic(topic)
    ready, in_flight, oldest = answer
    seconds, microseconds = connection.call("TIME")
    now = int(seconds) * 1000 + int(microseconds) // 1000
    members = connection.call("ZCOUNT", members_key(group), f"({now}", "+inf")
    return Lag(ready, in_flight, oldest / 1000 if oldest >= 0 else None, members)
