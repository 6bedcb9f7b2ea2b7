"""A request as the gateway tells of it."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from predictq.errors import UserMistake

__all__ = ["Hold", "Result"]

HOLD_SECONDS = 25.0
"""For which one call waits; proxies cut what is silent for longer."""
EARLY_SECONDS = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A request and the predictions that it has so far; `predictions` as in docs/http.md, one a deployment."""

    id: str
    endpoint: str | None
    status: str
    """`queued`, `succeeded`, `partial`, `failed`, `expired` or `cancelled`."""
    created_at: str | None
    predictions: Sequence[Mapping[str, Any]]

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> "Result":
        """Of the gateway's body."""
        return cls(
            id=body["id"],
            endpoint=body.get("endpoint"),
            status=body["status"],
            created_at=body.get("created_at"),
            predictions=body.get("predictions", ()),
        )

    @property
    def finished(self) -> bool:
        """Whether it stays as it is."""
        return self.status != "queued"

    @property
    def outputs(self) -> Sequence[Any]:
        """An output for each instance, None where it failed. Raises UserMistake unless one deployment answered."""
        return self._only()["outputs"]  # type: ignore[no-any-return] # a list of any JSON

    @property
    def errors(self) -> Sequence[Mapping[str, Any]]:
        """`index`, `type` and `detail` of what failed. Raises UserMistake unless one deployment answered."""
        return self._only()["errors"]  # type: ignore[no-any-return] # a list of objects

    def of_deployment(self, name: str) -> Mapping[str, Any]:
        """The prediction of one deployment. Raises UserMistake where it has not answered."""
        for prediction in self.predictions:
            if prediction["deployment"] == name:
                return prediction
        raise UserMistake(f"deployment {name!r} has not answered request {self.id}; {self._answered()}")

    def _only(self) -> Mapping[str, Any]:
        if len(self.predictions) != 1:
            raise UserMistake(f"request {self.id} is {self.status}; {self._answered()}; of_deployment() picks one")
        return self.predictions[0]

    def _answered(self) -> str:
        return f"answered have: {', '.join(each['deployment'] for each in self.predictions) or 'none'}"


class Hold:
    """Waits for a request by calls that the gateway holds, one after the other."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until = clock() + seconds
        self._asked = 0.0
        self._asked_at = 0.0

    def next_seconds(self) -> float:
        """How long the next call is to be held."""
        self._asked_at = self._clock()
        self._asked = max(min(self._until - self._asked_at, HOLD_SECONDS), 0.0)
        return self._asked

    def pause_seconds(self, result: Result) -> float | None:
        """Until the next call; None where there will be none. A gateway that stops lets go early."""
        now = self._clock()
        if result.finished or now >= self._until:
            return None
        return min(EARLY_SECONDS, self._until - now) if now - self._asked_at < self._asked / 2 else 0.0
