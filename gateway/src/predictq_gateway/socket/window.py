"""Flow control: how many events a client may have without having acknowledged them."""

import asyncio

from predictq_producers.refusals import Fault, Refused

__all__ = ["Window"]


class Window:
    """Of one connection, whose events are told one after the other. For one event loop."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.sent = 0
        """Events so far; the number of the last one."""
        self._acknowledged = 0
        self._room = asyncio.Event()
        self._room.set()

    async def next_number(self) -> int:
        """The number of the next event, once there is room for it; it counts when `told` is called."""
        await self._room.wait()
        return self.sent + 1

    def told(self) -> None:
        """The next event is on its way."""
        self.sent += 1
        self._look()

    def acknowledge(self, number: int) -> None:
        """Everything up to this event is done with. Raises Refused for one that was not sent."""
        if number > self.sent:
            fault = Fault("/seq", f"is above {self.sent}, the last event that was sent")
            raise Refused(422, "what was not sent cannot be acknowledged", [fault])
        self._acknowledged = max(self._acknowledged, number)
        self._look()

    def _look(self) -> None:
        if self.sent - self._acknowledged < self.size:
            self._room.set()
        else:
            self._room.clear()
