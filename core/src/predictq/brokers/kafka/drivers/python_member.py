"""Reading with kafka-python: as a member of a group, and without one."""

from collections.abc import Mapping, Sequence
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.consumer.subscription_state import AsyncConsumerRebalanceListener
from kafka.structs import OffsetAndMetadata

from predictq.brokers.kafka.driver import Committed, Fetched, Listener, Place, Rebalancing, UnknownTopic
from predictq.brokers.kafka.drivers.python_assignor import FairAssignor
from predictq.brokers.kafka.drivers.python_client import closed, connected
from predictq.brokers.kafka.drivers.python_errors import translated
from predictq.brokers.kafka.drivers.python_joining import answered, be_patient
from predictq.brokers.kafka.options import RECORD_OVERHEAD_BYTES, Options
from predictq.brokers.kafka.records import unpacked
from predictq.brokers.port import NO_HEADERS, Record

__all__ = ["EVERYTHING", "PythonMember", "PythonReader", "fetched", "reading"]

EVERYTHING = 2**31 - 1
"""All records that were fetched, taken at once: the rest of a partition that is paused amid its records is never
returned after it was resumed (kafka-python 3.0.12: `Fetcher._paused_partition_records` waits for a slot that is never
None)."""
_TURN_SECONDS = 0.01
_PARTING_TURNS = 100
_LEAVE_MS = 2_000


class PythonMember:
    """A KafkaConsumer in a group."""

    def __init__(
        self, options: Options, settings: Mapping[str, Any], topics: Sequence[str], listener: Listener
    ) -> None:
        self._where = options.shown
        self._closed = False
        with translated(self._where):
            self._consumer = connected(
                KafkaConsumer, {**reading(options), **settings, "partition_assignment_strategy": [FairAssignor]}
            )
            be_patient(self._consumer)
            self._consumer.subscribe(topics, listener=_Ear(self._consumer, listener))
            for topic in topics:
                # A leader that does not know a topic's partitions would take them from everybody.
                if not self._consumer.partitions_for_topic(topic):
                    raise UnknownTopic(topic)

    @property
    def joining(self) -> bool:
        """Whether it has yet to join, or to join again; cheap to ask."""
        joining: bool = self._consumer._coordinator.need_rejoin()  # noqa: SLF001 - what its poll asks first
        return joining

    def poll(self, timeout_seconds: float, max_records: int) -> Sequence[Fetched]:  # noqa: ARG002 - see EVERYTHING
        with translated(self._where):
            return fetched(self._consumer.poll(int(timeout_seconds * 1000), EVERYTHING))

    def pause(self, places: Sequence[Place]) -> None:
        self._consumer.pause(*self._own(places))

    def resume(self, places: Sequence[Place]) -> None:
        self._consumer.resume(*self._own(places))

    def seek(self, offsets: Mapping[Place, int]) -> None:
        for tp in self._own(offsets):
            self._consumer.seek(tp, offsets[Place(*tp)])

    def committed(self, places: Sequence[Place], timeout_seconds: float) -> Mapping[Place, Committed]:
        with translated(self._where), answered(self._consumer):
            found = {
                place: self._consumer.committed(
                    TopicPartition(*place), metadata=True, timeout_ms=int(timeout_seconds * 1000)
                )
                for place in places
            }
        return {
            place: Committed(-1, "") if c is None else Committed(c.offset, c.metadata) for place, c in found.items()
        }

    def commit(self, offsets: Mapping[Place, Committed], timeout_seconds: float) -> None:
        packed = _packed(offsets)
        with translated(self._where), answered(self._consumer):
            self._consumer.commit(packed, timeout_ms=int(timeout_seconds * 1000))

    def group_metadata(self) -> Any:
        """For a transaction: the generation of this moment. Raises Rebalancing where it is a member of none.

        A broker takes offsets of no generation from anybody, as of the clients that knew of none.
        """
        now = self._consumer.group_metadata()
        if now.generation_id < 0 or not now.member_id:
            raise Rebalancing("not a member at this moment")
        return now

    def close(self, *, leave: bool) -> None:
        if self._closed:
            return
        self._closed = True
        with translated(self._where):
            wait_ms = _LEAVE_MS if leave else 0
            closed(self._consumer, lambda: self._consumer.close(autocommit=False, timeout_ms=wait_ms))

    def _own(self, places: Sequence[Place] | Mapping[Place, int]) -> list[TopicPartition]:
        assigned = self._consumer.assignment()
        return [TopicPartition(*place) for place in places if place in assigned]


class _Ear(AsyncConsumerRebalanceListener):  # type: ignore[misc] # kafka-python has no types
    """Passes on what kafka-python tells on its own thread, where nothing may block."""

    def __init__(self, consumer: Any, listener: Listener) -> None:
        self._consumer = consumer
        self._listener = listener

    async def on_partitions_assigned(self, assigned: Any) -> None:
        self._consumer.pause(*assigned)
        self._listener.assigned([Place(*tp) for tp in assigned])

    async def on_partitions_revoked(self, revoked: Any) -> None:
        places = [Place(*tp) for tp in revoked]
        while self._listener.holds_back(places):
            await self._sleep()
        if parting := self._listener.parting(places):
            committing = self._consumer.commit_async(_packed(parting))
            for _ in range(_PARTING_TURNS):
                if committing.is_done:
                    break
                await self._sleep()
        self._listener.revoked(places)

    async def on_partitions_lost(self, lost: Any) -> None:
        self._listener.revoked([Place(*tp) for tp in lost])

    async def _sleep(self) -> None:
        await self._consumer._net.sleep(_TURN_SECONDS)  # noqa: SLF001 - its loop has no public way to wait


class PythonReader:
    """A KafkaConsumer with places of its own choice."""

    def __init__(self, options: Options, settings: Mapping[str, Any], offsets: Mapping[Place, int]) -> None:
        self._where = options.shown
        with translated(self._where):
            self._consumer = connected(KafkaConsumer, {**reading(options), **settings})
            self._consumer.assign([TopicPartition(*place) for place in offsets])
            for place, offset in offsets.items():
                self._consumer.seek(TopicPartition(*place), offset)

    def poll(self, timeout_seconds: float, max_records: int) -> Sequence[Fetched]:
        with translated(self._where):
            return fetched(self._consumer.poll(int(timeout_seconds * 1000), max_records))

    def close(self) -> None:
        with translated(self._where):
            closed(self._consumer, lambda: self._consumer.close(autocommit=False, timeout_ms=0))


def _packed(offsets: Mapping[Place, Committed]) -> dict[TopicPartition, OffsetAndMetadata]:
    return {TopicPartition(*place): OffsetAndMetadata(c.offset, c.note, -1) for place, c in offsets.items()}


def reading(options: Options) -> dict[str, Any]:
    """How all consumers read."""
    return {
        "auto_offset_reset": "earliest",
        "enable_auto_commit": False,
        "allow_auto_create_topics": False,
        "isolation_level": "read_committed" if options.transactions else "read_uncommitted",
        "max_partition_fetch_bytes": max(1_048_576, options.message_max_bytes + RECORD_OVERHEAD_BYTES),
        "metrics_enabled": False,
    }


def fetched(polled: Mapping[Any, Sequence[Any]]) -> list[Fetched]:
    """Our records of kafka-python's, without a call for each."""
    new = tuple.__new__
    runs = []
    for (topic, partition), theirs in polled.items():
        records: list[Record] = []
        append = records.append
        for _, _, _, offset, timestamp, _, key, value, headers, _, _, _, _ in theirs:
            if headers:
                ours, published_at = unpacked(headers, timestamp)
            else:
                ours, published_at = NO_HEADERS, timestamp / 1000
            append(new(Record, (topic, partition, str(offset), value or b"", key, ours, published_at, 0)))
        runs.append(Fetched(Place(topic, partition), records, theirs[-1].offset + 1))
    return runs
