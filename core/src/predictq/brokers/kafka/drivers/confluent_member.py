"""A member of a group whose records come through confluent-kafka."""

import struct
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from confluent_kafka import Consumer, TopicPartition

from predictq.brokers.kafka.driver import Committed, Fetched, Listener, Place
from predictq.brokers.kafka.drivers.confluent_errors import translated
from predictq.brokers.kafka.drivers.confluent_holding import Holding
from predictq.brokers.kafka.drivers.confluent_polling import Polling
from predictq.brokers.kafka.drivers.confluent_settings import Noise, connect
from predictq.brokers.kafka.drivers.python_member import PythonMember
from predictq.brokers.kafka.options import Options

__all__ = ["ConfluentMember", "packed", "written"]

_SWITCH_SECONDS = 0.0003
"""How long a thread may keep the interpreter while another wants it. A settle passes through four threads, which at
Python's 5 ms waited longer for the one that predicts than for the broker: 25,000 requests/s against 30,000."""
_LOOK_SECONDS = 0.5
"""How often kafka-python is polled while the group is at rest: its own thread does what must be on time."""


class ConfluentMember:
    """Is in the group by a member of kafka-python, which fetches nothing, and fetches by a Consumer that is in none.

    librdkafka as a member stalls its group: docs/decisions/0012-the-group-is-joined-by-kafka-python.md.
    """

    def __init__(
        self,
        options: Options,
        settings: Mapping[str, object],
        listener: Listener,
        join: Callable[[Listener], PythonMember],
    ) -> None:
        sys.setswitchinterval(min(sys.getswitchinterval(), _SWITCH_SECONDS))
        self._where = options.shown
        self._holding = Holding()
        self._fetching: dict[Place, int] = {}
        """Which assignment of a place it is that the Consumer fetches for."""
        self._look_at = 0.0
        self._ear = _Ear(listener)
        self._consumer: Consumer | None = None
        self._group = join(self._ear)
        try:
            noise = Noise()
            with translated(self._where):
                self._consumer = consumer = Consumer({**settings, "error_cb": noise})
            self._polling = Polling(consumer, noise, self._where)
            # It knows where the partitions are before it is told to fetch them; afterwards it looks at leisure.
            connect(
                lambda seconds: consumer.list_topics(timeout=seconds),
                lambda: consumer.consume(1, 0.0),
                noise,
                options,
            )
        except BaseException:
            self.close(leave=True)
            raise

    def poll(self, timeout_seconds: float, max_records: int) -> Sequence[Fetched]:
        holding = self._holding
        if not self._fetching:
            self._group.poll(timeout_seconds, max_records)
            return ()
        now = time.monotonic()
        if now >= self._look_at or self._group.joining:
            self._look_at = now + _LOOK_SECONDS
            self._group.poll(0.0, max_records)
        self._let_go()
        if runs := holding.ready(max_records):
            return runs
        if holding.asleep:
            # What comes meanwhile stays in librdkafka's queue, which has a limit of its own.
            time.sleep(timeout_seconds)
            return ()
        out, full = holding.sort(self._polling.poll(timeout_seconds, max_records))
        if full:
            with translated(self._where):
                self._open().pause(_partitions(full))
        return out

    def pause(self, places: Sequence[Place]) -> None:
        self._holding.pause(places)

    def resume(self, places: Sequence[Place]) -> None:
        if told := self._holding.resume(places):
            with translated(self._where):
                self._open().resume(_partitions(told))
                for place, offset in told.items():
                    # The seek is what wakes the thread that fetches.
                    self._open().seek(TopicPartition(*place, offset))

    def seek(self, offsets: Mapping[Place, int]) -> None:
        self._let_go()
        # Else kafka-python would ask by itself where it stands.
        self._group.seek(offsets)
        consumer, owned = self._open(), self._ear.owned
        new: list[TopicPartition] = []
        with translated(self._where):
            for place, offset in offsets.items():
                if place in self._fetching:
                    if self._holding.seek(place, offset):
                        consumer.seek(TopicPartition(*place, offset))
                elif (epoch := owned.get(place)) is not None:
                    self._fetching[place] = epoch
                    self._holding.add(place, offset)
                    new.append(TopicPartition(*place, offset))
            if new:
                consumer.incremental_assign(new)

    def committed(self, places: Sequence[Place], timeout_seconds: float) -> Mapping[Place, Committed]:
        return self._group.committed(places, timeout_seconds)

    def commit(self, offsets: Mapping[Place, Committed], timeout_seconds: float) -> None:
        self._group.commit(offsets, timeout_seconds)

    def group_metadata(self) -> bytes:
        """For a transaction: the generation of this moment, as librdkafka writes it down."""
        now = self._group.group_metadata()
        return written(now.group_id, now.generation_id, now.member_id, now.group_instance_id)

    def close(self, *, leave: bool) -> None:
        consumer, self._consumer = self._consumer, None
        try:
            self._group.close(leave=leave)
        finally:
            if consumer is not None:
                with translated(self._where):
                    consumer.close()

    def _open(self) -> Consumer:
        if self._consumer is None:
            raise RuntimeError("the member is closed")
        return self._consumer

    def _let_go(self) -> None:
        """Stop fetching of assignments that are over, also where the place has come back since."""
        owned = self._ear.owned
        gone = [place for place, epoch in self._fetching.items() if owned.get(place) != epoch]
        if gone:
            for place in gone:
                del self._fetching[place]
                self._holding.remove(place)
            with translated(self._where):
                self._open().incremental_unassign(_partitions(gone))


class _Ear:
    """Passes on what kafka-python tells, on its thread, and keeps what is ours for the one that polls."""

    def __init__(self, listener: Listener) -> None:
        self.owned: Mapping[Place, int] = {}
        """Places with a number for each assignment; another object after each change."""
        self._listener = listener
        self._assignments = 0

    def assigned(self, places: Sequence[Place]) -> None:
        self._assignments += 1
        self.owned = {**self.owned, **dict.fromkeys(places, self._assignments)}
        self._listener.assigned(places)

    def holds_back(self, places: Sequence[Place]) -> bool:
        return self._listener.holds_back(places)

    def parting(self, places: Sequence[Place]) -> Mapping[Place, Committed]:
        return self._listener.parting(places)

    def revoked(self, places: Sequence[Place]) -> None:
        gone = set(places)
        self.owned = {place: epoch for place, epoch in self.owned.items() if place not in gone}
        self._listener.revoked(places)


def packed(offsets: Mapping[Place, Committed]) -> list[TopicPartition]:
    """For a transaction."""
    return [TopicPartition(*place, c.offset, c.note) for place, c in offsets.items()]


def written(group: str, generation: int, member: str, instance: str | None) -> bytes:
    """As `rd_kafka_consumer_group_metadata_write` does, which is all that confluent-kafka takes for a transaction."""
    ending = b"\1" if instance is None else b"\0" + instance.encode() + b"\0"
    return b"CGMDv2:" + struct.pack("=i", generation) + group.encode() + b"\0" + member.encode() + b"\0" + ending


def _partitions(places: Iterable[Place]) -> list[TopicPartition]:
    return [TopicPartition(*place) for place in places]
