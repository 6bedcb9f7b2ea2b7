"""The events that are pushed."""

from collections.abc import Sequence

__all__ = ["EVENTS", "JOB_EVENTS", "PREDICTION_EVENTS", "check_events"]

PREDICTION_EVENTS = tuple(
    f"prediction.{status}" for status in ("succeeded", "partial", "failed", "expired", "cancelled")
)
JOB_EVENTS = ("job.completed", "job.failed")
EVENTS = (*PREDICTION_EVENTS, *JOB_EVENTS)


def check_events(events: Sequence[str], known: Sequence[str] = EVENTS) -> None:
    """Raise ValueError unless these are events, each named once."""
    for event in events:
        if event not in known:
            raise ValueError(f"{event[:64]!r} is no event here; known: {', '.join(known)}")
    if len(set(events)) < len(events):
        raise ValueError("an event stands in it twice")
