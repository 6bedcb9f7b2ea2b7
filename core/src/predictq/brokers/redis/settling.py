"""What the verdicts on a batch come to: what is acknowledged and released, and what is written beside that."""

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from predictq.brokers.copies import dead_letter, isolated_copy, retry_copy
from predictq.brokers.port import Batch, Dead, Done, Isolate, Message, Record, Release, Retry, Subscription, Verdict
from predictq.brokers.redis.appending import Keys, Plan, check_sizes, fields_of, plan, words_of
from predictq.brokers.redis.connection import Word
from predictq.brokers.redis.reading import Run
from predictq.brokers.redis.topics import Topics

__all__ = ["Later", "Settlement", "settlement_of"]


class Later(NamedTuple):
    """A copy for the retry topic, and where it goes."""

    stream: str
    message: Message
    after_seconds: float
    published_at: float


@dataclass(slots=True)
class Settlement:
    """All that one call of the script does."""

    acknowledged: dict[str, list[bytes]] = field(default_factory=dict)
    released: dict[str, list[bytes]] = field(default_factory=dict)
    planned: Plan = field(default_factory=dict)
    later: list[Later] = field(default_factory=list)

    @property
    def writes(self) -> bool:
        """Whether anything is emitted or delayed."""
        return bool(self.planned or self.later)

    def topic_of(self, stream: str) -> str:
        """The topic of a stream that is written."""
        if stream in self.planned:
            return self.planned[stream][0].topic
        return next(later.message.topic for later in self.later if later.stream == stream)

    def words(self, keys: Keys) -> list[Word]:
        """What `lua/settle.lua` reads from the number of sources on."""
        streams = {**self.acknowledged, **self.released}
        words: list[Word] = [len(streams)]
        for stream in streams:
            words.append(keys.index(stream))
            for ids in (self.acknowledged.get(stream, ()), self.released.get(stream, ())):
                words.append(len(ids))
                words += ids
        words += words_of(self.planned, keys)
        words.append(len(self.later))
        for stream, message, after_seconds, published_at in self.later:
            shape, values = fields_of(message, round(published_at * 1000))
            words += (keys.index(stream), round(after_seconds * 1000), shape)
            words += values
        return words


def settlement_of(
    batch: Batch,
    verdicts: Sequence[Verdict],
    also: Sequence[Message],
    subscription: Subscription,
    topics: Topics,
    lost: Collection[tuple[str, bytes]] = (),
) -> Settlement:
    """What to do for all records but the lost ones, named by stream and entry."""
    settlement = Settlement()
    runs: list[Run] = batch.claim
    if not lost and set(map(type, verdicts)) <= {Done}:
        for run in runs:
            settlement.acknowledged.setdefault(run.source.stream, []).extend(run.ids)
            # Every one is a Done here; asking again for each record would cost more than the rest of this loop.
            outputs = [message for done in verdicts[run.first : run.last] for message in done.outputs]  # type: ignore[union-attr]
            _place(settlement.planned, outputs, run, batch.records, topics)
    else:
        judge = _Judge(settlement, subscription, topics)
        for run in runs:
            for i, entry_id in zip(range(run.first, run.last), run.ids, strict=True):
                if (run.source.stream, entry_id) not in lost:
                    judge.apply(run, entry_id, batch.records[i], verdicts[i])
    if also and (not batch or settlement.acknowledged or settlement.released):
        for stream, messages in plan(also, topics).items():
            settlement.planned.setdefault(stream, []).extend(messages)
    return settlement


def _place(planned: Plan, outputs: Sequence[Message], run: Run, records: Sequence[Record], topics: Topics) -> None:
    """Keyless outputs stay in the partition's own slot; most keys are those of the records, and stay there too."""
    if not outputs:
        return
    check_sizes(outputs)
    width = len(topics[run.source.topic].streams)
    own_keys = {record[4] for record in records[run.first : run.last]}
    name, topic, beside, same_width = "", topics[outputs[0].topic], "", False
    for message in outputs:
        if message[0] != name:
            name = message[0]
            topic = topics[name]
            beside = topic.streams[run.source.partition % len(topic.streams)]
            same_width = len(topic.streams) == width
        key = message[2]
        stream = beside if key is None or (same_width and key in own_keys) else topic.of_key(key)
        if stream in planned:
            planned[stream].append(message)
        else:
            planned[stream] = [message]


class _Judge:
    def __init__(self, settlement: Settlement, subscription: Subscription, topics: Topics) -> None:
        self._settlement = settlement
        self._group = subscription.group
        self._retry_topic = subscription.retry_topic
        self._topics = topics
        self._now = time.time()

    def apply(self, run: Run, entry_id: bytes, record: Record, verdict: Verdict) -> None:
        settlement = self._settlement
        if type(verdict) is Release:
            settlement.released.setdefault(run.source.stream, []).append(entry_id)
            return
        settlement.acknowledged.setdefault(run.source.stream, []).append(entry_id)
        messages: list[Message] = []
        match verdict:
            case Done(outputs):
                messages += outputs
            case Dead(reason, outputs):
                # A broadcast is nobody's to bury.
                if self._group is not None:
                    messages.append(dead_letter(record, self._group, reason, self._now))
                messages += outputs
            case Retry(after_seconds):
                self._later(run, record, retry_copy(record, self._retry_topic or ""), after_seconds)
            case Isolate():
                self._later(run, record, isolated_copy(record, self._retry_topic or ""), 0.0)
            case Release():
                pass
        _place(settlement.planned, messages, run, (record,), self._topics)

    def _later(self, run: Run, record: Record, copy: Message, after_seconds: float) -> None:
        topic = self._topics[copy.topic]
        beside = topic.streams[run.source.partition % len(topic.streams)]
        stream = beside if copy.key is None else topic.of_key(copy.key)
        self._settlement.later.append(Later(stream, copy, after_seconds, record.published_at))
