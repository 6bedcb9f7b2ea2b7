"""The claim check of the producers: which instances are taken out of their message, and how they are written."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from pydantic_core import to_json

from predictq.errors import SettingsError
from predictq.messages import REQUEST, RequestEvent, referring_to
from predictq.payloads import Payload, Payloads
from predictq.settings import Settings
from predictq.storage import Storage
from predictq_producers.publishing import Busy
from predictq_producers.refusals import Fault, Refused

__all__ = ["ClaimCheck", "PayloadWriter", "claim_check"]

THREADS = 4
MAX_WAITING_BYTES = 128 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimCheck:
    """Takes the instances out of requests that are too large for a message."""

    payloads: Payloads
    above_bytes: int
    """Of a message."""
    max_bytes: int
    """Of the instances as JSON."""

    def take_out(self, event: RequestEvent, now: float) -> tuple[bytes, Payload]:
        """The message without its instances, and these. Raises Refused where there are too many."""
        instances = to_json(event["data"]["instances"])
        if len(instances) > self.max_bytes:
            right = f"at most {self.max_bytes} bytes (claim_check.max_bytes) would be right; send several requests"
            raise Refused(413, f"the instances are {len(instances)} bytes long", [Fault("/instances", right)])
        payload = self.payloads.new(event["id"], instances, event["data"]["instances_hash"], now)
        return REQUEST.encode(referring_to(payload.url, event)), payload


def claim_check(settings: Settings, *, max_bytes: int) -> ClaimCheck | None:
    """None where no storage is set. `max_bytes` is of a message. Raises SettingsError for a bound above that."""
    if not settings.has_storage:
        return None
    own = settings.claim_check
    if own.above_bytes is not None and own.above_bytes > max_bytes:
        raise SettingsError(
            f"claim_check.above_bytes: {own.above_bytes} is more than a request may have on this broker, "
            f"{max_bytes}; less, or nothing, would be right"
        )
    return ClaimCheck(
        payloads=Payloads(Storage(settings.storage_url(), settings.jobs.storage_options)),
        above_bytes=max_bytes if own.above_bytes is None else own.above_bytes,
        max_bytes=own.max_bytes,
    )


class PayloadWriter:
    """Writes payloads for the coroutines of one event loop, a few at a time."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, "payloads")
        self._waiting_bytes = 0

    async def write(self, payloads: Sequence[Payload]) -> None:
        """Return when all are durable. Raises StorageUnavailable; at once Busy where too much waits already."""
        size = sum(len(payload.data) for payload in payloads)
        if self._waiting_bytes and self._waiting_bytes + size > MAX_WAITING_BYTES:
            raise Busy("too many requests wait for the storage; send it again in a moment")
        self._waiting_bytes += size
        loop = asyncio.get_running_loop()
        try:
            await asyncio.gather(*(loop.run_in_executor(self._threads, payload.write) for payload in payloads))
        finally:
            self._waiting_bytes -= size

    async def close(self) -> None:
        """Write what was begun, end the threads."""
        await asyncio.to_thread(self._threads.shutdown)
