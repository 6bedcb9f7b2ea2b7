"""A partition in a consumer's hands."""

from dataclasses import dataclass

__all__ = ["Held"]


@dataclass(slots=True)
class Held:
    """What the consumer knows about a partition while it reads it."""

    topic: str
    partition: int
    tp: int
    off: int
    """Everything below is settled."""
    epoch: int = 0
    suspect: int = 0
    """Below this, records were in the hands of a member that died, `redeliveries` times at most."""
    redeliveries: int = 0
    next: int = 0
    """Offset after the last record that is known to exist."""
