"""What a service gives to the loop."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from predictq.brokers.port import Message, Record, Verdict

__all__ = ["Handler", "Limits", "Outcome"]


class Limits(NamedTuple):
    """How much one poll may bring."""

    max_messages: int
    max_bytes: int
    max_wait_seconds: float


class Outcome(NamedTuple):
    """What became of the records: one verdict each, in order, and what the batch as a whole emits."""

    verdicts: Sequence[Verdict]
    also: Sequence[Message] = ()


class Handler(Protocol):
    """The step between poll and settle. Called by one thread, never twice at once."""

    def limits(self) -> Limits:
        """Asked before each poll."""

    def handle(self, records: Sequence[Record]) -> Outcome:
        """Do the work on 1..N records.

        Unavailable: the loop calls again with the same records until it works; nothing is charged. Any other exception
        is bad data or a bug: the loop halves the records until the culprit stands alone, and that one is dead.
        So a call that raised must have had no effect, or one that does no harm when it is repeated.
        """

    def buried(self, record: Record, reason: str) -> Sequence[Message]:
        """What to emit beside a dead letter that the loop decided on: a `failed` prediction, or nothing."""

    def tick(self) -> None:
        """Called between batches, at least once a second while idle; for housekeeping."""
