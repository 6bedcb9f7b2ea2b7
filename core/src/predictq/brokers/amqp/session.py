"""A member's presence on the server: its channels, and the claim on all that came through them.

A claim ends as a whole: with the connection, with a channel, or because the member let go. What it had goes to others
then, and is counted.
"""

import threading
import time
from collections.abc import Callable, Sequence

from predictq.brokers.amqp.connection import Connection, Line
from predictq.brokers.amqp.fetching import Fetched, Fetching
from predictq.brokers.amqp.frames import get
from predictq.brokers.amqp.outlived import Outlived
from predictq.brokers.amqp.queues import GroupQueues
from predictq.brokers.amqp.wire import Wire
from predictq.errors import BrokerUnavailable, PredictqError, UserMistake

__all__ = ["Session"]

_FIRST_ARRIVALS_SECONDS = 0.25
_LARGEST_PREFETCH = 65_535
_FIRST_PREFETCH = 64
"""Until it is known how large the messages are."""
_AHEAD_BYTES = 64 << 20
"""What may be fetched ahead where two polls are less than that."""


class Session:
    """Consumes all topics of a subscription, in order of precedence."""

    def __init__(self, connection: Connection, bell: threading.Event, outlived: Outlived) -> None:
        self._connection = connection
        self._bell = bell
        self._outlived = outlived
        self.fetchings: list[Fetching] = []
        self._presences: dict[str, Line] = {}
        self.alone: Fetching | None = None
        """For records that come one at a time: they are asked for, and never fetched ahead."""
        self.error: PredictqError | None = None
        """What ended it."""
        self.mean_bytes = 0.0
        """Of the messages that came last; 0 while none has come."""
        self._prefetch = 0

    @property
    def lost(self) -> bool:
        """Whether others may have what came through it."""
        return self.error is not None or not self._connection.is_open

    def begin(self, topics: Sequence[GroupQueues], max_messages: int, max_bytes: int) -> None:
        """Consume. A later topic only when what waited in an earlier one has come, so that precedence holds at once."""
        for queues in topics:
            # A channel for each partition: one is handed over to another member by closing it.
            for home in queues.homes:
                self.fetchings.append(self._fetching(queues._replace(homes=[home])))
            if queues.presence is not None:
                self._presences[queues.presence.name] = line = self._connection.line()
                line.on_end = self._ended
                line.ask("basic_consume", queue=queues.presence.name, on_message_callback=_unused)
            if queues.alone is not None:
                self.alone = self._fetching(queues)
        wanted = self._wanted(max_messages, max_bytes)
        self._prefetch = min(wanted, _FIRST_PREFETCH)
        for fetching in self.fetchings:
            self._consume(fetching, wanted if fetching.queues.in_turn else self._prefetch)
        sizes = [len(fetched.record.value) for fetching in self.fetchings for fetched in fetching.waiting]
        if sizes:
            self.mean_bytes = sum(sizes) / len(sizes)
        self.tune(max_messages, max_bytes)

    def tune(self, max_messages: int, max_bytes: int) -> None:
        """Fetch as far ahead as such polls ask for: two of them, within bounds.

        Where order counts the first word stands: the server would hand the queue on to another member while this one is
        still busy with what it has.
        """
        bound, wanted = self._bound(max_bytes), self._wanted(max_messages, max_bytes)
        if wanted <= self._prefetch <= 2 * bound:
            return
        # Polls that grow by and by shall not end in consuming anew each time.
        wanted = min(wanted * 3 // 2, bound)
        self._prefetch = wanted
        for fetching in self.fetchings:
            if not fetching.queues.in_turn:
                before, fetching.tags = fetching.tags, []
                for tag in before:
                    fetching.line.ask("basic_cancel", consumer_tag=tag)
                self._consume(fetching, wanted)

    def take_turns(self) -> None:
        """Let another partition of an ordered topic be the first to be polled."""
        for topic in {fetching.queues.topic for fetching in self.fetchings if fetching.queues.in_turn}:
            places = [i for i, fetching in enumerate(self.fetchings) if fetching.queues.topic == topic]
            turned = [self.fetchings[i] for i in (*places[1:], places[0])]
            for i, fetching in zip(places, turned, strict=True):
                self.fetchings[i] = fetching

    def share(self) -> None:
        """Hand over partitions of ordered topics of which this member has more than its share. Call it with nothing in
        hand.

        The server makes the first member that comes the active one of every partition, and leaves it at that. Whoever
        leaves a partition's line and joins it again stands at its end.
        """
        for presence, line in self._presences.items():
            members = line.ask("queue_declare", queue=presence, passive=True).method.consumer_count
            of_topic = [one for one in self.fetchings if one.queues.presence and one.queues.presence.name == presence]
            share = -(-len(of_topic) // max(members, 1))
            for fetching in [one for one in of_topic if one.active][share:]:
                self._stand_in_line_again(fetching)

    def get(self) -> Fetched | None:
        """A record that comes alone, if there is one."""
        alone = self.alone
        if alone is None or alone.queues.alone is None:
            return None
        question = get(alone.line.number, alone.queues.alone.name)
        alone.answered.clear()
        self._connection.emit(question)
        deadline = time.monotonic() + self._connection.place.options.answer_timeout_seconds
        while not alone.answered.wait(0.5):
            if self.lost or time.monotonic() > deadline:
                raise self.error or BrokerUnavailable(
                    f"broker {self._connection.place.shown}: no answer to a question for a record"
                )
        return alone.waiting.popleft() if alone.waiting else None

    def stop_fetching(self) -> None:
        """Cancel, and wait until nothing more comes; what came stays.

        Where order counts the channel is closed: the server then puts everything back in its place before it goes on
        with another member. A cancelled consumer would hold the earlier ones while another is given the later ones.
        """
        for line in self._presences.values():
            line.close()
        for fetching in self.fetchings:
            tags, fetching.tags = fetching.tags, []
            if fetching.queues.in_turn:
                fetching.waiting.clear()
                fetching.line.close()
                continue
            for tag in tags:
                fetching.line.ask("basic_cancel", consumer_tag=tag)

    def stop_fetching_soon(self, then: Callable[[Fetching], None]) -> None:
        """On the connection's thread: cancel, and call `then` for each topic of which nothing more comes. Where order
        counts nothing is done before the batch in hand is settled."""
        for fetching in self.fetchings:
            if fetching.queues.in_turn or not fetching.line.channel.is_open:
                continue
            tags, fetching.tags = fetching.tags, []
            for tag in tags:
                fetching.line.channel.basic_cancel(tag, callback=lambda _, its=fetching: then(its))

    def let_go(self, reason: str) -> None:
        """On the connection's thread: close the channels, whereupon the server gives everything to others."""
        self.error = BrokerUnavailable(reason)
        for line in self._lines():
            if line.is_open and line.channel.is_open:
                Wire.close_channel(line.channel)

    def leave(self) -> None:
        """Close what is left of it after it was lost."""
        for line in self._lines():
            line.on_end = None
            line.close()

    def _stand_in_line_again(self, fetching: Fetching) -> None:
        place = self.fetchings.index(fetching)
        fetching.line.close()
        self.fetchings[place] = self._fetching(fetching.queues)
        self._consume(self.fetchings[place], self._prefetch)

    def _wanted(self, max_messages: int, max_bytes: int) -> int:
        """How many messages to fetch ahead."""
        return min(2 * max_messages, self._bound(max_bytes))

    def _bound(self, max_bytes: int) -> int:
        """How many messages may be fetched ahead, by the size of the last."""
        if not self.mean_bytes:
            return _LARGEST_PREFETCH
        return min(max(int(max(2 * max_bytes, _AHEAD_BYTES) / self.mean_bytes), 2), _LARGEST_PREFETCH)

    def _lines(self) -> list[Line]:
        fetchings = (*self.fetchings, *([self.alone] if self.alone else ()))
        return [*(fetching.line for fetching in fetchings), *self._presences.values()]

    def _fetching(self, queues: GroupQueues) -> Fetching:
        line = self._connection.line()
        fetching = Fetching(queues, line, self._bell.set, outlived=self._outlived)
        line.on_end = self._ended
        line.listen(fetching)
        return fetching

    def _consume(self, fetching: Fetching, prefetch: int) -> None:
        line, arrivals = fetching.line, len(fetching.waiting)
        line.ask("basic_qos", prefetch_count=prefetch)
        ready = 0
        for queue in fetching.queues.homes:
            counted = line.ask("queue_declare", queue=queue.name, passive=True).method
            ready += min(counted.message_count, prefetch) if not counted.consumer_count else 0
            answer = line.ask("basic_consume", queue=queue.name, on_message_callback=_unused)
            fetching.tags.append(answer.method.consumer_tag)
        self._connection.run(lambda _: line.channel.add_on_cancel_callback(lambda _: self._cancelled(fetching)))
        deadline = time.monotonic() + _FIRST_ARRIVALS_SECONDS
        while len(fetching.waiting) - arrivals < ready and (left := deadline - time.monotonic()) > 0:
            self._bell.clear()
            if len(fetching.waiting) - arrivals < ready:
                self._bell.wait(left)

    def _ended(self, error: PredictqError) -> None:
        """On the connection's thread: a channel is closed."""
        if self.error is None:
            self.error = error
        self._bell.set()

    def _cancelled(self, fetching: Fetching) -> None:
        """On the connection's thread: the server does not let us consume any more."""
        self.error = UserMistake(
            f"broker {self._connection.place.shown}: a queue of topic {fetching.queues.topic} was deleted while it was "
            "read; `predictq topics ensure` creates it"
        )
        self._bell.set()


def _unused(*_: object) -> None:
    """Deliveries are read on the quick path."""
