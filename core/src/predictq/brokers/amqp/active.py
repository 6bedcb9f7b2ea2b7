"""What only a member of this process can tell of a group: what it has in hand.

AMQP tells nobody what was handed out, nor how old it is. But where one member at a time gets everything, that member
knows: all that its queue does not hold any more is in its own hands. The sync service's ledger lives by it, which must
know up to when it has read everything.

The server does not say which member that is. It is one to whom something came: so a member to whom nothing has come yet
puts a probe, an empty message, into the queue itself, where no other group sees it. Whoever gets it is the one.
"""

import threading
from collections.abc import Sequence
from typing import Protocol

__all__ = ["PROBE", "ActiveMembers", "Reading", "Unsettled"]

PROBE = "predictq-probe"
"""The `message_id` of a probe."""

Unsettled = Sequence[float]
"""Publish times, in Unix seconds, of what was handed out and not settled; in no order."""


class Reading(Protocol):
    """A member that reads."""

    def unsettled(self, topic: str) -> Unsettled | None:
        """Of a topic that one member at a time reads; None where that member may be another."""


class ActiveMembers:
    """Members of this process by topic and group. May be used by any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._members: dict[tuple[str, str], Reading] = {}

    def join(self, topics: Sequence[str], group: str, member: Reading) -> None:
        """It reads these."""
        with self._lock:
            self._members.update(dict.fromkeys([(topic, group) for topic in topics], member))

    def leave(self, member: Reading) -> None:
        """It reads nothing any more."""
        with self._lock:
            self._members = {place: one for place, one in self._members.items() if one is not member}

    def of(self, topic: str, group: str) -> Reading | None:
        """Who reads it here."""
        with self._lock:
            return self._members.get((topic, group))
