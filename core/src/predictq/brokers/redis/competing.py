"""Reading for a group: claiming entries, waiting for them, and giving back what was too much.

A script claims what needs a closer look: retries, what was handed out before, what is leased. New entries of all other
topics are read by a plain command in the same round trip, which is three times as fast for the server.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from predictq.brokers.port import Subscription
from predictq.brokers.redis.assignment import Assignment
from predictq.brokers.redis.connection import Answer, RedisConnection, Word
from predictq.brokers.redis.extending import extend
from predictq.brokers.redis.keys import POOL, standby_key
from predictq.brokers.redis.reading import Gathering, Source
from predictq.brokers.redis.scripts import TAKE
from predictq.brokers.redis.topics import Topics

__all__ = ["Competing"]


@dataclass(slots=True)
class _Stage:
    """What is read in one round trip; the stages that follow are read only while this one has nothing more."""

    scripted: list[tuple[Source, str]] = field(default_factory=list)
    """In order of precedence, and in which way `lua/take.lua` reads each."""
    direct: list[Source] = field(default_factory=list)


class Competing:
    """What one member of a group gets."""

    due_seconds: float | None = None
    """In how many seconds a retry becomes due, as of the last `take`."""

    def __init__(self, connection: RedisConnection, subscription: Subscription, group: str, topics: Topics) -> None:
        self._connection = connection
        self._subscription = subscription
        self._group = group
        self._topics = topics
        self._assignment = Assignment(connection, subscription, group, topics)
        self._last_ids: dict[Source, bytes] = {}
        self._mean_bytes = 1.0
        self._apart = False

    def take(self, gathering: Gathering) -> None:
        """Claim what there is: released entries, those of dead members, new ones, topic after topic."""
        silent = self._keep(gathering)
        self.due_seconds = None
        self._last_ids.clear()
        for stage in self._stages():
            direct = self._take(gathering, stage, silent_too=silent)
            while direct and not gathering.full:
                direct = self._take(gathering, _Stage(direct=direct), silent_too=False)
            if gathering.full:
                return

    def wait(self, gathering: Gathering, seconds: float) -> None:
        """Wait for the next entry, and claim it.

        A new entry of a leased partition only wakes us: the script claims it, which looks at the lease.
        """
        s = self._subscription
        sources = self._assignment.free()
        block = ("BLOCK", max(int(seconds * 1000), 1))
        if self._last_ids or not sources:
            # A member without a lease waits too: for its turn, at a stream that nobody writes.
            streams = [*(source.stream for source in (*sources, *self._last_ids)), standby_key(self._group)]
            after = [*(b"$" for _ in sources), *self._last_ids.values(), b"$"]
            self._connection.call("XREAD", "COUNT", 1, *block, "STREAMS", *streams, *after, wait_seconds=seconds)
        else:
            answer = self._connection.call(*_read_new(self._group, s.member, 1, sources, block), wait_seconds=seconds)
            self._add(gathering, sources, answer)

    def wants_empty_hands(self) -> bool:
        """Whether more may be taken only when nothing is in hand.

        What a member may hold unknowingly cannot be told from what it has in hand; and a lease that it gives to another
        takes with it what is in hand of its partition.
        """
        return self._assignment.is_unsure or any(self._topics[name].ordered for name in self._subscription.topics)

    def doubt(self) -> None:
        """An answer was lost: something may have been claimed of which we were not told."""
        self._assignment.doubt()

    def leave(self) -> None:
        """Give back everything, at once and uncounted, and leave the group."""
        self._assignment.leave()

    def _keep(self, gathering: Gathering) -> bool:
        """Keep the claims; whether silent members may be taken for dead now: never while a batch fills."""
        if not gathering.records:
            return self._assignment.sign()
        if self._assignment.is_due():
            extend(self._connection, self._subscription, self._group, gathering.runs)
        return False

    def _stages(self) -> Iterator[_Stage]:
        stage = _Stage()
        for name in self._subscription.topics:
            sources = self._assignment.of_topic(name)
            if self._topics[name].ordered:
                stage.scripted += [(source, "leased") for source in sources]
            elif name == self._subscription.retry_topic:
                stage.scripted += [(source, "retry") for source in sources]
            else:
                stage.scripted += [(source, "again") for source in sources]
                stage.direct = sources
                yield stage
                stage = _Stage()
        if stage.scripted:
            yield stage

    def _take(self, gathering: Gathering, stage: _Stage, *, silent_too: bool) -> list[Source]:
        """Take what fits; returns the partitions that may have more of what is read directly."""
        if self._apart and stage.scripted and stage.direct:
            # The script had something the last time: it may fill the batch, and what is read beside it be too much.
            self._take(gathering, _Stage(scripted=stage.scripted), silent_too=silent_too)
            stage = _Stage(direct=[] if gathering.full else stage.direct)
            silent_too = False
        count, direct = self._portion(gathering, stage.direct)
        commands = [_read_new(self._group, self._subscription.member, count, direct)] if direct else []
        if stage.scripted:
            claim = round(self._subscription.claim_seconds * 1000)
            room = (gathering.room, gathering.bytes, int(not gathering.records))
            words = (self._group, self._subscription.member, POOL, *room, claim if silent_too else 0, claim)
            (due, full, last_ids, *taken), *answers = self._connection.run_and(
                TAKE,
                [source.stream for source, _ in stage.scripted],
                [*words, *(way for _, way in stage.scripted)],
                *commands,
            )
            self._apart = bool(taken)
            for index, entries, redeliveries in taken:
                gathering.add(stage.scripted[index - 1][0], entries, redeliveries)
            gathering.full = gathering.full or bool(full)
            if due >= 0:
                self.due_seconds = due / 1000
            leased = [source for source, way in stage.scripted if way == "leased"]
            self._last_ids.update(zip(leased, last_ids, strict=False))
        else:
            answers = self._connection.calls(commands) if commands else []
        return self._add(gathering, direct, answers[0], count) if direct else []

    def _portion(self, gathering: Gathering, sources: list[Source]) -> tuple[int, list[Source]]:
        """How much to ask of each partition, since COUNT is meant for each: never more in all than there is room."""
        room = max(min(gathering.room, int(gathering.bytes / self._mean_bytes)), 1)
        return max(room // len(sources), 1) if sources else 0, sources[:room]

    def _add(self, gathering: Gathering, sources: Sequence[Source], answer: Answer, count: int = 0) -> list[Source]:
        """Take what fits and give back the rest; returns the partitions that gave as much as was asked."""
        by_stream = {source.stream.encode(): source for source in sources}
        surplus: list[tuple[bytes, bytes]] = []
        more: list[Source] = []
        room, messages = gathering.bytes, len(gathering.records)
        for stream, entries in answer or ():
            taken = gathering.add(by_stream[stream], entries)
            surplus += [(stream, entry[0]) for entry in entries[taken:]]
            if len(entries) == count:
                more.append(by_stream[stream])
        if len(gathering.records) > messages:
            self._mean_bytes = max((room - gathering.bytes) / (len(gathering.records) - messages), 1.0)
        if surplus:
            claim = (self._group, POOL, 0)
            self._connection.calls([("XCLAIM", at, *claim, id_, "RETRYCOUNT", 0, "JUSTID") for at, id_ in surplus])
        return more


def _read_new(
    group: str, member: str, count: int, sources: Sequence[Source], block: tuple[Word, ...] = ()
) -> tuple[Word, ...]:
    streams = [source.stream for source in sources]
    return ("XREADGROUP", "GROUP", group, member, "COUNT", count, *block, "STREAMS", *streams, *(">" for _ in streams))
