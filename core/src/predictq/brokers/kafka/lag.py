"""How far a group is behind on a topic."""

from predictq.brokers.kafka.delayed import STEPS
from predictq.brokers.kafka.driver import Admin, Committed, Place, UnknownTopic
from predictq.brokers.kafka.notes import note_of
from predictq.brokers.kafka.topics import delays_of, is_retries, unknown_group, unknown_topic
from predictq.brokers.port import Lag
from predictq.errors import UserMistake

__all__ = ["lag_of"]


def lag_of(admin: Admin, topic: str, group: str) -> Lag:
    """Raises UserMistake for an unknown topic or group."""
    partitions = admin.topics().get(topic)
    if partitions is None:
        raise unknown_topic(topic)
    committed = admin.committed(group)
    if not committed:
        raise unknown_group(group)
    places = [Place(topic, i) for i in range(partitions)]
    if any(place not in committed for place in places):
        raise UserMistake(f"group {group} does not read {topic}; `predictq topics ensure` makes it")
    waiting = [Place(delays_of(topic), i) for i in range(len(STEPS))] if is_retries(topic) else []
    waiting = [place for place in waiting if place in committed]
    try:
        ends, starts = admin.ends([*places, *waiting]), admin.starts([*places, *waiting])
    except UnknownTopic as gone:
        raise unknown_topic(topic) from gone
    # What retention has deleted is not waiting any more.
    begins = {place: max(committed[place].offset, starts[place]) for place in [*places, *waiting]}
    handed = {place: _handed(committed[place], begins[place], ends[place]) for place in places}
    heads = [admin.read_one(place, begin) for place, begin in begins.items() if ends[place] > begin]
    return Lag(
        ready=sum(ends[place] - handed[place] for place in places) + sum(ends[p] - begins[p] for p in waiting),
        in_flight=sum(handed[place] - begins[place] for place in places),
        oldest_published_at=min((head.published_at for head in heads if head is not None), default=None),
        members=_members(admin, group),
    )


def _handed(committed: Committed, begin: int, end: int) -> int:
    return min(max(note_of(committed).handed, begin), end)


def _members(admin: Admin, group: str) -> int:
    return admin.group(group).members
