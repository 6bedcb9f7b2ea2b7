"""Group commit."""

import asyncio
import threading
from collections.abc import Callable, Sequence

import pytest

from predictq.brokers import Message
from predictq.errors import BrokerUnavailable, MessageTooLarge, PublishError, UserMistake
from predictq_producers import publishing
from predictq_producers.publishing import Busy, Publisher, Stopping


class ScriptedProducer:
    """A producer that does what the test says, with each call of `publish`."""

    def __init__(self, script: Callable[[Sequence[Message]], object] = lambda _: None) -> None:
        self.script = script
        self.calls: list[list[bytes]] = []
        self.closed = False

    def publish(self, messages: Sequence[Message]) -> None:
        self.calls.append([message.value for message in messages])
        self.script(messages)

    def close(self) -> None:
        self.closed = True


def message(value: int | bytes) -> Message:
    return Message("t", value if isinstance(value, bytes) else str(value).encode())


async def outcomes(publisher: Publisher, count: int) -> list[BaseException | None]:
    return await asyncio.gather(*(publisher.publish(message(i)) for i in range(count)), return_exceptions=True)


def test_what_waits_is_published_in_one_call() -> None:
    gate = threading.Event()
    producer = ScriptedProducer(lambda _: gate.wait(10))

    async def main() -> None:
        publisher = Publisher(lambda: producer)
        publisher.start()
        tasks = [asyncio.ensure_future(publisher.publish(message(i))) for i in range(200)]
        await asyncio.sleep(0)
        gate.set()
        await asyncio.gather(*tasks)
        await publisher.close()

    asyncio.run(main())
    assert sum(len(call) for call in producer.calls) == 200
    assert len(producer.calls) <= 3
    assert producer.closed


def test_only_those_that_failed_fail() -> None:
    def script(messages: Sequence[Message]) -> None:
        odd = [index for index, each in enumerate(messages) if int(each.value) % 2]
        if odd:
            raise PublishError("full", odd)

    async def main() -> list[BaseException | None]:
        publisher = Publisher(lambda: ScriptedProducer(script))
        publisher.start()
        found = await outcomes(publisher, 50)
        await publisher.close()
        return found

    found = asyncio.run(main())
    assert [isinstance(each, PublishError) for each in found] == [bool(i % 2) for i in range(50)]


@pytest.mark.parametrize(
    "error", [MessageTooLarge(topic="t", size=2, limit=1), UserMistake("no such topic")], ids=["size", "topic"]
)
def test_a_refused_call_is_paid_for_by_the_culprit_alone(error: Exception) -> None:
    def script(messages: Sequence[Message]) -> None:
        if any(each.value == b"7" for each in messages):
            raise error

    async def main() -> list[BaseException | None]:
        publisher = Publisher(lambda: ScriptedProducer(script))
        publisher.start()
        found = await outcomes(publisher, 20)
        await publisher.close()
        return found

    found = asyncio.run(main())
    assert [index for index, each in enumerate(found) if each is not None] == [7]


def test_a_broker_away_fails_those_who_wait_and_nobody_after() -> None:
    away = True

    def open_producer() -> ScriptedProducer:
        if away:
            raise BrokerUnavailable("away")
        return ScriptedProducer()

    async def main() -> None:
        nonlocal away
        publisher = Publisher(open_producer)
        publisher.start()
        assert all(isinstance(each, BrokerUnavailable) for each in await outcomes(publisher, 5))
        away = False
        assert await outcomes(publisher, 5) == [None] * 5
        await publisher.close()

    asyncio.run(main())


def test_too_many_waiting_are_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publishing, "MAX_WAITING", 10)
    gate = threading.Event()

    async def main() -> list[BaseException | None]:
        publisher = Publisher(lambda: ScriptedProducer(lambda _: gate.wait(10)))
        publisher.start()
        tasks = [asyncio.ensure_future(publisher.publish(message(i))) for i in range(15)]
        await asyncio.sleep(0)
        gate.set()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert await outcomes(publisher, 10) == [None] * 10
        await publisher.close()
        return found

    found = asyncio.run(main())
    assert [isinstance(each, Busy) for each in found] == [False] * 10 + [True] * 5


def test_too_many_bytes_waiting_are_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publishing, "MAX_WAITING_BYTES", 100)
    gate = threading.Event()

    async def main() -> None:
        publisher = Publisher(lambda: ScriptedProducer(lambda _: gate.wait(10)))
        publisher.start()
        first = asyncio.ensure_future(publisher.publish(message(b"x" * 100)))
        await asyncio.sleep(0)
        with pytest.raises(Busy):
            await publisher.publish(message(1))
        gate.set()
        await first
        await publisher.publish(message(1))
        await publisher.close()

    asyncio.run(main())


def test_closing_publishes_what_waits_and_refuses_what_comes() -> None:
    producer = ScriptedProducer()

    async def main() -> None:
        publisher = Publisher(lambda: producer)
        publisher.start()
        tasks = [asyncio.ensure_future(publisher.publish(message(i))) for i in range(100)]
        await asyncio.sleep(0)
        await publisher.close()
        await asyncio.gather(*tasks)
        with pytest.raises(Stopping):
            await publisher.publish(message(1))

    asyncio.run(main())
    assert sum(len(call) for call in producer.calls) == 100


def test_a_lost_hint_is_counted_and_raises_nothing() -> None:
    def script(_: Sequence[Message]) -> None:
        raise BrokerUnavailable("away")

    async def main() -> int:
        publisher = Publisher(lambda: ScriptedProducer(script))
        publisher.start()
        publisher.hint(message(1))
        await publisher.close()
        await asyncio.sleep(0)
        publisher.hint(message(2))
        return publisher.lost_hints

    assert asyncio.run(main()) == 2
