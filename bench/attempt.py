"""One broken contender must not end a run of a quarter of an hour."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["attempt", "say"]


@contextmanager
def attempt(what: str) -> Iterator[None]:
    """Whatever the block dies of is told on standard error; the run goes on, and the figure is missing."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - see above
        say(f"{what}: failed: {type(error).__name__}: {error}")


def say(what: str) -> None:
    """Progress, beside the table."""
    print(what, file=sys.stderr, flush=True)
