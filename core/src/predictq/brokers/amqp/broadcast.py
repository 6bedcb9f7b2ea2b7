"""Reading without a group: everything published from now on, with nothing acknowledged."""

import threading
import time
from collections.abc import Sequence

from predictq.brokers.amqp.connection import Connection
from predictq.brokers.amqp.fetching import Fetched, Fetching
from predictq.brokers.amqp.options import Place
from predictq.brokers.amqp.publishing import Outbox, Publisher
from predictq.brokers.amqp.queues import GroupQueues
from predictq.brokers.amqp.reading import Gathering, Held
from predictq.brokers.amqp.settling import Answers, Judge
from predictq.brokers.in_hand import InHand
from predictq.brokers.port import Batch, Message, Subscription, Verdict
from predictq.errors import BrokerUnavailable, PredictqError, UserMistake

__all__ = ["AmqpBroadcast"]

_LOOK_SECONDS = 1.0
_LONGEST = 100_000
"""Hints that wait here or on the server; older ones are dropped, which costs latency and nothing else."""


class AmqpBroadcast:
    """A queue of this connection's own on each topic, there before the first poll."""

    def __init__(self, place: Place, subscription: Subscription) -> None:
        self._place = place
        self._subscription = subscription
        self._connection = Connection(place, subscription.member, place.options.heartbeat_seconds)
        self._publisher = Publisher(self._connection)
        self._judge = Judge(subscription, self._publisher, None)
        self._bell = threading.Event()
        self._fetchings: list[Fetching] = []
        self._error: PredictqError | None = None
        self._in_hand = InHand(subscription)
        self._held = Held()
        self._draining = False
        try:
            self._begin()
        except BaseException:
            self._connection.close()
            raise

    def poll(self, max_messages: int, max_bytes: int, max_wait: float) -> Batch:
        """The next records. Raises BrokerUnavailable when the connection is lost; the next call begins anew."""
        self._in_hand.check_room()
        if not self._connection.is_open or self._error is not None:
            self._connection.close()
            self._begin()
        taken = self._gather(Gathering(max_messages, max_bytes), max_wait)
        batch = Batch([fetched.record for fetched in taken], claim=(None, taken))
        self._in_hand.add(batch)
        return batch

    def settle(self, batch: Batch, verdicts: Sequence[Verdict], also: Sequence[Message] = ()) -> int:
        """Publish what the verdicts emit; nothing of a broadcast can be lost to another."""
        self._in_hand.check(batch, verdicts)
        self._publisher.open()
        outbox = Outbox()
        self._judge.apply(batch.claim[1] if batch.claim is not None else (), verdicts, outbox, Answers())
        self._publisher.pack(outbox, also)
        if outbox.count:
            self._publisher.wait(self._publisher.send(outbox))
        self._in_hand.done(batch)
        return 0

    def extend(self, _batch: Batch) -> bool:
        """Always its own."""
        return True

    def drain(self) -> None:
        """Stop fetching, from any thread."""
        self._draining = True
        self._bell.set()

    def close(self) -> None:
        """Close the connection, and with it the queues; may be called again."""
        self._draining = True
        self._connection.close()

    def _begin(self) -> None:
        self._connection.open()
        self._publisher.open()
        self._error = None
        self._fetchings = [self._listening(topic) for topic in self._subscription.topics]

    def _listening(self, topic: str) -> Fetching:
        if topic not in self._publisher.topics.known(topic).topics:
            raise UserMistake(
                f"topic {topic} does not exist; `predictq topics ensure` creates the topics of the settings"
            )
        line = self._connection.line()
        fetching = Fetching(GroupQueues(topic, (), None, (), False), line, self._bell.set, longest=_LONGEST)
        line.on_end = self._ended
        line.listen(fetching)
        arguments = {"x-max-length": _LONGEST, "x-overflow": "drop-head"}
        queue = line.ask("queue_declare", queue="", exclusive=True, arguments=arguments).method.queue
        line.ask("queue_bind", queue=queue, exchange=topic, routing_key="#")
        line.ask("basic_consume", queue=queue, on_message_callback=_unused, auto_ack=True)
        return fetching

    def _gather(self, gathering: Gathering, max_wait: float) -> list[Fetched]:
        deadline = time.monotonic() + self._subscription.idle_seconds
        while not self._draining:
            self._bell.clear()
            if self._error is not None or not self._connection.is_open:
                raise self._error or BrokerUnavailable(f"broker {self._place.shown}: the connection was lost")
            waiting = bool(gathering.taken)
            gathering.take(self._fetchings, self._held)
            now = time.monotonic()
            if gathering.taken and not waiting:
                deadline = now + max_wait
            if gathering.full or now >= deadline:
                break
            self._bell.wait(min(deadline - now, _LOOK_SECONDS))
        return gathering.taken

    def _ended(self, error: PredictqError) -> None:
        self._error = error
        self._bell.set()


def _unused(*_: object) -> None:
    """Deliveries are read on the quick path."""
