"""The events that are pushed."""

from collections.abc import Collection, Sequence

__all__ = ["EVENTS", "JOB_EVENTS", "JOB_PROGRESS", "PREDICTION_EVENTS", "check_events", "is_wanted"]

PREDICTION_EVENTS = tuple(
    f"prediction.{status}" for status in ("succeeded", "partial", "failed", "expired", "cancelled")
)
JOB_PROGRESS = "job.progress"
JOB_EVENTS = ("job.completed", "job.failed", JOB_PROGRESS)
EVENTS = (*PREDICTION_EVENTS, *JOB_EVENTS)


def check_events(events: Sequence[str], known: Sequence[str] = EVENTS) -> None:
    """Raise ValueError unless these are events, each named once."""
    for event in events:
        if event not in known:
            raise ValueError(f"{event[:64]!r} is no event here; known: {', '.join(known)}")
    if len(set(events)) < len(events):
        raise ValueError("an event stands in it twice")


def is_wanted(event: str, named: Collection[str]) -> bool:
    """Whether who named these events is told of this one; who named none is told of every end, and of no progress."""
    return event in named if named else event != JOB_PROGRESS
