"""Reading: poll, settle, extend."""

import secrets
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from predictq.brokers.in_hand import InHand
from predictq.brokers.port import Batch, Message, Subscription, Verdict
from predictq.brokers.redis.appending import Keys, append, refusal
from predictq.brokers.redis.broadcast import Broadcast
from predictq.brokers.redis.competing import Competing
from predictq.brokers.redis.connection import RedisConnection
from predictq.brokers.redis.extending import Extender
from predictq.brokers.redis.keys import POOL, settled_key
from predictq.brokers.redis.options import Place
from predictq.brokers.redis.reading import Gathering, Run
from predictq.brokers.redis.scripts import ACKNOWLEDGE, SETTLE
from predictq.brokers.redis.settling import settlement_of
from predictq.brokers.redis.topics import Topics
from predictq.brokers.redis.trimming import Trimmer
from predictq.errors import PredictqError

__all__ = ["BATCHES_IN_HAND", "RedisConsumer"]

BATCHES_IN_HAND = 2

_LONGEST_WAIT = 0.25
"""Seconds after which a waiting poll looks for what wakes nobody: released entries, and others' delayed retries."""
_REMEMBERED_MS = 600_000


class RedisConsumer:
    """Reads topics for one group, or as a broadcast for none."""

    def __init__(self, place: Place, subscription: Subscription) -> None:
        if subscription.retry_topic is not None and subscription.retry_topic not in subscription.topics:
            raise ValueError(f"the retry topic {subscription.retry_topic} is not among the topics that are read")
        self._subscription = subscription
        self._connection = RedisConnection(place)
        self._topics = Topics(self._connection)
        self._reader: Competing | Broadcast
        if subscription.group is None:
            self._reader = Broadcast(self._connection, subscription, self._topics)
        else:
            self._reader = Competing(self._connection, subscription, subscription.group, self._topics)
        self._trimmer = Trimmer(self._connection, subscription.topics)
        self._extender = Extender(place, subscription)
        self._draining = threading.Event()
        self._waiting_as: int | None = None
        self._closed = False
        self._in_hand = InHand(subscription, 1 if subscription.group is None else BATCHES_IN_HAND)
        # While one thread settles, another may wait in a poll.
        self._settling = RedisConnection(place)
        self._settling_topics = Topics(self._settling)
        self._in_settling: Batch | None = None
        self._token = ""
        """Of this settlement, so that it is known again where its answer was lost."""

    def poll(self, max_messages: int, max_bytes: int, max_wait: float) -> Batch:
        """The next records. Blocks for at most `idle_seconds` for the first, and `max_wait` seconds for more."""
        self._in_hand.check_room()
        with self._doubting():
            if self._in_hand and self._reader.wants_empty_hands() and not self._emptied():
                return Batch(())
            self._trimmer.trim()
            gathering = self._gather(max_messages, max_bytes, max_wait)
        batch = Batch(gathering.records, claim=gathering.runs)
        self._in_hand.add(batch)
        if not self._in_hand and self._draining.is_set():
            self._reader.leave()
        return batch

    def settle(self, batch: Batch, verdicts: Sequence[Verdict], also: Sequence[Message] = ()) -> int:
        """Write what the verdicts ask for and acknowledge, all in one script; returns how many records were lost."""
        self._in_hand.check(batch, verdicts)
        if not batch or self._subscription.group is None:
            settlement = settlement_of(batch, verdicts, also, self._subscription, self._settling_topics)
            append(self._settling, settlement.planned, self._settling_topics)
            lost = 0
        else:
            lost = self._settle(batch, verdicts, also, self._subscription.group)
        self._in_hand.done(batch)
        self._in_settling = None
        return lost

    def extend(self, batch: Batch) -> bool:
        """Give a sign of life; False when some of the batch belongs to another by now. From any thread."""
        runs: list[Run] = batch.claim
        return self._extender.extend(runs)

    def drain(self) -> None:
        """Stop fetching, from any thread; the next poll gives back what this member holds."""
        self._draining.set()
        waiting_as = self._waiting_as
        if waiting_as is not None:
            self._extender.unblock(waiting_as)

    def close(self) -> None:
        """Give back everything and leave the group; may be called again."""
        if self._closed:
            return
        self._closed = True
        try:
            self._reader.leave()
        finally:
            self._extender.close()
            self._settling.close()
            self._connection.close()

    def _settle(self, batch: Batch, verdicts: Sequence[Verdict], also: Sequence[Message], group: str) -> int:
        runs: list[Run] = batch.claim
        member, lost = self._subscription.member, set[tuple[str, bytes]]()
        connection, topics = self._settling, self._settling_topics
        if batch is not self._in_settling:
            self._in_settling, self._token = batch, secrets.token_hex(8)
        while True:
            settlement = settlement_of(batch, verdicts, also, self._subscription, topics, lost)
            keys = Keys(settled_key(runs[0].source.stream, group, member))
            words = settlement.words(keys)
            longest = connection.place.options.max_length
            known = (group, member, POOL, self._token, len(lost), _REMEMBERED_MS, longest)
            word, *answer = connection.run(SETTLE if settlement.writes else ACKNOWLEDGE, keys.names, [*known, *words])
            if word == b"OK":
                return len(lost)
            if word == b"DONE":
                return int(answer[0])
            if word != b"LOST":
                stream = answer[0].decode()
                raise refusal(word, settlement.topic_of(stream), topics, connection)
            lost |= {(keys.names[index - 1], entry) for index, entry in zip(answer[::2], answer[1::2], strict=True)}

    def _emptied(self) -> bool:
        return self._in_hand.wait_until_empty(self._subscription.idle_seconds)

    def _gather(self, max_messages: int, max_bytes: int, max_wait: float) -> Gathering:
        gathering = Gathering(max_messages, max_bytes)
        deadline, filling = time.monotonic() + self._subscription.idle_seconds, False
        while not self._draining.is_set():
            self._reader.take(gathering)
            now = time.monotonic()
            if gathering.records and not filling:
                deadline, filling = now + max_wait, True
            if gathering.full or now >= deadline:
                break
            if not filling:
                # An idle poll may be long.
                self._trimmer.trim()
            self._wait(gathering, deadline - time.monotonic())
        return gathering

    def _wait(self, gathering: Gathering, seconds: float) -> None:
        seconds = min(seconds, _LONGEST_WAIT, self._subscription.claim_seconds / 6)
        if self._reader.due_seconds is not None:
            seconds = min(seconds, self._reader.due_seconds)
        if seconds <= 0:
            return
        self._waiting_as = self._connection.identifier
        try:
            if not self._draining.is_set():
                self._reader.wait(gathering, seconds)
        finally:
            self._waiting_as = None

    @contextmanager
    def _doubting(self) -> Iterator[None]:
        try:
            yield
        except PredictqError:
            self._reader.doubt()
            raise
