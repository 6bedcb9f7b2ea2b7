"""`predictq.commit.v1` and `predictq.cancel.v1`: hints, broadcast to every process that cares."""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from predictq.clock import wire_time
from predictq.ids import new_id
from predictq.messages.envelope import SPECVERSION, Codec, Envelope

__all__ = ["CANCEL", "COMMIT", "CancelEvent", "CommitEvent", "HintData", "new_cancel", "new_commit"]


class HintData(TypedDict):
    """The ids that the hint is about."""

    ids: Annotated[list[str], Field(min_length=1)]


class CommitEvent(Envelope):
    """These requests have just become readable as finished."""

    type: Literal["predictq.commit.v1"]
    data: HintData


class CancelEvent(Envelope):
    """These requests are not worth predicting any more."""

    type: Literal["predictq.cancel.v1"]
    data: HintData


COMMIT: Codec[CommitEvent] = Codec(CommitEvent)
CANCEL: Codec[CancelEvent] = Codec(CancelEvent)


def new_commit(ids: Sequence[str], now: float) -> CommitEvent:
    """A commit announcement made at `now` (Unix seconds)."""
    return {
        "specversion": SPECVERSION,
        "id": new_id(),
        "source": "/predictq/sync",
        "type": "predictq.commit.v1",
        "time": wire_time(now),
        "data": {"ids": list(ids)},
    }


def new_cancel(ids: Sequence[str], now: float) -> CancelEvent:
    """A cancel hint made at `now` (Unix seconds)."""
    return {
        "specversion": SPECVERSION,
        "id": new_id(),
        "source": "/predictq/gateway",
        "type": "predictq.cancel.v1",
        "time": wire_time(now),
        "data": {"ids": list(ids)},
    }
