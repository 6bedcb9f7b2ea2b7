"""Messages of one topic that the server has handed out: those that wait to be polled, and what is owed an answer."""

import hashlib
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from predictq.brokers.amqp.active import PROBE
from predictq.brokers.amqp.connection import Line
from predictq.brokers.amqp.frames import ack, nack
from predictq.brokers.amqp.outlived import Outlived
from predictq.brokers.amqp.properties import Own, unpack
from predictq.brokers.amqp.queues import GroupQueues
from predictq.brokers.amqp.wire import Arrival
from predictq.brokers.port import Record

__all__ = ["Fetched", "Fetching"]


class Fetched(NamedTuple):
    """A record, and by what its message is known to the server."""

    record: Record
    own: Own
    tag: int
    source: "Fetching"


class Fetching:
    """One channel, on which one topic of the group is consumed. Arrivals come on the connection's own thread."""

    def __init__(
        self,
        queues: GroupQueues,
        line: Line,
        wake: Callable[[], None],
        *,
        outlived: Outlived | None = None,
        longest: int | None = None,
    ) -> None:
        self.queues = queues
        self.line = line
        self.waiting: deque[Fetched] = deque(maxlen=longest)
        """Fetched and not polled, in the order of their arrival."""
        self.tags: list[str] = []
        """Consumer tags."""
        self.active = False
        """Something came since the member joined: where one at a time gets everything, it is this one."""
        self.probes: deque[int] = deque()
        """Tags of probes that came."""
        self.answered = threading.Event()
        """A get was answered, by a message or by nothing."""
        self._wake = wake
        self._outlived = outlived
        self._cache: dict[bytes, tuple[Mapping[str, str], Own, int]] = {}
        self._partitions: dict[bytes, int] = {}
        self._low = 0
        self._done: set[int] = set()

    def arrived(self, arrival: Arrival) -> None:
        """On the connection's thread: a message came.

        Where order counts a member that leaves can only give back what the server then counts, so there every second
        time counts: members that end one after the other do not make their records look like culprits.
        """
        tag, routing_key, header, body = arrival
        headers, own, message_id, deliveries = unpack(header, self._cache)
        if not body and message_id == PROBE:
            self.probes.append(tag)
            return
        partition = own.partition
        if partition is None:
            partition = self._partitions.get(routing_key)
            if partition is None:
                partition = self._partitions[routing_key] = _partition(routing_key)
        position = message_id or _digest(body)
        if deliveries and self._outlived is not None:
            deliveries = max(deliveries - self._outlived.times(self.queues.topic, position), 0)
        record = _new(
            Record,
            (
                self.queues.topic,
                partition,
                position,
                body,
                own.key,
                headers,
                own.at_ms / 1000,
                own.handed_out + (deliveries // 2 if self.queues.in_turn else deliveries),
            ),
        )
        self.waiting.append(_new(Fetched, (record, own, tag, self)))

    def nothing(self) -> None:
        """On the connection's thread: the queue that was asked is empty."""
        self.answered.set()

    def confirmed(self, tag: int, *, multiple: bool, good: bool) -> None:
        """Nothing is published on this channel."""

    def heard(self) -> None:
        """On the connection's thread: messages came."""
        self.active = True
        self.answered.set()
        self._wake()

    def acknowledgement(self, tags: Iterable[int]) -> bytes:
        """The fewest frames that acknowledge the tags: one for those that have nothing unsettled before them."""
        settled = set(tags)
        self._done |= settled
        high = self._low
        while high + 1 in self._done:
            high += 1
            self._done.discard(high)
        low, self._low = self._low, high
        run = [tag for tag in settled if low < tag <= high]
        frames = [ack(self.line.number, max(run), multiple=len(run) > 1)] if run else []
        frames += [ack(self.line.number, tag) for tag in sorted(settled) if tag > high]
        return b"".join(frames)

    def given_back(self, tags: Sequence[int]) -> bytes:
        """Frames that put the tags' messages back where they stood in their queue; the server counts that."""
        self.acknowledgement(tags)
        return nack(self.line.number, sorted(tags))


_new = tuple.__new__


def _partition(routing_key: bytes) -> int:
    """A foreign message may have any routing key; it then counts as the first partition's."""
    text = routing_key.decode(errors="replace")
    return int(text[1:]) if text[:1] == "p" and len(text) < 8 and text[1:].isdecimal() else 0


def _digest(body: bytes) -> str:
    """For foreign messages without a message_id, which have no place of their own: the same whenever it comes."""
    return hashlib.blake2b(body, digest_size=12).hexdigest()
