"""The names that the benchmarks send under, and prepared messages read back from their file."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

__all__ = ["DEPLOYMENT", "ENDPOINT", "Workload", "read_messages"]

ENDPOINT = "bench"
DEPLOYMENT = "bench-linear"


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """Files of one run."""

    model: Path
    """A joblib file: LogisticRegression of 30 features, two classes named by strings."""
    messages: Path
    """A request event a line."""
    count: int


def read_messages(file: Path, size: int, count: int | None = None) -> Iterator[list[bytes]]:
    """The first `count` lines of `file`, or all, `size` at a time."""
    with file.open("rb") as whole:
        lines = islice(whole, count)
        while some := [line.rstrip(b"\n") for line in islice(lines, size)]:
            yield some
