"""What the verdicts on a batch come to: messages to publish, then what to acknowledge and what to give back."""

import math
import time
from collections.abc import Sequence

from predictq.brokers.amqp.delayed import queue_for
from predictq.brokers.amqp.fetching import Fetched, Fetching
from predictq.brokers.amqp.properties import Own
from predictq.brokers.amqp.publishing import Outbox, Publisher
from predictq.brokers.amqp.queues import GroupQueues
from predictq.brokers.copies import dead_letter, isolated_copy, retry_copy
from predictq.brokers.port import Dead, Done, Isolate, Message, Release, Retry, Subscription, Verdict

__all__ = ["Answers", "Judge", "copy_home", "send_on"]


class Answers:
    """What the server is told once everything is durable."""

    def __init__(self) -> None:
        self._acked: dict[Fetching, list[int]] = {}
        self._kept: list[Fetched] = []
        self._returned: dict[Fetching, list[int]] = {}

    def ack(self, fetched: Fetched) -> None:
        """It is settled."""
        self._acked.setdefault(fetched.source, []).append(fetched.tag)

    def keep(self, fetched: Fetched) -> None:
        """It is the next to be polled again: where order counts nobody else may have it while we read the queue."""
        self._kept.append(fetched)

    def give_back(self, fetched: Fetched) -> None:
        """It stays in its queue; the server counts that."""
        self._returned.setdefault(fetched.source, []).append(fetched.tag)

    def block(self) -> bytes:
        """All of it as frames; what is kept is put back meanwhile. Once."""
        for fetched in reversed(self._kept):
            fetched.source.waiting.appendleft(fetched)
        acked = [source.acknowledgement(tags) for source, tags in self._acked.items()]
        # Afterwards: a multiple acknowledgement must not cover what is given back.
        return b"".join([*acked, *(source.given_back(tags) for source, tags in self._returned.items())])


class Judge:
    """Carries out verdicts other than Done."""

    def __init__(self, subscription: Subscription, publisher: Publisher, retries: GroupQueues | None) -> None:
        self._group = subscription.group
        self._retry_topic = subscription.retry_topic or ""
        self._publisher = publisher
        self._retries = retries

    def apply(self, taken: Sequence[Fetched], verdicts: Sequence[Verdict], outbox: Outbox, answers: Answers) -> None:
        """Pack what the verdicts write, and note what becomes of the originals."""
        messages: list[Message] = []
        now = time.time()
        for fetched, verdict in zip(taken, verdicts, strict=True):
            match verdict:
                case Done(outputs):
                    messages += outputs
                case Dead(reason, outputs):
                    # A broadcast is nobody's to bury.
                    if self._group is not None:
                        messages.append(dead_letter(fetched.record, self._group, reason, now))
                    messages += outputs
                case Retry(after_seconds):
                    self._copy(outbox, fetched, retry_copy(fetched.record, self._retry_topic), after_seconds, now)
                case Isolate():
                    self._isolate(outbox, fetched)
                case Release():
                    if self._group is None:
                        continue
                    if fetched.source.queues.in_turn:
                        answers.keep(fetched)
                        continue
                    copy_home(self._publisher, outbox, fetched)
            answers.ack(fetched)
        self._publisher.pack(outbox, messages)

    def _copy(self, outbox: Outbox, fetched: Fetched, copy: Message, after_seconds: float, now: float) -> None:
        retries = self._retries
        if retries is None:
            return
        due_ms = math.ceil((now + after_seconds) * 1000) if after_seconds > 0 else 0
        home = retries.home(fetched.record.partition)
        own = Own(fetched.own.at_ms, copy.key, due_ms, 0, fetched.record.partition)
        queue = queue_for(home, due_ms, now * 1000)
        self._publisher.pack_copy(outbox, queue, copy.value, copy.headers, own, fetched.record.position)

    def _isolate(self, outbox: Outbox, fetched: Fetched) -> None:
        if self._retries is None or self._retries.alone is None:
            return
        copy = isolated_copy(fetched.record, self._retry_topic)
        own = Own(fetched.own.at_ms, copy.key, 0, 0, fetched.record.partition)
        self._publisher.pack_copy(
            outbox, self._retries.alone.name, copy.value, copy.headers, own, fetched.record.position
        )


def copy_home(publisher: Publisher, outbox: Outbox, fetched: Fetched) -> None:
    """An uncounted copy at the end of the queue from which it came: giving it back itself would count."""
    record, queues = fetched.record, fetched.source.queues
    own = fetched.own._replace(handed_out=record.redeliveries, partition=record.partition)
    home = queues.alone.name if queues.alone is not None and record.alone else queues.home(record.partition)
    publisher.pack_copy(outbox, home, record.value, record.headers, own, record.position)


def send_on(publisher: Publisher, outbox: Outbox, fetched: Fetched, now_ms: float) -> None:
    """A copy of what was fetched too early, or beside others though it is to come alone. It was not handed out."""
    record, queues = fetched.record, fetched.source.queues
    own = fetched.own._replace(partition=record.partition)
    home = queues.home(record.partition)
    if own.due_ms > now_ms:
        queue = queue_for(home, own.due_ms, now_ms)
    else:
        queue = queues.alone.name if queues.alone is not None else home
    publisher.pack_copy(outbox, queue, record.value, record.headers, own, record.position)
