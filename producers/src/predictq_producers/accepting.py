"""Accepting a request for whoever sent it, by HTTP or over a socket: the broker holds it durably."""

from collections.abc import Awaitable, Callable

from predictq.ids import new_id
from predictq_producers.claim_check import PayloadWriter
from predictq_producers.deriving import keyed_id
from predictq_producers.keyed import KeyedSubmits
from predictq_producers.publishing import Publisher
from predictq_producers.requests import Prepared, RequestMaker, Submission

__all__ = ["Accepting"]


class Accepting:
    """Publishes prepared requests, those under one key once. For one event loop."""

    def __init__(
        self, publisher: Publisher, writer: PayloadWriter, hash_of: Callable[[str], Awaitable[str | None]]
    ) -> None:
        """`hash_of` tells the hash of the instances known under an id."""
        self._publisher = publisher
        self._writer = writer
        self._keyed = KeyedSubmits(hash_of, "/instances")

    def prepare(self, maker: RequestMaker, submission: Submission, key: str | None, now: float) -> Prepared:
        """The request as a message, under an id of its own or that of the `Idempotency-Key`. Raises Refused."""
        return maker.prepare(submission, new_id() if key is None else keyed_id(maker.endpoint, key), now)

    async def accept(self, prepared: Prepared, key: str | None) -> bool:
        """Return once the broker holds the request durably; whether it was published now, not before.

        Raises Refused(422) where the key came with another body, Unavailable where it is not known to be durable.
        """
        if key is None:
            await self._publish(prepared)
            return True
        return await self._keyed.submit(prepared.id, prepared.instances_hash, lambda: self._publish(prepared))

    async def _publish(self, prepared: Prepared) -> None:
        if prepared.payload is not None:
            await self._writer.write([prepared.payload])
        await self._publisher.publish(prepared.message)
