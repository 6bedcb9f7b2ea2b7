"""One try of a delivery over HTTP."""

import ssl
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import NamedTuple

from aiohttp import ClientError, ClientSession, ClientTimeout, DummyCookieJar
from yarl import URL

from predictq.push.settings import PushSettings
from predictq_sync.webhooks.connecting import AddressRefused, Resolve, connector

__all__ = ["Answer", "Poster"]


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
    """Posts to any receiver, over connections that are kept. To be made within the event loop."""

    def __init__(self, push: PushSettings, resolve: Resolve, context: ssl.SSLContext) -> None:
        self._timeout_seconds = push.timeout_seconds
        self._max_answer_bytes = push.max_answer_bytes
        self._session = ClientSession(
            connector=connector(push.targets(), resolve, context),
            timeout=ClientTimeout(total=push.timeout_seconds, connect=push.connect_timeout_seconds),
            cookie_jar=DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=("accept", "accept-encoding"),
        )

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Send it. Never raises for what the receiver does; redirects are not followed."""
        try:
            return await self._post(URL(url, encoded=True), headers, body)
        except TimeoutError:
            return Answer(None, f"no answer within {self._timeout_seconds:g} s")
        except AddressRefused as error:
            return Answer(None, f"refused: {error}")
        except (ClientError, OSError, ValueError) as error:
            return Answer(None, f"{type(error).__name__}: {' '.join(str(error).split())[:200]}")

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()

    async def _post(self, url: URL, headers: Mapping[str, str], body: bytes) -> Answer:
        async with self._session.post(url, data=body, headers=headers, allow_redirects=False) as response:
            read = 0
            async for part in response.content.iter_any():
                read += len(part)
                if read > self._max_answer_bytes:
                    response.close()
                    break
        status = response.status
        if 200 <= status < 300:
            return Answer(status, None)
        why = f"answered {status}, and redirects are not followed" if 300 <= status < 400 else f"answered {status}"
        return Answer(status, why, response.headers.get("retry-after"))
