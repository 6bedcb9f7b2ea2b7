"""A request that was accepted: its id, and whom to ask for the result."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, Protocol

from predictq.errors import UserMistake
from predictq_producers.client.result import Result

__all__ = ["AT_ONCE", "Answering", "AsyncAnswering", "AsyncRequest", "Request", "batched_instances", "numbered_key"]

AT_ONCE = 8
"""Requests of `submit_many` on their way at one time."""


class Answering(Protocol):
    """A client."""

    def result(self, request_id: str, *, wait: float = 0.0) -> Result:
        """Read a request."""

    def cancel(self, request_id: str) -> Result:
        """Cancel a request."""


class AsyncAnswering(Protocol):
    """A client whose calls are awaited."""

    async def result(self, request_id: str, *, wait: float = 0.0) -> Result:
        """Read a request."""

    async def cancel(self, request_id: str) -> Result:
        """Cancel a request."""


class _Handle:
    def __init__(self, request_id: str, endpoint: str) -> None:
        self.id = request_id
        self.endpoint = endpoint

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id} of {self.endpoint}>"


class Request(_Handle):
    """A request that the broker holds durably."""

    def __init__(self, client: Answering, request_id: str, endpoint: str) -> None:
        super().__init__(request_id, endpoint)
        self._client = client

    def result(self, *, wait: float = 0.0) -> Result:
        """The request as it is, or as it is finished within `wait` seconds."""
        return self._client.result(self.id, wait=wait)

    def cancel(self) -> Result:
        """Cancel it; what is finished stays as it is."""
        return self._client.cancel(self.id)


class AsyncRequest(_Handle):
    """A request that the broker holds durably."""

    def __init__(self, client: AsyncAnswering, request_id: str, endpoint: str) -> None:
        super().__init__(request_id, endpoint)
        self._client = client

    async def result(self, *, wait: float = 0.0) -> Result:
        """See Request."""
        return await self._client.result(self.id, wait=wait)

    async def cancel(self) -> Result:
        """See Request."""
        return await self._client.cancel(self.id)


def batched_instances(instances: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """Lists of so many, the last one of fewer. Raises UserMistake for a size below 1."""
    if size < 1:
        raise UserMistake(f"instances_per_request={size}: 1 or more would be right")
    source = iter(instances)
    while batch := list(islice(source, size)):
        yield batch


def numbered_key(idempotency_key: str | None, number: int) -> str | None:
    """The key of one of many requests that are submitted under one key."""
    return None if idempotency_key is None else f"{idempotency_key}/{number}"
