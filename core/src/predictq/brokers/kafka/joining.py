"""What must be there before a member may read."""

from collections.abc import Sequence

from predictq.brokers.kafka.driver import Driver, Place
from predictq.brokers.kafka.topics import unknown_group, unknown_topic
from predictq.errors import UserMistake

__all__ = ["check_group"]


def check_group(driver: Driver, group: str, topics: Sequence[str]) -> None:
    """Raises UserMistake for a topic that is not there, and for a group that has no place on it yet."""
    admin = driver.admin()
    try:
        known = admin.topics()
        committed = admin.committed(group)
    finally:
        admin.close()
    for topic in topics:
        if topic not in known:
            raise unknown_topic(topic)
    if not committed:
        raise unknown_group(group)
    for topic in topics:
        if any(Place(topic, i) not in committed for i in range(known[topic])):
            raise UserMistake(f"group {group} does not read {topic}; `predictq topics ensure` makes it")
