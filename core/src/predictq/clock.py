"""Times on the wire: RFC 3339, UTC, milliseconds, `Z`. Being of one width they sort as text."""

from datetime import UTC, datetime

__all__ = ["TIME_PATTERN", "parse_time", "wire_time"]

TIME_PATTERN = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$"


def wire_time(unix_seconds: float) -> str:
    """`1796051045.5` gives `2026-11-30T15:04:05.500Z`."""
    return datetime.fromtimestamp(unix_seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_time(text: str) -> float:
    """Unix seconds of an RFC 3339 time. Raises ValueError if it is none."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone; write it as 2026-11-30T15:04:05.000Z")
    return moment.timestamp()
