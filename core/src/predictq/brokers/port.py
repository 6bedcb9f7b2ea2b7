"""The broker port: the verbs with which one loop runs on every broker.

Nothing here is a driver's. A driver's exception never leaves its adapter: what can be tried again comes out as
`BrokerUnavailable` or `PublishError`, what the caller must mend as `UserMistake` or `MessageTooLarge`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, Protocol, overload

from predictq.topology import Topology

__all__ = [
    "NO_HEADERS",
    "Admin",
    "Batch",
    "Broker",
    "Change",
    "Consumer",
    "Dead",
    "Done",
    "Guarantees",
    "Health",
    "Isolate",
    "Lag",
    "Message",
    "Producer",
    "Record",
    "Release",
    "Retry",
    "Subscription",
    "Verdict",
]

NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class Message(NamedTuple):
    """What is published. Messages of one key go to one partition and keep their order."""

    topic: str
    value: bytes
    key: bytes | None = None
    headers: Mapping[str, str] = NO_HEADERS


class Record(NamedTuple):
    """A message as a consumer polled it."""

    topic: str
    partition: int
    position: str
    """Where it stands in its partition, in the broker's own terms; for people and dead letters."""
    value: bytes
    key: bytes | None
    headers: Mapping[str, str]
    published_at: float
    """Unix seconds by the clock of whoever stamped it: the broker or the producer's adapter."""
    redeliveries: int
    """How often the broker handed it out before and was not told what became of it."""

    @property
    def attempt(self) -> int:
        """How often the model has been tried on it, this time included."""
        return _count(self.headers.get("attempt"), 1)

    @property
    def redrive(self) -> int:
        """How often an operator sent it again."""
        return _count(self.headers.get("redrive"), 0)

    @property
    def alone(self) -> bool:
        """Whether it is handed out by itself because its neighbours must not pay for it."""
        return "alone" in self.headers


def _count(text: str | None, otherwise: int) -> int:
    """A header may be anybody's: what is no count of ours says nothing."""
    return int(text) if text is not None and len(text) < 10 and text.isdecimal() else otherwise


class Done(NamedTuple):
    """Finished: `outputs` become durable, then the record is acknowledged."""

    outputs: Sequence[Message] = ()


class Retry(NamedTuple):
    """Again, as a copy on the group's retry topic, its attempt raised, not before `after_seconds` have passed."""

    after_seconds: float


class Isolate(NamedTuple):
    """Again, at once, as a copy marked `alone` on the group's retry topic; no attempt is spent."""


class Dead(NamedTuple):
    """Never again for this group: a dead letter with `reason`, and `outputs` beside it."""

    reason: str
    outputs: Sequence[Message] = ()


class Release(NamedTuple):
    """Given back untouched: no attempt is spent, and any member of the group may get it next."""


Verdict = Done | Retry | Isolate | Dead | Release


class Batch(Sequence[Record]):
    """Records of one poll. `claim` is the adapter's own note of what it must acknowledge."""

    __slots__ = ("claim", "records")

    def __init__(self, records: Sequence[Record], *, claim: Any = None) -> None:
        self.records = records
        self.claim = claim

    @overload
    def __getitem__(self, index: int) -> Record: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Record]: ...
    def __getitem__(self, index: int | slice) -> Record | Sequence[Record]:
        return self.records[index]

    def __len__(self) -> int:
        return len(self.records)

    def __iter__(self) -> Iterator[Record]:
        return iter(self.records)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """What a consumer reads, and as whom."""

    topics: tuple[str, ...]
    """In order of precedence: a later topic is read only while the earlier ones have nothing."""
    member: str
    """Unique among all members that ever lived, e.g. host, process and a random tail."""
    group: str | None = None
    """None is broadcast: everything published from now on, nothing acknowledged."""
    retry_topic: str | None = None
    """Where `Retry` and `Isolate` put their copies; must be among `topics`. None: these verdicts raise ValueError."""
    claim_seconds: float = 10.0
    """How long a claim lasts without `extend`; after it, others may take the records of a dead member."""
    idle_seconds: float = 0.25
    """How long a poll waits for a first message before it returns an empty batch."""
    instance: str | None = None
    """A name that outlives the process, unique in the group: a member of it that comes back in time finds its own
    partitions again, and with transactions it fences its predecessor. Kafka only; others ignore it."""


class Producer(Protocol):
    """Puts messages on topics. May be used by one thread at a time."""

    def publish(self, messages: Sequence[Message]) -> None:
        """Return when all are durable.

        Raises PublishError, which says which are not; MessageTooLarge before anything is sent; UserMistake for a topic
        that does not exist.
        """

    def close(self) -> None: ...


class Consumer(Protocol):
    """Reads topics for one group. Used by one thread; only `extend` and `drain` may come from another, and `settle`
    where more than one batch may be in hand."""

    def poll(self, max_messages: int, max_bytes: int, max_wait: float) -> Batch:
        """The next records: the first one wakes it, then it fills for at most `max_wait` seconds; may be empty.

        A backlog never waits. `max_bytes` bounds the sum of values, but one record always fits. A record marked `alone`
        comes in a batch of one. At most `Guarantees.batches_in_hand` are in hand: polling for one more before `settle`
        raises RuntimeError.
        """

    def settle(self, batch: Batch, verdicts: Sequence[Verdict], also: Sequence[Message] = ()) -> int:
        """Make outputs, retries and dead letters durable, and `also`, what the whole batch emits; then acknowledge.

        `verdicts` holds one verdict for each record, in order; another length raises ValueError. Records whose claim
        was lost are left out, their outputs with them; returns how many. After BrokerUnavailable it may be called
        again. Batches are settled in the order of their polls, and nothing is released while a later one is in hand;
        else RuntimeError.
        """

    def extend(self, batch: Batch) -> bool:
        """Renew the claim on the batch. False when some of it is lost."""

    def drain(self) -> None:
        """Stop fetching: a poll that waits returns at once, and every later one is empty."""

    def close(self) -> None:
        """Give back what is unsettled, at once and without counting as a crash, and leave the group."""


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that `ensure` did, or with `dry_run` would do."""

    action: Literal["create", "change", "delete"]
    what: str


@dataclass(frozen=True, slots=True)
class Lag:
    """How far a group is behind on a topic."""

    ready: int
    """Waiting, delayed ones included."""
    in_flight: int | None
    """Handed out or fetched ahead, and not settled; None when the broker cannot tell."""
    oldest_published_at: float | None
    """Publish time, Unix seconds, of the oldest unsettled message; None when nothing is left or nobody can tell."""
    members: int | None
    """Live members of the group; None when the broker cannot tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Guarantees:
    """In what brokers differ: the contract suite holds each adapter to it, docs/brokers.md tells it to people."""

    atomic_settle: bool
    """Outputs and acknowledgement are one: no crash and no lost claim repeats an output."""
    ordered: bool
    """Messages of one key come in order on every topic; else only where its spec says `ordered`."""
    replays: bool
    """A new group may start at the beginning of its topics; else UserMistake."""
    exact_redeliveries: bool
    """Only what was in hand counts as handed out (with two batches in hand on Kafka, the next one too); else
    what was fetched ahead, and what was given back, counts too."""
    exact_lag: bool
    """`Lag` knows what is in flight and how old the oldest is; else these are None where anything is left."""
    claims_outlive_their_time: bool
    """A claim that ran out is good until somebody takes it; else it ends by itself."""
    retention: Literal["settled", "age", "none"]
    """What ends a message: `retention_seconds` after all groups have settled it; `unsettled_seconds` after it was
    published, whoever still needs it; or, where each group has its own copy, its settlement."""
    hold_seconds: float | None
    """How long the broker leaves a record in hand, however often the claim is extended; None: for ever."""
    batches_in_hand: int
    """How many batches a consumer may have in hand. With two, one is settled while the next is polled and handled: the
    time for which settling waits for the broker is not lost. A broadcast has one."""


@dataclass(frozen=True, slots=True)
class Health:
    """Whether the broker answers."""

    ok: bool
    detail: str


class Admin(Protocol):
    """Creates and looks at topics and groups. May be used by one thread at a time."""

    def ensure(self, topology: Topology, *, dry_run: bool = False, prune: bool = False) -> Sequence[Change]:
        """Create what is missing; with `prune` delete what is there under the prefix and not in `topology`. Idempotent.

        A new group starts at its topics' end unless its spec says `beginning`. Raises UserMistake where what exists
        contradicts the topology and cannot be changed, such as another number of partitions.
        """

    def topics(self, prefix: str) -> Mapping[str, int]:
        """Topics that exist under the prefix, with their number of partitions."""

    def lag(self, topic: str, group: str) -> Lag:
        """How far the group is behind on the topic. Raises UserMistake where one of them does not exist, or the group
        does not read the topic."""

    def lags(self, topics: Sequence[str], group: str) -> Sequence[Lag]:
        """`lag` of several topics, in their order; on some brokers one question."""

    def health(self) -> Health: ...

    def close(self) -> None: ...


class Broker(Protocol):
    """One broker by its URL. Opening it connects nothing yet."""

    max_message_bytes: int
    guarantees: Guarantees

    def producer(self) -> Producer: ...

    def consumer(self, subscription: Subscription) -> Consumer: ...

    def admin(self) -> Admin: ...

    def close(self) -> None: ...
