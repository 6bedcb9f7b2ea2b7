"""What is said of an id: what the database holds, else what follows from the ledger's watermark.

Everything published before the watermark is in the ledger. So a request that was just accepted is never taken for one
that does not exist, on any replica, whether or not the sync service runs.
"""

import asyncio
import time
from collections.abc import Callable

from predictq.clock import wire_time
from predictq.errors import Unavailable
from predictq.ids import created_at
from predictq_sync.reading import Reader, RequestBody
from predictq_sync.waiting import SharedReads, Waiting

__all__ = ["LEDGER_POLL_SECONDS", "LEDGER_SECONDS", "Lookup", "NotInLedger"]

SKEW_SECONDS = 60.0
"""How far the clock that made an id may be from the one that stamps messages."""
LEDGER_SECONDS = 2.0
"""How long an answer is held for the ledger to come that far."""
LEDGER_POLL_SECONDS = 0.05


class NotInLedger(Unavailable):
    """The request was accepted, but the ledger has not come to it; the same call works in a moment."""


class Lookup:
    """Reads and cancels requests by id (UUIDs in their canonical form). For one event loop."""

    def __init__(self, reader: Reader, waiting: Waiting, now: Callable[[], float] = time.time) -> None:
        self._reader = reader
        self._waiting = waiting
        self._watermark: SharedReads[None, float | None] = SharedReads(lambda _: {None: reader.watermark()})
        self._now = now

    async def request(self, request_id: str) -> RequestBody | None:
        """The request, as `queued` where it is on its way; None where it does not exist. Raises DatabaseUnavailable.

        Of a keyed id that the database does not hold it may take two seconds to tell.
        """
        body = await self._waiting.read(request_id)
        if body is not None:
            return body
        if await self.on_its_way(request_id):
            return _queued(request_id)
        # The ledger may have come between the first look and the watermark.
        return await self._waiting.read(request_id)

    async def cancel(self, request_id: str) -> RequestBody | None:
        """The request, cancelled unless it was finished; None where it does not exist.

        Raises NotInLedger where the ledger has not come to it within two seconds, DatabaseUnavailable.
        """
        deadline = time.monotonic() + LEDGER_SECONDS
        pause = LEDGER_POLL_SECONDS
        while (body := await self._cancel(request_id)) is None:
            # A prediction may have left a row that the ledger has still to complete.
            if await self._waiting.read(request_id) is None and not await self.on_its_way(request_id):
                return await self._cancel(request_id)
            if time.monotonic() >= deadline:
                raise NotInLedger("the request is not in the ledger yet; cancel it again in a moment")
            await asyncio.sleep(pause)
            pause *= 2
        return body

    async def _cancel(self, request_id: str) -> RequestBody | None:
        return await asyncio.to_thread(self._reader.cancel, request_id, self._now())

    async def on_its_way(self, request_id: str) -> bool:
        """Whether an id, of a request or a job, that the database does not hold may have been accepted."""
        now = self._now()
        made = created_at(request_id)
        if made is not None:
            if made > now + SKEW_SECONDS:
                return False
            watermark = await self._watermark.get(None)
            return watermark is None or made > watermark - SKEW_SECONDS
        keyed = request_id[14] == "8"
        return keyed and not await self._passes(now)

    async def _passes(self, moment: float) -> bool:
        """Whether, within two seconds, the ledger holds everything that was published before `moment`."""
        deadline = time.monotonic() + LEDGER_SECONDS
        while True:
            watermark = await self._watermark.get(None)
            if watermark is not None and watermark >= moment:
                return True
            if time.monotonic() >= deadline:
                return False
            await asyncio.sleep(LEDGER_POLL_SECONDS)


def _queued(request_id: str) -> RequestBody:
    made = created_at(request_id)
    return {
        "id": request_id,
        "endpoint": None,
        "status": "queued",
        "created_at": None if made is None else wire_time(made),
        "predictions": [],
    }
