"""Names and arguments of the queues: nothing else spells them.

A topic is an exchange of its own name; its messages have the routing key `p<partition>`. Each group has its own copy of
a topic's messages in a queue, `<topic>.<group without prefix>`, whose members compete; where the topic is `ordered` it
is one queue for each partition, read by one member at a time. Beside a queue of retries stand one for records that come
alone and one for each step of delay. All are quorum queues, with arguments that RabbitMQ 3.10 and 4 both take.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from predictq.names import is_retries

__all__ = [
    "DELAY_STEPS_MS",
    "GroupQueues",
    "Queue",
    "delay_of",
    "group_queues",
    "lock_name",
    "registry_name",
    "routing_key",
]

DELAY_STEPS_MS = (250, 2_500, 25_000, 250_000)
"""A longer delay is several of them, one after the other. What is due before the shortest ends waits in a member."""

_NEVER = 1 << 30
"""RabbitMQ 4 drops what was handed out more than 20 times unless told otherwise; 3.10 does not know -1 for never."""


class Queue(NamedTuple):
    """A queue as it is declared."""

    name: str
    arguments: Mapping[str, str | int | bool]
    pattern: str | None
    """Routing keys that it takes from its topic's exchange; None: it is written to by name."""


class GroupQueues(NamedTuple):
    """What one group has of one topic."""

    topic: str
    homes: Sequence[Queue]
    """Where its messages arrive: one queue, or one for each partition."""
    alone: Queue | None
    delays: Sequence[Queue]
    in_turn: bool
    """One member at a time: order counts."""
    presence: Queue | None = None
    """Of an ordered topic: always empty, consumed by every member, to be counted. Of the partitions' own queues the
    server counts only the one consumer whose turn it is."""

    @property
    def all(self) -> Sequence[Queue]:
        """Every queue of the group on this topic."""
        return (*self.homes, *(one for one in (self.alone, self.presence) if one is not None), *self.delays)

    def home(self, partition: int) -> str:
        """The queue in which a partition's messages arrive."""
        return self.homes[partition if len(self.homes) > 1 else 0].name


def group_queues(topic: str, group: str, partitions: int, *, ordered: bool, single: bool) -> GroupQueues:
    """The queues of a group on a topic."""
    name = f"{topic}.{group.partition('.')[2]}"
    arguments: dict[str, str | int | bool] = {"x-queue-type": "quorum", "x-delivery-limit": _NEVER}
    arriving = {**arguments, "x-single-active-consumer": True} if ordered or single else arguments
    # One queue that one member reads keeps every order there is.
    if ordered and not single:
        homes = [Queue(f"{name}.p{i}", arriving, routing_key(i)) for i in range(partitions)]
    else:
        homes = [Queue(name, arriving, "#")]
    if not is_retries(topic):
        presence = Queue(f"{name}.members", arguments, None) if len(homes) > 1 else None
        return GroupQueues(topic, homes, None, (), ordered or single, presence)
    # At least once: a message leaves the queue of delay when the queue of retries has it. That asks for reject-publish.
    back = {
        "x-dead-letter-exchange": "",
        "x-dead-letter-routing-key": homes[0].name,
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
    }
    delays = [
        Queue(delay_of(homes[0].name, ms), {**arguments, **back, "x-message-ttl": ms}, None) for ms in DELAY_STEPS_MS
    ]
    return GroupQueues(topic, homes, Queue(f"{name}.alone", arguments, None), delays, ordered or single)


def delay_of(home: str, step_ms: int) -> str:
    """The queue in which messages wait for one step of delay."""
    return f"{home}.delay-{step_ms}ms"


def routing_key(partition: int) -> str:
    """Of a partition's messages."""
    return f"p{partition}"


def registry_name(prefix: str) -> str:
    """The stream that holds what topics and groups there are."""
    return f"{prefix}.topology"


def lock_name(prefix: str) -> str:
    """The queue whose owner alone may change them."""
    return f"{prefix}.topology.lock"
