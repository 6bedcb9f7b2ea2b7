"""Joining a group in more time than a poll takes, and talking to its coordinator until it takes offsets."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from kafka.coordinator.consumer import ConsumerCoordinator
from kafka.errors import KafkaConnectionError, KafkaError, KafkaTimeoutError
from kafka.structs import MemberState

__all__ = ["answered", "be_patient"]

_OWN = "coordinator-"
"""So begins what kafka-python calls the connection to a coordinator; the broker's id follows."""


def be_patient(consumer: Any) -> None:
    """Let a KafkaConsumer hear, at its next poll, of a join that ended between two, and leave at any stage of one.

    kafka-python 3.0.12 takes such a join for none and joins once more (`join_group_async` looks at `is_done` alone).
    All others have to come back for that, and while each end falls between two polls the group never comes to rest.
    """
    consumer._coordinator.__class__ = _Coordinator  # noqa: SLF001 - its consumer makes no other


@contextmanager
def answered(consumer: Any) -> Iterator[None]:
    """Says why offsets were not taken or told in time, and begins with new connections then.

    kafka-python tries on until the time is over, whatever the answer is, and only says that it is over.
    """
    coordinator = consumer._coordinator  # noqa: SLF001 - see above
    coordinator.refusal = None
    try:
        yield
    except KafkaTimeoutError as error:
        said = coordinator.refusal or "no answer"
        coordinator.begin_anew()  # which answers whatever still waits by an error of its own
        raise KafkaTimeoutError(f"the group's coordinator: {said}") from error


class _Coordinator(ConsumerCoordinator):  # type: ignore[misc] # kafka-python has no types
    coordinator_id: str | int | None
    refusal: KafkaError | None
    """What it answered last to offsets, where that was an error."""

    @property
    def _join_task(self) -> "_Join | None":
        return self.__dict__.get("join")

    @_join_task.setter
    def _join_task(self, task: Any) -> None:
        self.__dict__["join"] = None if task is None else _Join(task)

    async def _send_offset_commit_request(self, offsets: Any) -> Any:
        return await self._noting(super()._send_offset_commit_request(offsets))

    async def _send_offset_fetch_request(self, partitions: Any) -> Any:
        return await self._noting(super()._send_offset_fetch_request(partitions))

    async def _noting(self, asking: Awaitable[Any]) -> Any:
        try:
            return await asking
        except KafkaError as error:
            self.refusal = error
            raise

    def begin_anew(self) -> None:
        """Cut all connections, and with them whatever waits for an answer."""
        with suppress(RuntimeError):  # it is closed, and all connections with it
            self._net.call_soon_threadsafe(self._cut)

    async def _cut(self) -> None:
        self._offset_fetch_futures.clear()
        for connection in list(self._manager._conns.values()):  # noqa: SLF001 - it closes none of those that are known
            connection.close(KafkaConnectionError("nothing was answered in time"))

    async def maybe_leave_group_async(self, reason: str | None = None, timeout_ms: float | None = None) -> None:
        """Whoever has asked to join is waited for until its session has run out, unless it says that it leaves."""
        if self._join_task is not None and not self._generation.has_member_id():
            # The answer to the first request is the name under which it may leave, and an error.
            with suppress(KafkaError):
                await self._manager.wait_for(self._join_task, timeout_ms)
        if self._generation.has_member_id():
            # Else kafka-python leaves only where it has joined.
            self.state = MemberState.REBALANCING
        # A broker answers one request of a connection after the other, so on the coordinator's own the farewell would
        # wait behind the join, which waits for all others. It goes on the connection that is for everything else.
        own = str(self.coordinator_id)
        if self._join_task is not None and own.startswith(_OWN):
            self.coordinator_id = int(own.removeprefix(_OWN))
        await super().maybe_leave_group_async(reason, timeout_ms)


class _Join:
    """Its Future, but not done: who hears of it sets it aside, save for a time-out, which is taken for the poll's."""

    def __init__(self, task: Any) -> None:
        self._task = task

    @property
    def is_done(self) -> bool:
        return self._task.is_done and isinstance(self._task.exception, KafkaTimeoutError)

    def add_callback(self, heard: Callable[[Any], None]) -> None:
        self._task.add_callback(heard)

    def add_errback(self, heard: Callable[[Any], None]) -> None:
        self._task.add_errback(heard)
