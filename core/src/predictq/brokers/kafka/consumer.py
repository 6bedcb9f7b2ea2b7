"""Reading for a group: poll, settle, extend."""

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from functools import partial

from predictq.brokers.in_hand import InHand
from predictq.brokers.kafka.assignment import Assignment
from predictq.brokers.kafka.driver import Committed, Driver, Evicted, Member, Place, Rebalancing
from predictq.brokers.kafka.emitting import Emitter
from predictq.brokers.kafka.gathering import Gathering
from predictq.brokers.kafka.held import DELAYS, Held, Run
from predictq.brokers.kafka.joining import check_group
from predictq.brokers.kafka.moving import Mover
from predictq.brokers.kafka.notes import Note, committed_of
from predictq.brokers.kafka.options import Options
from predictq.brokers.kafka.outgoing import plan
from predictq.brokers.kafka.pump import Pump
from predictq.brokers.kafka.settling import Outcome, outcomes_of
from predictq.brokers.kafka.topics import Topics, delays_of
from predictq.brokers.kafka.transacting import Transaction
from predictq.brokers.port import Batch, Message, Subscription, Verdict
from predictq.errors import BrokerUnavailable

__all__ = ["KafkaConsumer"]

log = logging.getLogger(__name__)

_LEAST_SESSION_SECONDS = 6.0
_REBALANCE_SECONDS = 60.0
_FETCH_BYTES = 16 * 1024 * 1024
_PATIENCE_SECONDS = 0.01
_MOST_LOOKS = 5
_BATCHES_AHEAD = 8
_JOIN_SECONDS = 3.0


class KafkaConsumer:
    """Reads topics for one group."""

    def __init__(self, driver: Driver, options: Options, subscription: Subscription, group: str) -> None:
        self._driver = driver
        self._options = options
        self._subscription = subscription
        self._group = group
        self._sender = driver.sender()
        self._topics = Topics(self._sender)
        levels = {topic: level for level, topic in enumerate(subscription.topics)}
        if subscription.retry_topic is not None:
            levels[delays_of(subscription.retry_topic)] = DELAYS
        self._reads = tuple(levels)
        check_group(driver, group, self._reads)
        self._assignment = Assignment(levels, options.handover_seconds)
        self._emitter = Emitter(self._sender, self._topics, options)
        mover = Mover(self._assignment, self._emitter.publish, options.request_seconds)
        self._pump = Pump(
            group=group,
            assignment=self._assignment,
            join=self._join,
            move_due=mover.move_due,
            claim_seconds=subscription.claim_seconds,
            request_seconds=options.request_seconds,
        )
        self._draining = threading.Event()
        self._closed = False
        self._in_hand = InHand(subscription, options.batches_in_hand)
        self._overlaps = False
        """Whether a batch was ever polled while another was in hand."""
        self._committing = threading.Lock()
        """One commit at a time: a later one must not be overtaken by what was true before."""
        self._asked = (0, 0)
        self._turn = 0
        self._joining_until = 0.0
        self._transaction = Transaction(driver, options, subscription) if options.transactions else None
        # The group shares out its partitions while the caller gets ready.
        self._ask()

    def poll(self, max_messages: int, max_bytes: int, max_wait: float) -> Batch:
        """The next records. Blocks for at most `idle_seconds` for the first, and `max_wait` seconds for more."""
        self._in_hand.check_room()
        self._overlaps = self._overlaps or bool(self._in_hand)
        self._asked = (max_messages, max_bytes)
        self._pump.ahead = max(self._pump.ahead, _BATCHES_AHEAD * max_messages)
        self._pump.enter()
        try:
            gathering = self._gather(max_messages, max_bytes, max_wait)
        finally:
            self._pump.leave()
        batch = Batch(gathering.records, claim=gathering.runs)
        self._in_hand.add(batch)
        if not self._in_hand and self._draining.is_set():
            self._leave()
        return batch

    def settle(self, batch: Batch, verdicts: Sequence[Verdict], also: Sequence[Message] = ()) -> int:
        """Make durable what the verdicts ask for, then commit the offsets; returns how many were lost."""
        self._in_hand.check(batch, verdicts)
        outcomes = outcomes_of(batch, verdicts, self._subscription) if batch else []
        self._pump.enter()
        try:
            kept = self._kept(outcomes)
            if self._transaction is not None and (kept or also):
                kept = self._transact(self._transaction, batch, kept, also)
            else:
                if kept or not outcomes:
                    self._emitter.emit([*_messages(kept), *also])
                kept = self._commit(batch, kept)
        finally:
            self._pump.leave()
        self._in_hand.done(batch)
        return sum(outcome.count for outcome in outcomes) - sum(outcome.count for outcome in kept)

    def extend(self, batch: Batch) -> bool:
        """Give a sign of life; False when some of the batch belongs to another by now. From any thread."""
        self._pump.sign()
        runs: list[Run] = batch.claim
        with self._assignment.changed:
            return all(self._assignment.is_current(run.held) for run in runs)

    def drain(self) -> None:
        """Stop fetching, from any thread."""
        self._draining.set()
        with self._assignment.changed:
            self._assignment.changed.notify_all()

    def close(self) -> None:
        """Give back everything and leave the group; may be called again."""
        if self._closed:
            return
        self._closed = True
        self._draining.set()
        try:
            self._leave()
        finally:
            self._sender.close()
            if self._transaction is not None:
                self._transaction.close()

    def _join(self) -> Member:
        s, o = self._subscription, self._options
        return self._driver.member(
            group=self._group,
            instance=s.instance,
            topics=self._reads,
            listener=self._assignment,
            session_seconds=o.session_timeout_seconds or max(s.claim_seconds, _LEAST_SESSION_SECONDS),
            rebalance_seconds=max(_REBALANCE_SECONDS, 2 * o.handover_seconds),
            max_fetch_bytes=_FETCH_BYTES,
        )

    def _gather(self, max_messages: int, max_bytes: int, max_wait: float) -> Gathering:
        changed = self._assignment.changed
        self._ask()
        deadline = self._until_idle()
        waiting = False
        while True:
            if self._draining.is_set():
                return self._nothing() if not waiting else self._hand_out(max_messages, max_bytes)
            self._ask()
            with changed:
                gathering = self._look(max_messages, max_bytes)
                if gathering.records and not waiting:
                    waiting, deadline = True, time.monotonic() + max_wait
                elif not gathering.records:
                    waiting = False
                left = deadline - time.monotonic()
                if not gathering.full and left > 0:
                    changed.wait(left)
                    if self._joining_until and not waiting:
                        deadline = self._until_idle()
                    continue
            if not gathering.records:
                return gathering
            gathering = self._hand_out(max_messages, max_bytes)
            if gathering.records:
                return gathering
            # The group has moved on; the pump hears of it in a moment.
            time.sleep(_PATIENCE_SECONDS)
            waiting, deadline = False, self._until_idle()

    def _ask(self) -> None:
        if self._pump.ask():
            self._joining_until = time.monotonic() + min(_JOIN_SECONDS, self._subscription.claim_seconds / 4)

    def _until_idle(self) -> float:
        """When a poll for nothing returns; the first one waits for the group to share out its partitions."""
        now = time.monotonic()
        if now >= self._joining_until or any(held.off >= 0 for held in self._assignment.held.values()):
            self._joining_until = 0.0
        return max(now + self._subscription.idle_seconds, self._joining_until)

    def _look(self, max_messages: int, max_bytes: int) -> Gathering:
        return Gathering(list(self._assignment.held.values()), self._turn, max_messages, max_bytes)

    def _nothing(self) -> Gathering:
        return Gathering([], 0, 0, 0)

    def _hand_out(self, max_messages: int, max_bytes: int) -> Gathering:
        """Note what is handed out, before it is: a crash from now on counts for these records and no others.

        Mostly the commit of the batch before has noted it already. Where it has not, what came meanwhile is looked at
        again: it may take precedence.
        """
        changed = self._assignment.changed
        for _ in range(_MOST_LOOKS):
            with changed:
                gathering = self._look(max_messages, max_bytes)
                if not self._notes(gathering):
                    self._take(gathering)
                    return gathering
            with self._committing:
                with changed:
                    # The settle that was committing until now may have noted it.
                    gathering = self._look(max_messages, max_bytes)
                    arrivals, wanted = self._assignment.arrivals, self._notes(gathering)
                    if not wanted:
                        self._take(gathering)
                        return gathering
                if not self._note(wanted):
                    return self._nothing()
            with changed:
                if self._assignment.arrivals == arrivals and all(map(self._assignment.is_current, wanted)):
                    self._take(gathering)
                    return gathering
        with changed:
            # Records come in all the time: what was noted last is good enough.
            gathering.keep(lambda run: self._assignment.is_current(run.held) and not run.held.leaving)
            self._take(gathering)
        return gathering

    def _take(self, gathering: Gathering) -> None:
        """Under the lock."""
        self._turn += 1
        for run in gathering.runs:
            run.held.take(gathering.records[run.first : run.last])
            self._assignment.in_hand[run.held] += 1

    def _notes(self, gathering: Gathering) -> dict[Held, tuple[int, Note]]:
        """What must be committed before this may be handed out; under the lock.

        Who settles one batch while he has the next has the one after that noted too, or each poll would wait for a
        commit; then a crash counts for these as well.
        """
        ends = {run.held: run.end for run in gathering.runs}
        wanted: dict[Held, tuple[int, Note]] = {}
        for held in self._assignment.held.values():
            if held.off < 0 or held.level == DELAYS:
                continue
            handed, noted = ends.get(held, held.out), held.note.handed
            if noted < handed or (noted > handed and not self._overlaps):
                wanted[held] = (held.off, held.note._replace(handed=handed))
        return wanted

    def _note(self, wanted: Mapping[Held, tuple[int, Note]]) -> bool:
        """Commit notes; False when the group has moved on and it must be looked again."""
        deadline = time.monotonic() + self._options.request_seconds
        while not self._draining.is_set():
            with self._assignment.changed:
                mine = {h: (off, n) for h, (off, n) in wanted.items() if self._assignment.is_current(h)}
                offsets = {held.place: committed_of(off, note) for held, (off, note) in mine.items()}
            if not offsets:
                return False
            try:
                self._commit_offsets(offsets)
            except Rebalancing:
                self._wait(deadline)
            except Evicted:
                return False
            else:
                self._assignment.noted(mine)
                return True
        return False

    def _commit(self, batch: Batch, kept: Sequence[Outcome]) -> Sequence[Outcome]:
        """Acknowledge what is still ours, and note in the same commit what will be handed out next."""
        deadline = time.monotonic() + self._options.request_seconds
        while True:
            try:
                with self._committing:
                    with self._assignment.changed:
                        kept = self._kept(kept)
                        noted = self._settled(kept)
                        offsets = {held.place: committed_of(off, note) for held, (off, note) in noted.items()}
                    if offsets:
                        self._commit_offsets(offsets)
                    self._assignment.noted(noted)
            except Rebalancing:
                self._wait(deadline)
                continue
            except Evicted:
                kept = []
            self._emitter.settled()
            self._let_go(batch, kept)
            return kept

    def _transact(
        self, transaction: Transaction, batch: Batch, kept: Sequence[Outcome], also: Sequence[Message]
    ) -> Sequence[Outcome]:
        """All of it in one transaction."""
        deadline = time.monotonic() + self._options.request_seconds
        emits = bool(kept) or not batch
        done = False
        while not done:
            try:
                with self._committing:
                    with self._assignment.changed:
                        kept = self._kept(kept)
                        noted = self._settled(kept)
                    messages = [*_messages(kept), *(also if kept or emits else ())]
                    rows = plan(messages, self._topics, self._options.message_max_bytes)
                    offsets = {held.place: committed_of(off, note) for held, (off, note) in noted.items()}
                    ours = partial(self._all_current, list(noted))
                    done = transaction.settle(rows, offsets, self._pump.member, ours)
                    if done:
                        self._assignment.noted(noted)
            except Rebalancing:
                self._wait(deadline)
            except Evicted:
                kept, done = [], True
        self._let_go(batch, kept)
        return kept

    def _all_current(self, held: Sequence[Held]) -> bool:
        with self._assignment.changed:
            return all(map(self._assignment.is_current, held))

    def _let_go(self, batch: Batch, kept: Sequence[Outcome]) -> None:
        runs: list[Run] = batch.claim or []
        with self._assignment.changed:
            for outcome in kept:
                if outcome.back:
                    outcome.held.put_back([record._replace(redeliveries=0) for record in outcome.back])
            self._assignment.let_go(run.held for run in runs)

    def _settled(self, kept: Sequence[Outcome]) -> dict[Held, tuple[int, Note]]:
        """Where the partitions stand after this batch, with what comes next marked as handed out; under the lock."""
        back = {outcome.held for outcome in kept if outcome.back}
        ends = {outcome.held: outcome.end for outcome in kept}
        coming: dict[Held, int] = {}
        if not self._draining.is_set() and not back:
            max_messages, max_bytes = self._asked
            batches = 2 if self._overlaps and len(self._in_hand) < self._options.batches_in_hand else 1
            upcoming = self._look(batches * max_messages, batches * max_bytes)
            if not any(record.headers and "alone" in record.headers for record in upcoming.records[:1]):
                coming = {run.held: run.end for run in upcoming.runs}
        return {
            held: (off, held.note._replace(handed=off if held in back else coming.get(held, max(off, held.out))))
            for held in {*ends, *coming}
            if (off := ends.get(held, held.off)) >= 0
        }

    def _kept(self, outcomes: Sequence[Outcome]) -> Sequence[Outcome]:
        with self._assignment.changed:
            return [outcome for outcome in outcomes if self._assignment.is_current(outcome.held)]

    def _commit_offsets(self, offsets: Mapping[Place, Committed]) -> None:
        member = self._pump.member
        if member is None:
            raise Evicted
        member.commit(offsets, self._options.request_seconds)

    def _wait(self, deadline: float) -> None:
        if time.monotonic() > deadline:
            raise BrokerUnavailable(f"group {self._group} has not settled on its members in time")
        time.sleep(_PATIENCE_SECONDS)

    def _leave(self) -> None:
        """Give back everything, uncounted, and leave the group; may be called again."""
        try:
            self._give_back()
        except BrokerUnavailable:
            # It is given back when the group has missed this member for its session's time.
            log.warning("%s: what was in hand could not be given back, for the broker is away", self._group)
        finally:
            self._pump.end()

    def _give_back(self) -> None:
        with self._assignment.changed:
            self._assignment.in_hand.clear()
            offsets = self._assignment.given_back(self._assignment.held.values())
        deadline = time.monotonic() + self._options.request_seconds
        while offsets:
            try:
                self._commit_offsets(offsets)
            except Rebalancing:
                self._wait(deadline)
            except Evicted:
                return
            else:
                return


def _messages(outcomes: Sequence[Outcome]) -> list[Message]:
    return [message for outcome in outcomes for message in outcome.messages]
