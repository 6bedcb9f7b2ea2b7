"""What the verdicts on a batch come to: new offsets, and what is written beside them."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from predictq.brokers.copies import dead_letter, isolated_copy, retry_copy
from predictq.brokers.kafka.delayed import delayed_copy, marked
from predictq.brokers.kafka.held import Held, Run
from predictq.brokers.port import Batch, Dead, Done, Isolate, Message, Record, Release, Retry, Subscription, Verdict

__all__ = ["Outcome", "outcomes_of"]


@dataclass(slots=True)
class Outcome:
    """What becomes of one partition's records."""

    held: Held
    end: int
    """Offset at which the partition will stand."""
    count: int
    """Records of the batch."""
    messages: list[Message] = field(default_factory=list)
    back: list[Record] = field(default_factory=list)
    """Records at the end that come again as they are."""


def outcomes_of(batch: Batch, verdicts: Sequence[Verdict], subscription: Subscription) -> list[Outcome]:
    """One outcome for each partition."""
    runs: list[Run] = batch.claim
    if set(map(type, verdicts)) <= {Done}:
        return [_all_done(run, verdicts) for run in runs]
    judge = _Judge(subscription, time.time())
    return [judge.outcome(run, batch.records, verdicts) for run in runs]


def _all_done(run: Run, verdicts: Sequence[Verdict]) -> Outcome:
    # Every one is a Done here; asking again for each record would cost more than the rest of this function.
    messages = [message for done in verdicts[run.first : run.last] for message in done.outputs]  # type: ignore[union-attr]
    return Outcome(run.held, run.end, run.last - run.first, messages)


class _Judge:
    def __init__(self, subscription: Subscription, now: float) -> None:
        self._group = subscription.group
        self._retry_topic = subscription.retry_topic
        self._now = now

    def outcome(self, run: Run, records: Sequence[Record], verdicts: Sequence[Verdict]) -> Outcome:
        """Released records at the end stay where they are; the offset stops before them."""
        outcome = Outcome(run.held, run.end, run.last - run.first)
        last = run.last
        while last > run.first and type(verdicts[last - 1]) is Release:
            last -= 1
        for i in range(run.first, last):
            if not self._apply(outcome, records[i], verdicts[i]):
                # Nowhere to put a copy: this one and what follows come again, so what follows may leave no trace.
                last = i
                break
        if last < run.last:
            outcome.end = int(records[last].position)
            outcome.back = list(records[last : run.last])
        return outcome

    def _apply(self, outcome: Outcome, record: Record, verdict: Verdict) -> bool:
        match verdict:
            case Done(outputs):
                outcome.messages += outputs
            case Dead(reason, outputs):
                # A broadcast is nobody's to bury.
                if self._group is not None:
                    outcome.messages.append(dead_letter(record, self._group, reason, self._now))
                outcome.messages += outputs
            case Retry(after_seconds):
                copy = retry_copy(record, self._retry_topic or "")
                outcome.messages.append(delayed_copy(copy, record.published_at, after_seconds, self._now))
            case Isolate():
                outcome.messages.append(marked(isolated_copy(record, self._retry_topic or ""), record.published_at))
            case Release():
                if self._retry_topic is None:
                    return False
                copy = Message(self._retry_topic, record.value, record.key, record.headers)
                outcome.messages.append(marked(copy, record.published_at))
        return True
