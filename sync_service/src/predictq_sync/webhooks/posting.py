"""One try of a delivery over HTTP."""

import asyncio
import ssl
from collections.abc import Sequence
from email.utils import parsedate_to_datetime
from typing import NamedTuple

import httpcore

from predictq.push.settings import PushSettings
from predictq_sync.webhooks.connecting import AddressRefused, CheckedNetwork, Resolve

__all__ = ["Answer", "Poster"]

KEEP_ALIVE_SECONDS = 4.0
"""Of an idle connection: shorter than most servers keep theirs."""
Headers = Sequence[tuple[bytes, bytes]]


class Answer(NamedTuple):
    """What a receiver answered."""

    status: int | None
    """None where there was no answer."""
    error: str | None
    """Why it counts as a failure."""
    retry_after: str | None = None

    @property
    def delivered(self) -> bool:
        """Whether the receiver has taken it."""
        return self.error is None

    @property
    def overloaded(self) -> bool:
        """Whether it says something about the receiver as a whole, and not about this message."""
        return self.status is None or self.status >= 500 or self.status == 429

    def retry_after_seconds(self, now: float) -> float:
        """How long the receiver wants to be left alone; 0 where it does not say."""
        text = (self.retry_after or "").strip()
        if text.isdecimal():
            return float(text[:9])
        try:
            return max(parsedate_to_datetime(text).timestamp() - now, 0.0)
        except (TypeError, ValueError, OverflowError):
            return 0.0


class Poster:
    """Posts to one receiver, over connections that are kept."""

    def __init__(self, push: PushSettings, context: ssl.SSLContext, resolve: Resolve) -> None:
        self._timeout_seconds = push.timeout_seconds
        self._max_answer_bytes = push.max_answer_bytes
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=context,
            max_connections=push.host_concurrency,
            keepalive_expiry=KEEP_ALIVE_SECONDS,
            network_backend=CheckedNetwork(
                push.targets(), resolve, timeout_seconds=min(push.connect_timeout_seconds, push.timeout_seconds)
            ),
        )

    async def post(self, url: str, headers: Headers, body: bytes) -> Answer:
        """Send it. Never raises for what the receiver does; redirects are not followed."""
        try:
            async with asyncio.timeout(self._timeout_seconds):
                return await self._post(url, headers, body)
        except TimeoutError:
            return Answer(None, f"no answer within {self._timeout_seconds:g} s")
        except AddressRefused as error:
            return Answer(None, f"refused: {error}")
        except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError, ssl.SSLError) as error:
            return Answer(None, f"{type(error).__name__}: {' '.join(str(error).split())[:200]}")

    async def close(self) -> None:
        """Close its connections."""
        await self._pool.aclose()

    async def _post(self, url: str, headers: Headers, body: bytes) -> Answer:
        async with self._pool.stream("POST", url, headers=list(headers), content=body) as response:
            read = 0
            async for part in response.aiter_stream():
                read += len(part)
                if read > self._max_answer_bytes:
                    break
            retry_after = next((value for name, value in response.headers if name.lower() == b"retry-after"), None)
        status = response.status
        if 200 <= status < 300:
            return Answer(status, None)
        why = f"answered {status}, and redirects are not followed" if 300 <= status < 400 else f"answered {status}"
        return Answer(status, why, retry_after.decode("latin-1") if retry_after is not None else None)
