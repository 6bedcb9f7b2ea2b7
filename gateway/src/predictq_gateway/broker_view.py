"""What the gateway knows of its broker: whether it answers, and how far the deployments are."""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from predictq.brokers.port import Admin, Broker, Health
from predictq.errors import Unavailable
from predictq.loop import Backoff
from predictq.names import Names
from predictq.settings import Settings
from predictq.topology import topology_of

__all__ = ["BrokerView", "GroupState"]

HEALTH_SECONDS = 2.0

log = logging.getLogger(__name__)

ResultT = TypeVar("ResultT")


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupState:
    """How far a deployment's workers are, over all topics that they read."""

    ready: int
    in_flight: int | None
    oldest_published_at: float | None
    members: int | None
    """None: the broker cannot tell."""


class BrokerView:
    """Asks the broker, one question at a time, in a thread of its own. For one event loop."""

    def __init__(self, broker: Broker, settings: Settings) -> None:
        self._broker = broker
        self._settings = settings
        self._names = Names(settings.prefix)
        self._admin: Admin | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="broker-view")
        self._ensured = False

    async def ensure(self) -> None:
        """Create topics and groups that are missing; returns when that is done, however long the broker is away."""
        backoff = Backoff()
        while not self._ensured:
            try:
                await self._ask(lambda admin: admin.ensure(topology_of(self._settings)))
                self._ensured = True
            except Unavailable as error:
                seconds = backoff.next_seconds()
                log.warning("topics cannot be ensured: %s; next try in %.1f s", error, seconds)
                await asyncio.sleep(seconds)

    async def health(self) -> Health:
        """Whether requests can be accepted now. Never raises, and answers within two seconds."""
        if not self._ensured:
            return Health(False, "topics and groups are not ensured yet")
        try:
            async with asyncio.timeout(HEALTH_SECONDS):
                return await self._ask(lambda admin: admin.health())
        except TimeoutError:
            return Health(False, f"the broker did not answer within {HEALTH_SECONDS:g} s")
        except Unavailable as error:
            return Health(False, str(error))

    async def group(self, endpoint: str, deployment: str) -> GroupState:
        """How far a deployment is. Raises BrokerUnavailable."""
        return await self._ask(lambda admin: self._group(admin, endpoint, deployment))

    def close(self) -> None:
        """Give the broker's connection back."""
        if self._admin is not None:
            self._thread.submit(self._admin.close)
        self._thread.shutdown()

    def _group(self, admin: Admin, endpoint: str, deployment: str) -> GroupState:
        names = self._names
        topics = (names.requests(endpoint), names.retries(endpoint, deployment), names.bulk(endpoint))
        lags = admin.lags(topics, names.workers(endpoint, deployment))
        oldest = [lag.oldest_published_at for lag in lags if lag.oldest_published_at is not None]
        handed_out = [lag.in_flight for lag in lags]
        members = [lag.members for lag in lags if lag.members is not None]
        return GroupState(
            ready=sum(lag.ready for lag in lags),
            in_flight=None if None in handed_out else sum(filter(None, handed_out)),
            oldest_published_at=min(oldest, default=None),
            members=max(members, default=None),
        )

    async def _ask(self, question: Callable[[Admin], ResultT]) -> ResultT:
        def ask() -> ResultT:
            if self._admin is None:
                self._admin = self._broker.admin()
            return question(self._admin)

        return await asyncio.get_running_loop().run_in_executor(self._thread, ask)
