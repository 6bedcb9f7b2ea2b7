"""Where a contender works: inputs that are filled beforehand and outputs that are counted from outside."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

__all__ = ["Count", "Ground"]


class Count(Protocol):
    """Asks the server how many messages there are. Cheap, and it costs the same whoever is measured."""

    def __call__(self) -> int: ...

    def close(self) -> None:
        """Close its connection."""


class Ground(Protocol):
    """Fresh topics of one round on one broker, reached by the driver alone."""

    def fill(self, calls: Iterable[Sequence[bytes]]) -> None:
        """Put all messages on the inputs; returns when the broker holds them."""

    @property
    def emitted(self) -> Count:
        """How many messages the outputs hold."""

    def outputs(self) -> Iterator[bytes]:
        """All messages of the outputs."""

    def close(self) -> None:
        """Take everything away again."""
