"""Waiting for a result, on the event loop that the gateway runs on."""

from collections.abc import Mapping, Sequence

import uvloop

from predictq_sync.reading import Reader, RequestBody
from predictq_sync.waiting import Waiting


class Nothing(Reader):
    """Knows no request, and counts who asked."""

    def __init__(self) -> None:
        self.reads = 0

    def requests(self, ids: Sequence[str]) -> Mapping[str, RequestBody]:
        self.reads += 1
        return {}


async def _wait_in_vain(reader: Reader, seconds: float, *, poll_seconds: float) -> None:
    with Waiting(reader, poll_seconds=poll_seconds).expect("a") as expectation:
        assert await expectation.finished(seconds) is None


def test_one_look_when_the_time_is_up_although_timers_are_early() -> None:
    readers = [Nothing() for _ in range(200)]

    async def wait() -> None:
        for number, reader in enumerate(readers):
            await _wait_in_vain(reader, 0.005 + number / 1e5, poll_seconds=60)

    uvloop.run(wait())
    assert {reader.reads for reader in readers} == {1}


def test_a_look_at_every_interval_while_nothing_is_announced() -> None:
    reader = Nothing()
    uvloop.run(_wait_in_vain(reader, 1.0, poll_seconds=0.1))
    assert 2 <= reader.reads <= 11
