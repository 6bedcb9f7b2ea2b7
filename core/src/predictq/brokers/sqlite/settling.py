"""What the verdicts on a batch come to: new offsets, and what is written beside them."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from predictq.brokers.copies import dead_letter, isolated_copy, retry_copy
from predictq.brokers.port import Batch, Dead, Done, Isolate, Message, Record, Release, Retry, Subscription, Verdict
from predictq.brokers.sqlite.delayed import Later
from predictq.brokers.sqlite.held import Held
from predictq.brokers.sqlite.reading import Run

__all__ = ["Outcome", "outcomes_of"]


@dataclass(slots=True)
class Outcome:
    """What becomes of one partition's records."""

    held: Held
    epoch: int
    off: int
    """Where the partition stood when the batch was polled."""
    end: int
    """Where it will stand."""
    count: int
    """Records of the batch."""
    messages: list[Message] = field(default_factory=list)
    """Outputs and dead letters."""
    later: list[Later] = field(default_factory=list)
    """Copies for the retry topic."""


def outcomes_of(batch: Batch, verdicts: Sequence[Verdict], subscription: Subscription) -> list[Outcome]:
    """One outcome for each partition."""
    runs: list[Run] = batch.claim
    by_partition: dict[int, list[Run]] = {}
    for run in runs:
        by_partition.setdefault(run.held.tp, []).append(run)
    if set(map(type, verdicts)) <= {Done}:
        return [_all_done(its_runs, verdicts) for its_runs in by_partition.values()]
    judge = _Judge(subscription, time.time())
    return [judge.outcome(its_runs, batch.records, verdicts) for its_runs in by_partition.values()]


def _blank(runs: list[Run]) -> Outcome:
    first = runs[0]
    return Outcome(first.held, first.epoch, first.off, runs[-1].end, sum(run.last - run.first for run in runs))


def _all_done(runs: list[Run], verdicts: Sequence[Verdict]) -> Outcome:
    outcome = _blank(runs)
    for run in runs:
        # Every one is a Done here; asking again for each record would cost more than the rest of this function.
        outcome.messages += [message for done in verdicts[run.first : run.last] for message in done.outputs]  # type: ignore[union-attr]
    return outcome


class _Judge:
    def __init__(self, subscription: Subscription, now: float) -> None:
        self._group = subscription.group
        self._retry_topic = subscription.retry_topic
        self._now = now

    def outcome(self, runs: list[Run], records: Sequence[Record], verdicts: Sequence[Verdict]) -> Outcome:
        """Released records at the end stay where they are; the offset stops before them."""
        outcome = _blank(runs)
        judged = [(records[i], verdicts[i]) for run in runs for i in range(run.first, run.last)]
        while judged and type(judged[-1][1]) is Release:
            outcome.end = int(judged.pop()[0].position)
        for record, verdict in judged:
            if not self._apply(outcome, record, verdict):
                # Nowhere to put a copy: this one and what follows come again, so what follows may leave no trace.
                outcome.end = int(record.position)
                break
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
                outcome.later.append(Later(copy, self._now + after_seconds, record.published_at))
            case Isolate():
                copy = isolated_copy(record, self._retry_topic or "")
                outcome.later.append(Later(copy, self._now, record.published_at))
            case Release():
                if self._retry_topic is None:
                    return False
                copy = Message(self._retry_topic, record.value, record.key, record.headers)
                outcome.later.append(Later(copy, self._now, record.published_at))
        return True
