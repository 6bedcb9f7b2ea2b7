"""The hint that tells every gateway which requests have just become readable as finished."""

from collections.abc import Sequence

from predictq.brokers import Message
from predictq.messages import COMMIT, new_commit
from predictq.names import Names

__all__ = ["announcement"]


def announcement(names: Names, finished: Sequence[str], now: float) -> Sequence[Message]:
    """One message for all of them; none when nothing finished."""
    return (Message(names.commits, COMMIT.encode(new_commit(finished, now))),) if finished else ()
