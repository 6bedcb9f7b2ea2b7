"""Many requests awaited over one WebSocket (`predictq.v1`, docs/websocket.md), without any I/O."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from pydantic_core import from_json, to_json

from predictq_producers.client.errors import BadAnswer, NotFound, Rejected
from predictq_producers.client.exchange import RETRIED
from predictq_producers.client.result import Result

__all__ = ["SUBPROTOCOL", "Awaited", "Heard", "TryAgain", "ids_of"]

SUBPROTOCOL = "predictq.v1"


class TryAgain(Exception):
    """The gateway cannot just now; another connection may do better in a moment."""


class Heard(NamedTuple):
    """What a message of the gateway means."""

    result: Result | None
    replies: list[str]
    """To be sent to it."""


class Awaited:
    """Requests that are not known to be finished; lives longer than a connection."""

    def __init__(self, request_ids: Iterable[str]) -> None:
        self.left: dict[str, None] = dict.fromkeys(request_ids)
        """In the order in which they were given."""
        self._unasked: Iterator[str] = iter(())
        self._acknowledged = 0
        self._every = 1

    def hear(self, text: str | bytes) -> Heard:
        """Take a message. Raises NotFound and Rejected for a request, TryAgain, and BadAnswer."""
        try:
            said = from_json(text)
            return self._hear(said)
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise BadAnswer(f"no message of {SUBPROTOCOL}: {text[:80]!r}") from error

    def _hear(self, said: Mapping[str, Any]) -> Heard:
        match said["type"]:
            case "welcome":
                self._acknowledged = 0
                self._every = max(said["window"] // 2, 1)
                self._unasked = iter(list(self.left))
                return Heard(None, [each for _ in range(said["max_subscriptions"]) for each in self._next()])
            case "event":
                result = Result.of(said["data"])
                if not result.finished:
                    return Heard(None, self._acknowledge(said["seq"]))
                known = self.left.pop(said["ref"], self) is None
                return Heard(result if known else None, self._acknowledge(said["seq"]))
            case "ended":
                return Heard(None, self._next())
            case "error":
                self._refused(said["ref"], said["problem"])
        return Heard(None, [])

    def _next(self) -> list[str]:
        """The subscription to one more request, where there is one."""
        for request_id in self._unasked:
            return [to_json({"type": "subscribe", "ref": request_id, "prediction": request_id}).decode()]
        return []

    def _acknowledge(self, number: int) -> list[str]:
        # Half a window at a time: the gateway never waits for it, and it is no message an event.
        if number - self._acknowledged < self._every:
            return []
        self._acknowledged = number
        return [f'{{"type":"ack","seq":{number}}}']

    def _refused(self, ref: str | None, problem: Mapping[str, Any]) -> None:
        status, detail = int(problem["status"]), str(problem.get("detail", ""))
        if status in RETRIED:
            raise TryAgain(detail)
        if ref in self.left:
            del self.left[ref]
        raise (NotFound if status == 404 else Rejected)(status, detail)


def ids_of(requests: Iterable[Any]) -> list[str]:
    """Of handles, or ids themselves; each once. Ids that no gateway gives are asked about like all others."""
    return list(dict.fromkeys(each if isinstance(each, str) else each.id for each in requests))
