"""Reading for a group: poll, settle, extend."""

import math
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from predictq.brokers.amqp.active import PROBE, ActiveMembers, Unsettled
from predictq.brokers.amqp.confirming import Publication
from predictq.brokers.amqp.connection import Connection
from predictq.brokers.amqp.fetching import Fetched, Fetching
from predictq.brokers.amqp.options import Place
from predictq.brokers.amqp.outlived import Outlived
from predictq.brokers.amqp.properties import Own
from predictq.brokers.amqp.publishing import Outbox, Publisher
from predictq.brokers.amqp.queues import GroupQueues
from predictq.brokers.amqp.reading import Gathering, Held
from predictq.brokers.amqp.session import Session
from predictq.brokers.amqp.settling import Answers, Judge, copy_home, send_on
from predictq.brokers.amqp.wire import Wire
from predictq.brokers.in_hand import InHand
from predictq.brokers.port import NO_HEADERS, Batch, Done, Message, Release, Subscription, Verdict
from predictq.errors import BrokerUnavailable, UserMistake

__all__ = ["AmqpConsumer"]

_LONE_LOOK_SECONDS = 0.25
_SHARE_SECONDS = 2.0
_SHORTEST_HEARTBEAT = 2


class AmqpConsumer:
    """Reads topics for one group."""

    def __init__(
        self, place: Place, subscription: Subscription, group: str, active: ActiveMembers, outlived: Outlived
    ) -> None:
        heartbeat = max(round(subscription.claim_seconds), _SHORTEST_HEARTBEAT)
        self._place = place
        self._subscription = subscription
        self._connection = Connection(place, subscription.member, heartbeat)
        self._connection.open()
        self._publisher = Publisher(self._connection)
        try:
            self._publisher.open()
            self._queues = [self._known(topic, group) for topic in subscription.topics]
        except BaseException:
            self._connection.close()
            raise
        retries = next((one for one in self._queues if one.topic == subscription.retry_topic), None)
        self._judge = Judge(subscription, self._publisher, retries)
        self._lock = threading.Lock()
        self._bell = threading.Event()
        self._session: Session | None = None
        self._held = Held()
        self._in_hand = InHand(subscription)
        self._unconfirmed: tuple[Batch, Publication, Answers] | None = None
        self._draining = False
        self._closed = False
        self._busy = False
        self._sign_at = time.monotonic()
        self._lone_at = 0.0
        self._share_at = 0.0
        self._active = active
        self._outlived = outlived
        self._active.join(subscription.topics, group, self)

    def poll(self, max_messages: int, max_bytes: int, max_wait: float) -> Batch:
        """The next records. Blocks for at most `idle_seconds` for the first, and `max_wait` seconds for more."""
        self._in_hand.check_room()
        if self._draining:
            return Batch(())
        with self._at_work():
            session = self._begun(max_messages, max_bytes)
            taken = self._gather(session, Gathering(max_messages, max_bytes), max_wait)
        batch = Batch([fetched.record for fetched in taken], claim=(session, taken))
        self._in_hand.add(batch)
        if batch:
            session.mean_bytes = sum([len(record[3]) for record in batch.records]) / len(taken)
        return batch

    def settle(self, batch: Batch, verdicts: Sequence[Verdict], also: Sequence[Message] = ()) -> int:
        """Publish what the verdicts ask for, wait for the confirms, then acknowledge; returns how many were lost.

        After BrokerUnavailable a second call waits for what the first one sent, and sends it again only where the
        connection was lost meanwhile. The claim is lost with it, so then nothing is sent at all.
        """
        self._in_hand.check(batch, verdicts)
        all_done = set(map(type, verdicts)) <= {Done}
        with self._at_work():
            if batch and self._lost(batch):
                self._note_if_cut()
                self._in_hand.done(batch)
                self._unconfirmed = None
                return len(batch)
            publication, answers = self._published(batch, verdicts, also, all_done=all_done)
            if publication is not None:
                self._unconfirmed = (batch, publication, answers)
                self._publisher.wait(publication)
                self._unconfirmed = None
            self._tell(answers)
            self._outlived.forget(r for r, v in zip(batch.records, verdicts, strict=True) if type(v) is not Release)
            self._in_hand.done(batch)
        return 0

    def extend(self, batch: Batch) -> bool:
        """Give a sign of life; False when the batch is lost. From any thread."""
        with self._lock:
            self._sign_at = time.monotonic()
            return not self._lost(batch)

    def drain(self) -> None:
        """Stop fetching, from any thread; what was fetched ahead goes back at once."""
        self._draining = True
        self._bell.set()
        session = self._session
        if session is not None and not session.lost:
            # Where the connection ends just now there is nothing to give back.
            with suppress(BrokerUnavailable):
                self._connection.soon(lambda wire: self._stop_fetching(wire, session))

    def close(self) -> None:
        """Give back everything and leave the group; may be called again."""
        if self._closed:
            return
        self._closed = self._draining = True
        self._active.leave(self)
        try:
            session = self._session
            if session is not None and session.lost:
                self._note_if_cut()
            elif session is not None:
                self._give_back_all(session)
        except BrokerUnavailable:
            # The server itself gives back what was in the hands of a connection that ends.
            pass
        finally:
            self._session = None
            self._connection.close()

    def unsettled(self, topic: str) -> Unsettled | None:
        """See `Reading`. To be asked by the thread that polls and settles."""
        session = self._session
        if session is None or session.lost:
            return None
        [fetching] = [one for one in session.fetchings if one.queues.topic == topic]
        probes = [fetching.probes.popleft() for _ in range(len(fetching.probes))]
        if probes:
            self._connection.emit(fetching.acknowledgement(probes))
        if not fetching.active:
            self._probe(fetching)
            return None
        ahead = [fetched.record.published_at for fetched in fetching.waiting.copy()]
        return [*ahead, *(record.published_at for record in self._in_hand.records if record.topic == topic)]

    def _probe(self, fetching: Fetching) -> None:
        """Ask, without waiting for the answer, whether this is the member to whom everything comes."""
        outbox = Outbox()
        own = Own(int(time.time() * 1000))
        self._publisher.pack_copy(outbox, fetching.queues.home(0), b"", NO_HEADERS, own, PROBE)
        self._publisher.send(outbox)

    def _known(self, topic: str, group: str) -> GroupQueues:
        return self._publisher.topics.known(topic).queues(topic, group)

    @contextmanager
    def _at_work(self) -> Iterator[None]:
        """Within the block the member is alive, however long it takes."""
        with self._lock:
            self._busy = True
        try:
            yield
        finally:
            with self._lock:
                self._sign_at = time.monotonic()
                self._busy = False

    def _lost(self, batch: Batch) -> bool:
        session: Session | None = batch.claim[0] if batch.claim is not None else None
        return session is None or session is not self._session or session.lost

    def _note_if_cut(self) -> None:
        """Where the connection is gone, and not only the claim, the server counts what was in hand as handed out."""
        if self._in_hand and not self._connection.is_open:
            self._outlived.note(self._in_hand.records)

    def _begun(self, max_messages: int, max_bytes: int) -> Session:
        """The session, a new one where the last was lost. Raises what ended it where waiting mends nothing."""
        session = self._session
        if session is not None and session.lost:
            self._session = None
            self._held = Held()
            error, gone = session.error, not self._connection.is_open
            if not gone:
                # Where the connection ends just now there is nothing left to leave.
                with suppress(BrokerUnavailable):
                    session.leave()
            if isinstance(error, UserMistake):
                raise error
        if self._session is None:
            self._publisher.open()
            self._session = session = Session(self._connection, self._bell, self._outlived)
            self._connection.soon(lambda wire: self._watch(wire, session))
            session.begin(self._queues, max_messages, max_bytes)
        else:
            self._session.tune(max_messages, max_bytes)
        self._session.take_turns()
        if time.monotonic() > self._share_at:
            self._share_at = time.monotonic() + _SHARE_SECONDS
            self._session.share()
        return self._session

    def _gather(self, session: Session, gathering: Gathering, max_wait: float) -> list[Fetched]:
        deadline = time.monotonic() + self._subscription.idle_seconds
        while not self._draining:
            self._bell.clear()
            if session.lost:
                raise session.error or BrokerUnavailable(f"broker {self._place.shown}: the connection was lost")
            waiting = bool(gathering.taken)
            if not waiting and (lone := self._lone(session)) is not None:
                return [lone]
            with self._lock:
                gathering.take(session.fetchings, self._held)
            if gathering.misplaced:
                self._send_on(gathering)
                continue
            now = time.monotonic()
            if gathering.taken and not waiting:
                deadline = now + max_wait
            if gathering.full or now >= deadline:
                break
            self._bell.wait(min(deadline - now, self._look_again_in(session, now, waiting=bool(gathering.taken))))
        return gathering.taken

    def _lone(self, session: Session) -> Fetched | None:
        """A record that comes alone. Asked for now and then; nothing else is in hand while it is asked for."""
        if session.alone is None or time.monotonic() < self._lone_at:
            return None
        found = session.get()
        self._lone_at = 0.0 if found is not None else time.monotonic() + _LONE_LOOK_SECONDS
        return found

    def _look_again_in(self, session: Session, now: float, *, waiting: bool) -> float:
        seconds = self._held.next_in_seconds()
        seconds = 60.0 if seconds is None else seconds
        return seconds if waiting or session.alone is None else max(min(seconds, self._lone_at - now), 0.0)

    def _send_on(self, gathering: Gathering) -> None:
        """Move what must not be handed out here and now to where it belongs."""
        misplaced, gathering.misplaced = gathering.misplaced, []
        outbox, answers, now_ms = Outbox(), Answers(), time.time() * 1000
        for fetched in misplaced:
            send_on(self._publisher, outbox, fetched, now_ms)
            answers.ack(fetched)
        self._publisher.wait(self._publisher.send(outbox))
        self._tell(answers)
        self._lone_at = 0.0

    def _published(
        self, batch: Batch, verdicts: Sequence[Verdict], also: Sequence[Message], *, all_done: bool
    ) -> tuple[Publication | None, Answers]:
        """Send it, or find what an earlier call for this batch has sent."""
        if batch and self._unconfirmed is not None and self._unconfirmed[0] is batch:
            _, publication, answers = self._unconfirmed
            if not publication.over.is_set() or not publication.failed:
                return publication, answers
        self._publisher.open()
        outbox, answers = Outbox(), Answers()
        taken: Sequence[Fetched] = batch.claim[1] if batch.claim is not None else ()
        if all_done:
            # Every one is a Done here; asking again for each record would cost more than the rest of this function.
            messages = [message for done in verdicts for message in done.outputs]  # type: ignore[union-attr]
            self._publisher.pack(outbox, messages)
            for fetched in taken:
                answers.ack(fetched)
        else:
            self._judge.apply(taken, verdicts, outbox, answers)
            self._lone_at = 0.0
        self._publisher.pack(outbox, also)
        return (self._publisher.send(outbox) if outbox.count else None), answers

    def _tell(self, answers: Answers) -> None:
        block = answers.block()
        if block:
            self._connection.emit(block)

    def _watch(self, wire: Wire, session: Session) -> None:
        """On the connection's thread, now and then: a member that gives no sign of life lets go."""
        if session is not self._session or session.lost:
            return
        with self._lock:
            silent = 0.0 if self._busy else time.monotonic() - self._sign_at
            alive = silent < self._patience(session)
            if not alive:
                who = self._subscription.member
                session.let_go(f"broker {self._place.shown}: nothing was heard of {who} for {silent:.1f} s")
        if alive:
            wire.ioloop.call_later(self._subscription.claim_seconds / 8, lambda: self._watch(wire, session))

    def _patience(self, session: Session) -> float:
        """How long the member may be silent; who has nothing keeps nothing from the others."""
        if self._in_hand:
            return self._subscription.claim_seconds
        ahead = any(fetching.waiting for fetching in session.fetchings)
        return 3 * self._subscription.claim_seconds if ahead else math.inf

    def _stop_fetching(self, wire: Wire, session: Session) -> None:
        """On the connection's thread: give back what no member has had yet. What was counted before is left for
        `close`, which does it without counting."""

        def give_back(fetching: Fetching) -> None:
            answers = Answers()
            with self._lock:
                waiting = list(fetching.waiting)
                fetching.waiting.clear()
                for fetched in waiting:
                    if fetched.record.redeliveries or fetched.record.alone:
                        fetching.waiting.append(fetched)
                    else:
                        answers.give_back(fetched)
                block = answers.block()
            if block and not session.lost:
                wire.emit(block)

        session.stop_fetching_soon(give_back)

    def _give_back_all(self, session: Session) -> None:
        """Without counting, as far as that goes: by copies."""
        session.stop_fetching()
        in_hand: list[Fetched] = [fetched for batch in self._in_hand for fetched in batch.claim[1]]
        outbox, answers = Outbox(), Answers()
        ahead = [one for fetching in session.fetchings for one in fetching.waiting]
        fresh = [one for one in ahead if not (one.record.redeliveries or one.record.alone)]
        with_a_count = [one for one in ahead if one.record.redeliveries or one.record.alone]
        for fetched in (*in_hand, *with_a_count, *self._held.everything()):
            if not fetched.source.queues.in_turn:
                copy_home(self._publisher, outbox, fetched)
                answers.ack(fetched)
        for fetched in fresh:
            answers.give_back(fetched)
        if outbox.count:
            self._publisher.wait(self._publisher.send(outbox))
        self._tell(answers)
