"""Reading for nobody's group: everything that is published from now on."""

import threading
import time
from collections.abc import Sequence

from predictq.brokers.in_hand import InHand
from predictq.brokers.kafka.driver import Driver, Place
from predictq.brokers.kafka.gathering import Gathering
from predictq.brokers.kafka.held import Held
from predictq.brokers.kafka.options import Options
from predictq.brokers.kafka.outgoing import mistake_among, plan, unpublished
from predictq.brokers.kafka.settling import outcomes_of
from predictq.brokers.kafka.topics import Topics, unknown_topic
from predictq.brokers.port import Batch, Message, Subscription, Verdict

__all__ = ["KafkaBroadcast"]

_TURN_SECONDS = 0.05


class KafkaBroadcast:
    """A consumer that acknowledges nothing and shares with nobody."""

    def __init__(self, driver: Driver, options: Options, subscription: Subscription) -> None:
        self._options = options
        self._subscription = subscription
        self._sender = driver.sender()
        self._topics = Topics(self._sender)
        offsets = _ends(driver, subscription.topics)
        levels = {topic: level for level, topic in enumerate(subscription.topics)}
        self._held = {place: Held(place, levels[place.topic], off=offset) for place, offset in offsets.items()}
        self._reader = driver.reader(offsets)
        self._draining = threading.Event()
        self._in_hand = InHand(subscription)
        self._closed = False
        self._turn = 0

    def poll(self, max_messages: int, max_bytes: int, max_wait: float) -> Batch:
        """The next records. Blocks for at most `idle_seconds` for the first, and `max_wait` seconds for more."""
        self._in_hand.check_room()
        deadline = time.monotonic() + self._subscription.idle_seconds
        waiting = False
        while True:
            gathering = Gathering(list(self._held.values()), self._turn, max_messages, max_bytes)
            if gathering.records and not waiting:
                waiting, deadline = True, time.monotonic() + max_wait
            left = deadline - time.monotonic()
            if gathering.full or left <= 0 or self._draining.is_set():
                break
            self._fetch(min(left, _TURN_SECONDS), max_messages)
        self._turn += 1
        for run in gathering.runs:
            run.held.take(gathering.records[run.first : run.last])
        batch = Batch(gathering.records, claim=gathering.runs)
        self._in_hand.add(batch)
        return batch

    def settle(self, batch: Batch, verdicts: Sequence[Verdict], also: Sequence[Message] = ()) -> int:
        """Publish what the verdicts ask for; nothing can be lost to others."""
        self._in_hand.check(batch, verdicts)
        outcomes = outcomes_of(batch, verdicts, self._subscription) if batch else []
        messages = [message for outcome in outcomes for message in outcome.messages]
        rows = plan([*messages, *also], self._topics, self._options.message_max_bytes)
        failures = self._sender.send(rows, self._options.request_seconds) if rows else ()
        if failures:
            self._topics.forget()
            raise mistake_among(failures) or unpublished(failures, len(rows))
        for outcome in outcomes:
            outcome.held.put_back(outcome.back)
        self._in_hand.done(batch)
        return 0

    def extend(self, batch: Batch) -> bool:  # noqa: ARG002 - the port's signature
        """It is nobody else's."""
        return True

    def drain(self) -> None:
        """Stop fetching, from any thread; a poll that waits sees it within a moment."""
        self._draining.set()

    def close(self) -> None:
        """Let go of the connections; may be called again."""
        if not self._closed:
            self._closed = True
            self._draining.set()
            self._reader.close()
            self._sender.close()

    def _fetch(self, wait_seconds: float, max_messages: int) -> None:
        for place, records, _ in self._reader.poll(wait_seconds, max_messages):
            self._held[place].add(records)


def _ends(driver: Driver, topics: Sequence[str]) -> dict[Place, int]:
    """Where the topics end at this moment."""
    admin = driver.admin()
    try:
        known = admin.topics()
        for topic in topics:
            if topic not in known:
                raise unknown_topic(topic)
        return dict(admin.ends([Place(topic, i) for topic in topics for i in range(known[topic])]))
    finally:
        admin.close()
