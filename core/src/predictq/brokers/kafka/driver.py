"""What the adapter needs of a driver for Kafka; two drivers fulfil it, and everything else is written once above them.

Rules that hold for all of it:

- A driver raises our errors only: `BrokerUnavailable` for what may work later, `UserMistake` with the cure for what the
  user must mend, and the three signals below, which the adapter handles and which never leave it.
- Whole batches cross this seam, never single messages: `send` takes rows, `poll` gives records that are already our
  `Record`, built in one loop with `records.unpacked` for those that have headers.
- The driver chooses nothing: partitions, offsets, retries after an error and times come from the adapter.
- Nothing connects before it must: making a `Driver` is free, making one of its parts may block for
  `options.connect_seconds` and raises BrokerUnavailable when nobody answers, UserMistake for a refused password.
- No credentials in errors and logs; the driver's own log is held at warnings, and at errors where it repeats itself.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from predictq.brokers.port import Record

__all__ = [
    "Admin",
    "Committed",
    "Driver",
    "Evicted",
    "Failure",
    "Fetched",
    "GroupState",
    "Listener",
    "Member",
    "Place",
    "Reader",
    "Rebalancing",
    "Row",
    "Sender",
    "TopicConfig",
    "UnknownTopic",
]


class Rebalancing(Exception):
    """A commit must wait until the group has agreed on its members; the adapter looks at its epochs and tries again."""


class Evicted(Exception):
    """The group goes on without this member, or a successor took its name: nothing it holds is its own any more."""


class UnknownTopic(Exception):
    """A topic is not there; the argument is its name."""


class Place(NamedTuple):
    """A partition of a topic. Equal to, and hashed as, any other tuple of the two."""

    topic: str
    partition: int


class Row(NamedTuple):
    """A message on its way out."""

    place: Place
    value: bytes
    key: bytes | None
    headers: list[tuple[str, bytes]]
    """Empty where there are none; shared between rows, never changed."""


class Failure(NamedTuple):
    """A row that is not known to be durable."""

    row: int
    """Its index."""
    error: Exception
    """BrokerUnavailable, UserMistake, MessageTooLarge or UnknownTopic."""


class Fetched(NamedTuple):
    """Successive records of one partition."""

    place: Place
    records: list[Record]
    """Never empty. `redeliveries` is 0 and `position` the offset in decimal digits."""
    end: int
    """Offset of the last of them plus one."""


class Committed(NamedTuple):
    """What a group has committed for a partition."""

    offset: int
    """The first that is not settled; -1 where nothing was ever committed."""
    note: str
    """The free text beside it."""


class TopicConfig(NamedTuple):
    """A topic as it is, or shall be."""

    partitions: int
    values: Mapping[str, str]
    """The settings that differ from the broker's own; asked for by name in `Admin.describe`."""


class GroupState(NamedTuple):
    """Who reads for a group just now."""

    members: int
    reads: Mapping[str, Sequence[Place]]
    """What each member holds, by the broker's name of it."""


class Listener(Protocol):
    """What a member tells of its assignment. Called from any thread of the driver, one call at a time, and returns at
    once; it never calls the driver."""

    def assigned(self, places: Sequence[Place]) -> None:
        """These are ours from now on, beside what we held. The driver has paused them before anything of them can
        come out of `poll`; the adapter asks for their `committed`, seeks and resumes."""

    def holds_back(self, places: Sequence[Place]) -> bool:
        """Asked before places are revoked in good order (not when they were lost), and again about every 10 ms until it
        says False, which it does within seconds: a batch in hand may be settled meanwhile, so heartbeats and commits
        must go on while the driver waits."""

    def parting(self, places: Sequence[Place]) -> Mapping[Place, Committed]:
        """Asked after `holds_back` said False: what to commit for them before they go. The driver tries it once, for a
        second at most, and goes on if it fails. Not asked when they were lost."""

    def revoked(self, places: Sequence[Place]) -> None:
        """These are ours no more, in good order or lost. After it returns a commit for them must not be sent."""


class Member(Protocol):
    """One member of a group, assigned by cooperative stickiness, reading what is committed only where the options say
    so. `poll`, `pause`, `resume`, `seek` and `committed` belong to one thread, the adapter's pump; `commit` may be
    called by another while that thread polls."""

    def poll(self, timeout_seconds: float, max_records: int) -> Sequence[Fetched]:
        """What has come, waiting for the first of it; joins the group, answers its heartbeats and calls the listener.

        Called at least every 0.1 s as long as the member lives, also with everything paused; with everything paused it
        waits for `timeout_seconds` at most like any other time. Raises UnknownTopic, UserMistake for missing
        permissions, BrokerUnavailable, Evicted for a static member whose name another has taken. A member that missed
        its session joins again by itself, after `revoked`.
        """

    def pause(self, places: Sequence[Place]) -> None:
        """Hand out nothing more of these; what was fetched ahead is kept where the driver can. Unassigned ones are
        passed over."""

    def resume(self, places: Sequence[Place]) -> None: ...

    def seek(self, offsets: Mapping[Place, int]) -> None:
        """Go on from there; drops what was fetched ahead. Unassigned ones are passed over."""

    def committed(self, places: Sequence[Place], timeout_seconds: float) -> Mapping[Place, Committed]:
        """What the group has committed, one for each place."""

    def commit(self, offsets: Mapping[Place, Committed], timeout_seconds: float) -> None:
        """Return when the group's coordinator has it. One attempt, under the generation of this moment: raises
        Rebalancing or Evicted where that is not good, BrokerUnavailable where the outcome is not known."""

    def close(self, *, leave: bool) -> None:
        """End it. With `leave` the group hears it at once (not for a static member); the listener is not called any
        more. May be called again."""


class Reader(Protocol):
    """Reads places from given offsets, without a group."""

    def poll(self, timeout_seconds: float, max_records: int) -> Sequence[Fetched]: ...

    def close(self) -> None: ...


class Sender(Protocol):
    """Puts rows on topics, idempotently and with acks=all. May be used by several threads, a transaction by one."""

    def partitions(self, topic: str) -> int:
        """How many the topic has; 0 where it does not exist. Cheap when it was asked before; `forget` asks anew."""

    def forget(self) -> None: ...

    def send(self, rows: Sequence[Row], timeout_seconds: float) -> Sequence[Failure]:
        """Return when all are durable or known not to be; usually empty. Sends without delay: nobody waits for more.

        A topic that vanished is a Failure with UnknownTopic well before `timeout_seconds`, not retried for ever.
        """

    def begin(self) -> None:
        """Start a transaction; the first call fences a predecessor of the same transactional id. Raises Evicted when a
        successor fenced this one."""

    def add_offsets(self, offsets: Mapping[Place, Committed], member: Member) -> None:
        """Add what `Member.commit` would commit, under the member's generation. Raises as `commit` does."""

    def commit(self, timeout_seconds: float) -> None: ...

    def abort(self) -> None:
        """Take it back: readers of committed records never see what was sent in it. Never raises; where it cannot be
        done now, the next `begin` does it first. That waits too for the end of a `commit` that gave no answer."""

    def close(self) -> None: ...


class Admin(Protocol):
    """Looks at the cluster and changes it. One thread at a time; connects at the first call, and again after a loss."""

    def topics(self) -> Mapping[str, int]:
        """All topics with their number of partitions, as the cluster knows them now."""

    def describe(self, topics: Sequence[str], keys: Sequence[str]) -> Mapping[str, Mapping[str, str]]:
        """The effective values of these keys (`retention.ms`, `max.message.bytes`, …) of each topic."""

    def create(self, topic: str, config: TopicConfig, replication_factor: int) -> bool:
        """Create it and wait until it can be written to; False when it is there already. -1 for the broker's default
        replication factor."""

    def alter(self, topic: str, values: Mapping[str, str]) -> None:
        """Set these keys, and leave others as they are."""

    def delete_topics(self, topics: Sequence[str]) -> None:
        """Delete them and wait until they are gone; those that are not there are passed over."""

    def groups(self) -> Sequence[str]:
        """All groups that the cluster knows."""

    def group(self, group: str) -> GroupState:
        """Who reads for it now; nobody for an unknown one."""

    def committed(self, group: str) -> Mapping[Place, Committed]:
        """Everything that the group has committed; empty for an unknown one."""

    def commit(self, group: str, offsets: Mapping[Place, Committed]) -> None:
        """Commit for a group, from outside of it. Raises Rebalancing while the group has members and the broker
        therefore refuses."""

    def delete_groups(self, groups: Sequence[str]) -> None:
        """Delete them; those that are not there are passed over, those with members raise UserMistake."""

    def delete_offsets(self, group: str, places: Sequence[Place]) -> None:
        """Forget what it committed for these; unknown ones are passed over."""

    def starts(self, places: Sequence[Place]) -> Mapping[Place, int]:
        """The first offset that is still there, of each."""

    def ends(self, places: Sequence[Place]) -> Mapping[Place, int]:
        """The offset that the next record will have, of each (of committed records, where transactions are on).
        Raises UnknownTopic."""

    def published(self, spans: Mapping[Place, tuple[int, int]]) -> Mapping[Place, float]:
        """Unix seconds at which the first record of each span of offsets was published, the end excluded; nothing for
        a span without records."""

    def cluster(self) -> str:
        """A few words on the cluster, such as its number of brokers; raises BrokerUnavailable."""

    def close(self) -> None: ...


class Driver(Protocol):
    """Makes the parts; made from the options by `drivers.python_driver.open_driver` and
    `drivers.confluent_driver.open_driver`, `(options) -> Driver`, which raise MissingExtra."""

    def sender(self, transactional_id: str | None = None) -> Sender: ...

    def member(
        self,
        *,
        group: str,
        instance: str | None,
        topics: Sequence[str],
        listener: Listener,
        session_seconds: float,
        rebalance_seconds: float,
        max_fetch_bytes: int,
    ) -> Member: ...

    def reader(self, offsets: Mapping[Place, int]) -> Reader: ...

    def admin(self) -> Admin: ...
