"""Places: what has its own turns, and is left alone by itself, when the outbox is emptied."""

from predictq.push.targets import place_of

__all__ = ["BATCHED", "is_batched", "place_for"]

BATCHED = "#"
"""Between a receiver and the webhook of which it takes several events in one push: no URL's host holds it."""


def place_for(url: str, webhook_id: str | None = None, *, batch: bool = False) -> str:
    """A scheme, host and port, and a place of its own for each webhook with `batch`, so that its events stand together.

    Raises ValueError for what is no URL.
    """
    place = place_of(url)
    return f"{place}{BATCHED}{webhook_id}" if batch else place


def is_batched(place: str) -> bool:
    """Whether what is due there goes several events a push."""
    return BATCHED in place
