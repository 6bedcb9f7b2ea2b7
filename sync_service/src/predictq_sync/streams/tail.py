"""The tail of an endpoint: every completion from now on, or from where a client was cut off.

Whoever follows waits for the endpoint's end to move. One task looks for that, for all endpoints at once, when commits
are announced and now and then without; clients at the same place share one read, and the bytes that it gave.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import NamedTuple

from predictq.errors import Unavailable
from predictq_sync.reading import Reader
from predictq_sync.streams.completions import CompletionLog, Position
from predictq_sync.streams.events import HEARTBEAT, Piece, Told, begin, event, piece, problem_event
from predictq_sync.waiting import SharedReads

__all__ = ["Tails"]

LOOK_SECONDS = 0.005
"""From one look at the ends to the next: what is announced within it is looked for once."""
FOLLOWER_SECONDS = 0.0001
"""More of that for each who follows and may have to be woken."""
LONGEST_LOOK_SECONDS = 0.1
PAGE_EVENTS = 100
PAGE_BYTES = 64 * 1024
"""Of events, and one more: what a client that reads slowly may hold of the process."""
BODIES = 25
"""Read from the database at a time."""
PAGES = 16
"""Made at a time."""
_LOST = "events before this one are kept no longer; the stream goes on behind them"
_UNKNOWN = "the cursor is ahead of this database, which may have been replaced; the stream goes on from its end"


class Page(NamedTuple):
    """What follows a place."""

    piece: Piece
    behind: Position


class Tails:
    """All who follow endpoints at one gateway. `wake` may be called by any thread, the rest by the event loop's."""

    def __init__(self, log: CompletionLog, reader: Reader, *, poll_seconds: float, heartbeat_seconds: float) -> None:
        self._log = log
        self._reader = reader
        self._poll_seconds = poll_seconds
        self._heartbeat_seconds = heartbeat_seconds
        self._followers: dict[str, set[asyncio.Event]] = {}
        self._pages: SharedReads[tuple[str, Position], Page] = SharedReads(self._read, at_once=PAGES)
        self._ends: SharedReads[str, Position] = SharedReads(log.ends)
        self._news = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._watching: asyncio.Task[None] | None = None
        self._closed = False

    async def end(self, endpoint: str) -> Position:
        """Behind the last completion of the endpoint. Raises DatabaseUnavailable."""
        found = await self._ends.get(endpoint)
        if found is None:
            raise RuntimeError("every endpoint has an end")
        return found

    async def events(
        self, endpoint: str, start: Position, turn: asyncio.Lock | None = None, *, end: Position
    ) -> AsyncGenerator[Piece]:
        """What is completed behind `start`, until the process stops; `end` is that of the endpoint just now.

        `turn` is shared by all that one client follows: a page is read and held by one of them at a time.
        """
        turn = turn or asyncio.Lock()
        position = start
        if start > end:
            position = end
            yield piece(problem_event(410, _UNKNOWN, end))
        else:
            yield begin(start)
        with self._following(endpoint) as woken:
            while not self._closed:
                woken.clear()
                async with turn:
                    page = await self._following_page(endpoint, position)
                    moved = page is not None
                    if page is not None:
                        position = page.behind
                        if page.piece.places:
                            yield page.piece
                    del page
                if moved:
                    continue
                try:
                    async with asyncio.timeout(self._heartbeat_seconds):
                        await woken.wait()
                except TimeoutError:
                    yield HEARTBEAT

    def wake(self) -> None:
        """Something was committed."""
        if self._loop is not None and self._followers:
            with suppress(RuntimeError):  # the event loop is closed: nobody is left to be woken
                self._loop.call_soon_threadsafe(self._news.set)

    def close(self) -> None:
        """Let everyone go."""
        self._closed = True
        self._wake(list(self._followers))

    async def _following_page(self, endpoint: str, position: Position) -> Page | None:
        """None where nothing follows, or the database is away."""
        with suppress(Unavailable):
            page = await self._pages.get((endpoint, position))
            if page is not None and page.behind != position:
                return page
        return None

    @contextmanager
    def _following(self, endpoint: str) -> Iterator[asyncio.Event]:
        self._loop = asyncio.get_running_loop()
        if self._watching is None or self._watching.done():
            self._watching = asyncio.ensure_future(self._watch())
        woken = asyncio.Event()
        together = self._followers.setdefault(endpoint, set())
        together.add(woken)
        try:
            yield woken
        finally:
            together.discard(woken)
            if not together:
                self._followers.pop(endpoint, None)

    async def _watch(self) -> None:
        """Wake those whose endpoint has moved on, as long as anyone follows."""
        ends: Mapping[str, Position] = {}
        next_look, patience = 0.0, self._poll_seconds
        while self._followers and not self._closed:
            with suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    await self._news.wait()
            if (early := next_look - time.monotonic()) > 0:
                await asyncio.sleep(early)
            next_look = time.monotonic() + self._look_seconds()
            heard = self._news.is_set()
            self._news.clear()
            try:
                found = await asyncio.to_thread(self._log.ends, list(self._followers))
            except Unavailable:
                continue
            moved = [endpoint for endpoint, end in found.items() if end != ends.get(endpoint)]
            self._wake(moved)
            ends = found
            if self._log.shows_late and (heard or moved):
                patience = self._look_seconds()
            else:
                patience = min(2 * patience, self._poll_seconds)

    def _look_seconds(self) -> float:
        followers = sum(map(len, self._followers.values()))
        return min(LOOK_SECONDS + FOLLOWER_SECONDS * followers, LONGEST_LOOK_SECONDS)

    def _wake(self, endpoints: Sequence[str]) -> None:
        for endpoint in endpoints:
            for woken in self._followers.get(endpoint, ()):
                woken.set()

    def _read(self, places: Sequence[tuple[str, Position]]) -> Mapping[tuple[str, Position], Page]:
        return {place: self._page(*place) for place in places}

    def _page(self, endpoint: str, position: Position) -> Page:
        following = self._log.after(endpoint, position, PAGE_EVENTS)
        if following.lost_until is not None:
            return Page(piece(problem_event(410, _LOST, following.lost_until)), following.lost_until)
        told: list[Told] = []
        size, behind = 0, position
        for start in range(0, len(following.ids), BODIES):
            some = following.ids[start : start + BODIES]
            bodies = self._reader.requests([request_id for request_id, _ in some])
            for request_id, behind in some:
                if (body := bodies.get(request_id)) is None:
                    continue
                told.append(event(f"prediction.{body['status']}", behind, body))
                size += len(told[-1][2])
                if size >= PAGE_BYTES:
                    return Page(piece(*told), behind)
        return Page(piece(*told), behind)
