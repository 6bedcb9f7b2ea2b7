"""Submits under an `Idempotency-Key`: the same key is one request, however often it is sent."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable

from predictq.errors import Unavailable
from predictq_producers.refusals import Fault, Refused

__all__ = ["KeyedSubmits"]

MAX_KEYS = 50_000
LEDGER_SECONDS = 1.0
"""How long a submit waits for the ledger's word; accepting never depends on the database."""

log = logging.getLogger(__name__)


class KeyedSubmits:
    """Remembers the keyed ids of late and asks the ledger for the others. For one event loop.

    Where neither knows a key, another gateway may just have taken it: then the request is published twice under one
    id, and whoever commits first decides what it holds.
    """

    def __init__(self, hash_of: Callable[[str], Awaitable[str | None]], pointer: str) -> None:
        """`pointer`, of JSON, to what must be the same each time."""
        self._hash_of = hash_of
        self._pointer = pointer
        self._recent: OrderedDict[str, str] = OrderedDict()
        self._running: dict[str, asyncio.Task[bool]] = {}

    async def submit(self, request_id: str, content_hash: str, publish: Callable[[], Awaitable[None]]) -> bool:
        """Publish unless it was published before; whether it was now, by this call.

        Raises Refused(422) where the key came with another body.
        """
        known = self._recent.get(request_id)
        if known is not None:
            self._compare(known, content_hash)
            self._recent.move_to_end(request_id)
            if running := self._running.get(request_id):
                await asyncio.shield(running)
            return False
        self._remember(request_id, content_hash)
        task = asyncio.ensure_future(self._first(request_id, content_hash, publish))
        self._running[request_id] = task
        return await asyncio.shield(task)

    async def _first(self, request_id: str, content_hash: str, publish: Callable[[], Awaitable[None]]) -> bool:
        try:
            known = await self._ask(request_id)
            if known is None:
                await publish()
            else:
                self._compare(known, content_hash)
        except BaseException:
            self._recent.pop(request_id, None)
            raise
        finally:
            del self._running[request_id]
        return known is None

    async def _ask(self, request_id: str) -> str | None:
        try:
            async with asyncio.timeout(LEDGER_SECONDS):
                return await self._hash_of(request_id)
        except (TimeoutError, Unavailable) as error:
            log.debug("the ledger cannot be asked about a key: %s", error)
            return None

    def _remember(self, request_id: str, content_hash: str) -> None:
        self._recent[request_id] = content_hash
        if len(self._recent) > MAX_KEYS:
            self._recent.popitem(last=False)

    def _compare(self, known: str, content_hash: str) -> None:
        if known != content_hash:
            right = "is not what came with this key before; a new key would be right"
            raise Refused(422, "this Idempotency-Key was used with another body", [Fault(self._pointer, right)])
