"""What one member of a group reads: every partition, in competition with the others; of ordered topics those that it
has a lease on.

A partition's lease says who reads it and nothing more: the next holder first claims what its predecessor left, and from
that moment on the predecessor can settle none of it.
"""

import time
from collections.abc import Sequence

from predictq.brokers.port import Subscription
from predictq.brokers.redis.connection import RedisConnection, Word
from predictq.brokers.redis.keys import POOL, groups_key, members_key, prefix_of, pulse_key
from predictq.brokers.redis.reading import Source
from predictq.brokers.redis.scripts import GIVE_BACK, LEASE, SIGN
from predictq.brokers.redis.topics import Topics, unknown_topic
from predictq.errors import UserMistake

__all__ = ["Assignment", "check_group", "share_of", "sign_words"]


class Assignment:
    """The partitions that one member reads, and its signs of life."""

    def __init__(self, connection: RedisConnection, subscription: Subscription, group: str, topics: Topics) -> None:
        self._connection = connection
        self._subscription = subscription
        self._group = group
        self._topics = topics
        self._streams: list[str] = []
        self._turn = 0
        self._sign_at = 0.0
        self._joined = False
        self.is_unsure = True
        """Whether something may have been claimed of which we were not told."""
        self._leased: dict[str, list[Source]] = {}

    def doubt(self) -> None:
        """Something may have been claimed of which we were not told."""
        self.is_unsure = True
        self._sign_at = 0.0

    def is_due(self) -> bool:
        """Whether it is time for a sign of life; then the next one is due a while later."""
        now = time.monotonic()
        due = now >= self._sign_at
        if due:
            self._sign_at = now + self._subscription.claim_seconds / 6
        return due

    def sign(self) -> bool:
        """Give a sign of life now and then; whether silent members may be taken for dead now."""
        if not self.is_due():
            return False
        s = self._subscription
        if not self._joined:
            check_group(self._connection, self._group, s.topics, self._topics)
            self._streams = [source.stream for name in s.topics for source in sources_of(self._topics, name)]
        if self.is_unsure:
            # Nothing is in hand, so this member was told of none of it: nobody can have handled it.
            self._give_back(leaves=False)
            self.is_unsure = False
        patient, *live = self._connection.run(SIGN, *sign_words(self._group, s))
        self._joined = True
        self._lease(sorted(live))
        return bool(patient)

    def of_topic(self, name: str) -> list[Source]:
        """The partitions of a topic that this member reads, each time with another first."""
        self._turn += 1
        sources = self._leased.get(name, []) if self._topics[name].ordered else sources_of(self._topics, name)
        at = self._turn % len(sources) if sources else 0
        return sources[at:] + sources[:at]

    def free(self) -> list[Source]:
        """The partitions that are read in competition."""
        names = [name for name in self._subscription.topics if not self._topics[name].ordered]
        return [source for name in names for source in sources_of(self._topics, name)]

    def leave(self) -> None:
        """Give back everything, at once and uncounted, and leave the group."""
        if self._joined:
            self._give_back(leaves=True)
            self._connection.call("ZREM", members_key(self._group), self._subscription.member)
            self._joined, self._sign_at, self._leased = False, 0.0, {}

    def _give_back(self, *, leaves: bool) -> None:
        self._connection.run(GIVE_BACK, self._streams, (self._group, self._subscription.member, POOL, int(leaves)))

    def _lease(self, live: Sequence[bytes]) -> None:
        s = self._subscription
        for shift, name in enumerate(s.topics):
            if self._topics[name].ordered:
                sources = sources_of(self._topics, name)
                share = share_of(live.index(s.member.encode()), shift, len(sources), len(live))
                keys = [f"{source.stream}:lease:{self._group}" for source in sources]
                held = self._connection.run(LEASE, keys, (s.member, round(s.claim_seconds * 1000), share))
                self._leased[name] = [sources[index - 1] for index in held]


def sources_of(topics: Topics, name: str) -> list[Source]:
    """All partitions of a topic."""
    return [Source(name, partition, stream) for partition, stream in enumerate(topics[name].streams)]


def share_of(rank: int, shift: int, partitions: int, members: int) -> int:
    """How many partitions the member at `rank` gets; `shift` differs by topic, so that nobody gets all remainders."""
    whole, rest = divmod(partitions, members)
    return whole + ((rank + shift) % members < rest)


def sign_words(group: str, subscription: Subscription) -> tuple[list[str], list[Word]]:
    """Keys and arguments of a sign of life."""
    claim = round(subscription.claim_seconds * 1000)
    return [members_key(group), pulse_key(group)], [subscription.member, claim]


def check_group(connection: RedisConnection, group: str, names: Sequence[str], topics: Topics) -> None:
    """Raises UserMistake where the group does not exist, or does not read one of the topics."""
    for name in names:
        topics[name]
    read = connection.call("HGET", groups_key(prefix_of(group)), group)
    if read is None:
        raise unknown_topic(group, "group")
    known = read.decode().split()
    for name in names:
        if name not in known:
            raise UserMistake(f"group {group} does not read {name}; `predictq topics ensure` makes it")
