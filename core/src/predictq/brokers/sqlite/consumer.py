"""Reading for a group: poll, settle, extend."""

import threading
import time
from collections.abc import Sequence

from predictq.brokers.in_hand import InHand
from predictq.brokers.port import Batch, Message, Subscription, Verdict
from predictq.brokers.sqlite.appending import Plan, append, plan
from predictq.brokers.sqlite.assignment import Assignment
from predictq.brokers.sqlite.bell import bell_of
from predictq.brokers.sqlite.broadcast import Broadcast
from predictq.brokers.sqlite.connection import Connection, Place
from predictq.brokers.sqlite.delayed import delay, move_due, next_due
from predictq.brokers.sqlite.extending import Extender
from predictq.brokers.sqlite.reading import Gathering, Run
from predictq.brokers.sqlite.settling import Outcome, outcomes_of
from predictq.brokers.sqlite.topics import Topics
from predictq.brokers.sqlite.trimming import Trimmer

__all__ = ["SqliteConsumer"]

_SHORTEST_PAUSE = 0.001
_LONGEST_PAUSE = 0.02

_LOOK = "SELECT p.tp, p.next FROM json_each(?1) AS wanted JOIN partitions p ON p.tp = wanted.value"


class SqliteConsumer:
    """Reads topics for one group, or as a broadcast for none."""

    def __init__(self, place: Place, subscription: Subscription) -> None:
        if subscription.retry_topic is not None and subscription.retry_topic not in subscription.topics:
            raise ValueError(f"the retry topic {subscription.retry_topic} is not among the topics that are read")
        self._subscription = subscription
        self._connection = Connection(place)
        self._topics = Topics(self._connection)
        self._bell = bell_of(place.filename)
        self._assignment: Assignment | Broadcast
        if subscription.group is None:
            self._assignment = Broadcast(self._connection, subscription)
        else:
            self._assignment = Assignment(self._connection, subscription, subscription.group)
        self._trimmer = Trimmer(self._connection)
        self._extender = Extender(place, subscription)
        self._draining = threading.Event()
        self._closed = False
        self._in_hand = InHand(subscription)
        self._renew_at = 0.0
        self._sign_at = 0.0
        self._due_at: float | None = None
        self._seen_version = -1
        self._turn = 0

    def poll(self, max_messages: int, max_bytes: int, max_wait: float) -> Batch:
        """The next records. Blocks for at most `idle_seconds` for the first, and `max_wait` seconds for more."""
        self._in_hand.check_room()
        self._trimmer.trim()
        batch = self._gather(max_messages, max_bytes, max_wait)
        self._in_hand.add(batch)
        if not batch and self._draining.is_set():
            self._assignment.give_back()
        return batch

    def settle(self, batch: Batch, verdicts: Sequence[Verdict], also: Sequence[Message] = ()) -> int:
        """Write what the verdicts ask for and move the offsets, all in one transaction; returns how many were lost."""
        self._in_hand.check(batch, verdicts)
        outcomes = outcomes_of(batch, verdicts, self._subscription) if batch else []
        planned = plan([*_messages(outcomes), *also], self._topics)
        kept = self._write(outcomes, planned, also) if planned or self._subscription.group else outcomes
        self._in_hand.done(batch)
        for outcome in kept:
            outcome.held.off = outcome.end
        self._trimmer.owe(len(batch))
        if planned or any(outcome.later for outcome in kept):
            self._bell.ring()
        if len(kept) < len(outcomes):
            self._renew_at = 0.0
        return sum(outcome.count for outcome in outcomes) - sum(outcome.count for outcome in kept)

    def extend(self, batch: Batch) -> bool:
        """Give a sign of life; False when some of the batch belongs to another by now. From any thread."""
        runs: list[Run] = batch.claim
        return self._extender.extend([(run.held.tp, run.epoch) for run in runs])

    def drain(self) -> None:
        """Stop fetching, from any thread; the next poll gives back what this member holds."""
        self._draining.set()
        self._bell.ring()

    def close(self) -> None:
        """Give back everything and leave the group; may be called again."""
        if self._closed:
            return
        self._closed = True
        try:
            self._assignment.give_back()
        finally:
            self._extender.close()
            self._connection.close()

    def _write(self, outcomes: Sequence[Outcome], planned: Plan, also: Sequence[Message]) -> Sequence[Outcome]:
        """Everything in one transaction, without what was lost; returns what was not."""
        with self._connection.transaction(durable=True) as db:
            kept = [outcome for outcome in outcomes if self._assignment.advance(db, outcome)]
            if len(kept) < len(outcomes):
                planned = plan([*_messages(kept), *(also if kept else ())], self._topics)
            append(db, planned, self._topics, time.time())
            delay(db, [later for outcome in kept for later in outcome.later])
        return kept

    def _gather(self, max_messages: int, max_bytes: int, max_wait: float) -> Batch:
        gathering = Gathering(self._connection, max_messages, max_bytes)
        started = time.monotonic()
        deadline = started + self._subscription.idle_seconds
        self._seen_version = -1
        while not self._draining.is_set():
            heard = self._bell.rings
            waiting = bool(gathering.records)
            self._keep(waiting)
            if self._changed():
                self._look()
                self._read(gathering)
            now = time.monotonic()
            if gathering.records and not waiting:
                started, deadline = now, now + max_wait
            if gathering.full or now >= deadline:
                break
            if not gathering.records:
                self._trimmer.trim(idle=True)
            pause = min(max((now - started) / 10, _SHORTEST_PAUSE), _LONGEST_PAUSE, deadline - now)
            self._bell.wait(heard, self._until_due(pause))
        return self._claim(gathering)

    def _keep(self, waiting: bool) -> None:
        """Keep the claims; while a batch is being filled nothing changes hands."""
        now = time.monotonic()
        if now < min(self._renew_at, self._sign_at) or (waiting and now < self._sign_at):
            return
        self._sign_at = now + self._subscription.claim_seconds / 4
        if waiting:
            self._assignment.sign()
        else:
            self._renew_at = self._sign_at
            self._assignment.renew()
            self._seen_version = -1

    def _changed(self) -> bool:
        """Whether anything was committed since the last look, or a retry has become due."""
        version: int = self._connection.rows("PRAGMA data_version")[0][0]
        if version == self._seen_version and (self._due_at is None or self._due_at > time.time()):
            return False
        self._seen_version = version
        return True

    def _look(self) -> None:
        """See where the partitions end, after moving what is due into them."""
        topic = self._subscription.retry_topic
        if topic is not None:
            self._due_at = next_due(self._connection, topic)
            if self._due_at is not None and self._due_at <= time.time():
                move_due(self._connection, self._topics, topic, time.time())
                self._due_at = next_due(self._connection, topic)
        if self._assignment.stale():
            self._renew_at = 0.0
        held = {one.tp: one for one in self._assignment.everything()}
        for tp, end in self._connection.rows(_LOOK, (str(list(held)),)):
            held[tp].next = end

    def _read(self, gathering: Gathering) -> None:
        """Each topic only when those before it have nothing more; its partitions in turn."""
        self._turn += 1
        for partitions in self._assignment.held.values():
            for i in range(len(partitions)):
                gathering.read(partitions[(i + self._turn) % len(partitions)])
                if gathering.full:
                    return

    def _until_due(self, pause: float) -> float:
        if self._due_at is None:
            return pause
        return max(min(pause, self._due_at - time.time()), 0.0)

    def _claim(self, gathering: Gathering) -> Batch:
        """Note what is handed out, before it is: a crash from now on counts for these records and no others."""
        if gathering.records:
            lost = self._assignment.hand_out(gathering.runs)
            if lost:
                gathering.drop(lost)
                self._renew_at = 0.0
        return Batch(gathering.records, claim=gathering.runs)


def _messages(outcomes: Sequence[Outcome]) -> list[Message]:
    return [message for outcome in outcomes for message in outcome.messages]
