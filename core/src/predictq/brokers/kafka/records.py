"""Headers between ours and Kafka's."""

from collections.abc import Mapping, Sequence

from predictq.brokers.port import NO_HEADERS

__all__ = ["HELD_UNTIL", "NOT_BEFORE", "PUBLISHED_AT", "packed", "unpacked"]

PUBLISHED_AT = "predictq-published-at"
"""When the original of a copy was published: Unix milliseconds in decimal digits."""
NOT_BEFORE = "predictq-not-before"
"""When a copy on a delays topic is due: Unix milliseconds in decimal digits."""
HELD_UNTIL = "predictq-held-until"
"""When it leaves the partition in which it waits: Unix milliseconds in decimal digits."""


def packed(headers: Mapping[str, str]) -> list[tuple[str, bytes]]:
    """For a row; a new list."""
    return [(name, text.encode()) for name, text in headers.items()]


def unpacked(headers: Sequence[tuple[str, bytes | None]], timestamp_ms: int) -> tuple[Mapping[str, str], float]:
    """Headers of a record without our own mark, and the Unix seconds at which it was first published.

    What is not UTF-8 is kept readable, for headers may be anybody's.
    """
    if not headers:
        return NO_HEADERS, timestamp_ms / 1000
    ours = {name: (value or b"").decode(errors="backslashreplace") for name, value in headers}
    published = ours.pop(PUBLISHED_AT, "")
    return ours, (int(published) if published.isdecimal() and len(published) < 16 else timestamp_ms) / 1000
