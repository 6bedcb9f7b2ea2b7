"""Who reads which partition: members show signs of life, and each takes its share of every topic.

A partition belongs to its owner as long as the owner gives signs of life. Each take raises the epoch, by which settling
tells whether the claim is still its own. When nobody at all could give a sign for a while (the file was locked, the
machine slept), nobody is taken for dead until all have had the time to give one.
"""

import time
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import apsw

from predictq.brokers.port import Subscription
from predictq.brokers.sqlite.connection import Connection
from predictq.brokers.sqlite.held import Held
from predictq.brokers.sqlite.reading import Run
from predictq.brokers.sqlite.settling import Outcome
from predictq.brokers.sqlite.topics import unknown_topic
from predictq.errors import UserMistake

__all__ = ["Assignment", "share_of", "sign_of_life", "unknown_group"]


class _Row(NamedTuple):
    tp: int
    partition: int
    off: int
    handed: int
    suspect: int
    redeliveries: int
    owner: str | None
    epoch: int


_ROWS = """
SELECT o.tp, p.partition, o.off, o.handed, o.suspect, o.redeliveries, o.owner, o.epoch
FROM partitions p JOIN offsets o ON o.tp = p.tp AND o.g = ?1
WHERE p.topic = ?2 ORDER BY p.partition
"""
_MEMBERS = """
SELECT member FROM members, pulse
WHERE g=?1 AND topic=?2 AND (abs(?3 - seen) < claim OR abs(?3 - since) < claim) ORDER BY member
"""
_SIGN = """
INSERT INTO members(g, topic, member, seen, claim) VALUES(?1, ?2, ?3, ?4, ?5)
ON CONFLICT(g, topic, member) DO UPDATE SET seen = excluded.seen, claim = excluded.claim
"""
_BURY = """
DELETE FROM members
WHERE g=?1 AND abs(?2 - seen) >= claim AND abs(?2 - (SELECT since FROM pulse)) >= claim
"""
_PULSE = "UPDATE pulse SET since = CASE WHEN abs(?1 - last) > ?2 THEN ?1 ELSE since END, last = ?1"
_TAKE = """
UPDATE offsets SET owner=?3, epoch=?4, handed=off, suspect=?5, redeliveries=?6 WHERE g=?1 AND tp=?2
"""
_GIVE_BACK = "UPDATE offsets SET owner=NULL, handed=off WHERE g=?1 AND tp=?2 AND owner=?3 AND epoch=?4"
_LEAVE = "DELETE FROM members WHERE g=?1 AND member=?2"
_HAND_OUT = "UPDATE offsets SET handed=?5 WHERE g=?1 AND tp=?2 AND owner=?3 AND epoch=?4 RETURNING tp"
_ADVANCE = """
UPDATE offsets SET off=?6, handed=?6
WHERE g=?1 AND tp=?2 AND owner=?3 AND epoch=?4 AND off=?5 RETURNING tp
"""
_CHANGED = "UPDATE consumer_groups SET generation = generation + 1 WHERE g=?1"


class Assignment:
    """The partitions that one member of a group holds."""

    def __init__(self, connection: Connection, subscription: Subscription, group: str) -> None:
        self._connection = connection
        self._subscription = subscription
        self._group = group
        self._joined = False
        self._generation = -1
        self.held: dict[str, list[Held]] = {topic: [] for topic in subscription.topics}

    def renew(self) -> None:
        """Give a sign of life, give back what is above the fair share, take what is free up to it.

        Only while nothing is in hand.
        """
        s, group = self._subscription, self._group
        with self._connection.transaction(durable=False) as db:
            now = _sign(db, s, group)
            db.execute(_BURY, (group, now))
            if not self._joined or db.changes():
                db.execute(_CHANGED, (group,))
            held = {topic: self._share(db, index, topic, now) for index, topic in enumerate(s.topics)}
            generation = db.execute("SELECT generation FROM consumer_groups WHERE g=?", (group,)).fetchone()
        if generation is None:
            raise unknown_group(group)
        self.held, self._generation, self._joined = held, generation[0], True

    def stale(self) -> bool:
        """Whether members have come or gone since the last `renew`."""
        rows = self._connection.rows("SELECT generation FROM consumer_groups WHERE g=?", (self._group,))
        return not rows or rows[0][0] != self._generation

    def sign(self) -> None:
        """Only the sign of life."""
        sign_of_life(self._connection, self._subscription, self._group)

    def hand_out(self, runs: Sequence[Run]) -> set[int]:
        """Write down what is about to be handed out; returns the partitions that were lost, by their numbers."""
        ends = {run.held.tp: run for run in runs}
        with self._connection.transaction(durable=False) as db:
            mine = [
                db.execute(_HAND_OUT, (self._group, tp, self._subscription.member, run.epoch, run.end)).fetchone()
                for tp, run in ends.items()
            ]
        return {tp for tp, row in zip(ends, mine, strict=True) if row is None}

    def advance(self, db: apsw.Connection, outcome: Outcome) -> bool:
        """Move a partition's offset inside somebody's transaction; False, and nothing written, when it was lost."""
        claim = (self._group, outcome.held.tp, self._subscription.member, outcome.epoch)
        return db.execute(_ADVANCE, (*claim, outcome.off, outcome.end)).fetchone() is not None

    def give_back(self) -> None:
        """Give back everything, at once and uncounted, and leave the group."""
        if not self._joined:
            return
        group, member = self._group, self._subscription.member
        with self._connection.transaction(durable=False) as db:
            for held in self.everything():
                db.execute(_GIVE_BACK, (group, held.tp, member, held.epoch))
            db.execute(_LEAVE, (group, member))
            if db.changes():
                db.execute(_CHANGED, (group,))
        self.held = {topic: [] for topic in self._subscription.topics}
        self._joined = False

    def everything(self) -> Iterable[Held]:
        """All partitions held, in the topics' order of precedence."""
        return [held for partitions in self.held.values() for held in partitions]

    def _share(self, db: apsw.Connection, index: int, topic: str, now: float) -> list[Held]:
        member = self._subscription.member
        rows = [_Row._make(row) for row in db.execute(_ROWS, (self._group, topic))]
        if not rows:
            raise _unread(db, topic, self._group)
        live = [name for (name,) in db.execute(_MEMBERS, (self._group, topic, now))]
        share = share_of(live.index(member), index, len(rows), len(live))
        kept: list[Held] = []
        for row in rows:
            if row.owner != member or not self._joined:
                continue
            if len(kept) == share:
                db.execute(_GIVE_BACK, (self._group, row.tp, member, row.epoch))
                db.execute(_CHANGED, (self._group,))
                continue
            kept.append(Held(topic, row.partition, row.tp, row.off, row.epoch, row.suspect, row.redeliveries))
        own = {held.tp for held in kept}
        for row in rows:
            mine_already = row.tp in own
            free = row.owner is None or row.owner not in live or (row.owner == member and not self._joined)
            if len(kept) < share and free and not mine_already:
                kept.append(self._take(db, topic, row))
        return sorted(kept, key=lambda held: held.partition)

    def _take(self, db: apsw.Connection, topic: str, row: _Row) -> Held:
        suspect, redeliveries = row.suspect, row.redeliveries
        if row.owner not in (None, self._subscription.member) and row.handed > row.off:
            redeliveries = redeliveries + 1 if suspect > row.off else 1
            # What an earlier owner had in hand and this one had not come to yet counts one too many, rather than none.
            suspect = max(suspect, row.handed)
        epoch = row.epoch + 1
        db.execute(_TAKE, (self._group, row.tp, self._subscription.member, epoch, suspect, redeliveries))
        return Held(topic, row.partition, row.tp, row.off, epoch, suspect, redeliveries)


def share_of(rank: int, shift: int, partitions: int, members: int) -> int:
    """How many partitions the member at `rank` gets; `shift` differs by topic, so that nobody gets all remainders."""
    whole, rest = divmod(partitions, members)
    return whole + ((rank + shift) % members < rest)


def sign_of_life(connection: Connection, subscription: Subscription, group: str) -> None:
    """Say that the member is alive."""
    with connection.transaction(durable=False) as db:
        _sign(db, subscription, group)


def _sign(db: apsw.Connection, subscription: Subscription, group: str) -> float:
    # The clock is read after the wait for the lock. Unix time: the one clock that all processes share.
    now = time.time()
    db.execute(_PULSE, (now, subscription.claim_seconds / 2))
    for topic in subscription.topics:
        db.execute(_SIGN, (group, topic, subscription.member, now, subscription.claim_seconds))
    return now


def unknown_group(group: str) -> UserMistake:
    """What to tell whoever names a group that is not there."""
    return UserMistake(f"group {group} does not exist; `predictq topics ensure` creates the groups of the settings")


def _unread(db: apsw.Connection, topic: str, group: str) -> UserMistake:
    known: Sequence[Any] = db.execute("SELECT 1 FROM partitions WHERE topic=?", (topic,)).fetchall()
    if not known:
        return unknown_topic(topic)
    return UserMistake(f"group {group} does not read {topic}; `predictq topics ensure` makes it")
