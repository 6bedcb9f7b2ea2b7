"""How far a group is behind on its topics."""

from collections.abc import Mapping, Sequence

from predictq.brokers.kafka.driver import Admin, Committed, Place, UnknownTopic
from predictq.brokers.kafka.notes import note_of
from predictq.brokers.kafka.topics import delays_of, is_retries, unknown_group, unknown_topic
from predictq.brokers.port import Lag
from predictq.errors import UserMistake

__all__ = ["Lags"]


class Lags:
    """Asks the cluster; remembers of each partition what it last saw waiting there first."""

    def __init__(self, admin: Admin) -> None:
        self._admin = admin
        self._heads: dict[Place, tuple[int, float]] = {}
        """Where a record waits first, and when that was published."""

    def of(self, topics: Sequence[str], group: str) -> list[Lag]:
        """One for each topic, by three questions about all of them, and two more where something waits. Raises
        UserMistake for an unknown topic or group.
        """
        committed = self._admin.committed(group)
        places = {topic: self._places(topic, group, committed) for topic in topics}
        everywhere = [place for of_topic in places.values() for place in of_topic]
        try:
            ends = self._admin.ends(everywhere)
            behind = [place for place in everywhere if ends[place] > committed[place].offset]
            starts = self._admin.starts(behind)
        except UnknownTopic as gone:
            raise unknown_topic(str(gone)) from gone
        # What retention has deleted is not waiting any more.
        begins = {place: max(committed[place].offset, starts.get(place, 0)) for place in everywhere}
        heads = self._published({p: (begins[p], ends[p]) for p in behind if ends[p] > begins[p]})
        members = self._admin.group(group).members
        lags = []
        for topic, of_topic in places.items():
            handed = {place: _handed(place, topic, committed[place], begins[place], ends[place]) for place in of_topic}
            lags.append(
                Lag(
                    ready=sum(ends[place] - handed[place] for place in of_topic),
                    in_flight=sum(handed[place] - begins[place] for place in of_topic),
                    oldest_published_at=min((heads[place] for place in of_topic if place in heads), default=None),
                    members=members,
                )
            )
        return lags

    def _places(self, topic: str, group: str, committed: Mapping[Place, Committed]) -> list[Place]:
        """Partitions of the topic, and of the delays behind it. The group was put on each of them when it was made."""
        read = (topic, delays_of(topic)) if is_retries(topic) else (topic,)
        places = [place for place in committed if place.topic in read]
        if any(place.topic == topic for place in places):
            return places
        if topic not in self._admin.topics():
            raise unknown_topic(topic)
        if not committed:
            raise unknown_group(group)
        raise UserMistake(f"group {group} does not read {topic}; `predictq topics ensure` makes it")

    def _published(self, spans: Mapping[Place, tuple[int, int]]) -> Mapping[Place, float]:
        """When the first record of each was published; without those that are gone by now."""
        known = {place: self._heads[place] for place, (begin, _) in spans.items() if self._seen(place) == begin}
        unseen = {place: span for place, span in spans.items() if place not in known}
        found = self._admin.published(unseen) if unseen else {}
        self._heads = known | {place: (unseen[place][0], published_at) for place, published_at in found.items()}
        return {place: published_at for place, (_, published_at) in self._heads.items()}

    def _seen(self, place: Place) -> int:
        return self._heads[place][0] if place in self._heads else -1


def _handed(place: Place, topic: str, committed: Committed, begin: int, end: int) -> int:
    """Up to where it was handed out; of what is delayed nothing is."""
    return min(max(note_of(committed).handed, begin), end) if place.topic == topic else begin
