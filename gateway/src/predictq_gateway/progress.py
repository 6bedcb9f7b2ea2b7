"""How far a deployment is, in the words of HTTP."""

import time
from typing import Literal

from pydantic import BaseModel, Field

from predictq_gateway.broker_view import GroupState

__all__ = ["Lag", "State", "lag_of", "state_of"]

State = Literal["serving", "no-workers", "unknown"]


class Lag(BaseModel):
    """How far a deployment is behind."""

    ready: int = Field(description="Requests that wait.")
    in_flight: int | None = Field(description="Requests that its workers hold; null where the broker cannot tell.")
    oldest_age_seconds: float | None = Field(description="Age of the oldest that is not answered; null without any.")


def state_of(group: GroupState) -> State:
    """Whether it has workers; `unknown` where the broker cannot tell."""
    if group.members is None:
        return "unknown"
    return "serving" if group.members else "no-workers"


def lag_of(group: GroupState) -> Lag:
    """How far it is behind now."""
    oldest = group.oldest_published_at
    age = None if oldest is None else max(0.0, round(time.time() - oldest, 3))
    return Lag(ready=group.ready, in_flight=group.in_flight, oldest_age_seconds=age)
