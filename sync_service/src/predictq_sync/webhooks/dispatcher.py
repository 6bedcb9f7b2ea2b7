"""The dispatcher: takes deliveries that are due, sends them side by side, and writes down what became of them."""

import asyncio
import logging
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from predictq.errors import Unavailable
from predictq.loop import Backoff, Stop
from predictq.push.settings import PushSettings
from predictq_sync.database import Database
from predictq_sync.webhooks.bell import Bell
from predictq_sync.webhooks.claiming import Claimed, Deliveries, Said
from predictq_sync.webhooks.connecting import Resolve, resolve_name
from predictq_sync.webhooks.outcomes import GONE, Outcomes
from predictq_sync.webhooks.parcels import Parcel, parcels_of
from predictq_sync.webhooks.payloads import Payloads
from predictq_sync.webhooks.places import is_batched
from predictq_sync.webhooks.posting import Answer, Poster
from predictq_sync.webhooks.receivers import Receiver
from predictq_sync.webhooks.signing import Signing
from predictq_sync.webhooks.subscriptions import Subscriptions

__all__ = ["Dispatcher"]

log = logging.getLogger(__name__)

MOST_IN_HAND = 4000
MOST_RECEIVERS = 1000
"""Beyond it those are forgotten that nothing is in hand for."""
GATHER_SECONDS = 0.01
"""What comes within it is claimed, and written down, together."""
UNSIGNED = "push.secret is missing, so it cannot be signed"
LAST_SECONDS = 5.0
"""After the signal to stop, how long tries that are under way may take."""


class Dispatcher:
    """Delivers until it is stopped, in a thread of its own: nothing else waits for it."""

    name = "webhooks"

    def __init__(
        self,
        database: Database,
        push: PushSettings,
        subscriptions: Subscriptions,
        bell: Bell,
        *,
        clock: Callable[[], float] = time.time,
        resolve: Resolve = resolve_name,
    ) -> None:
        """`bell` is rung when something has become due."""
        self.ready = threading.Event()
        self._push = push
        self._targets = push.targets()
        self._signing = Signing(push)
        self._subscriptions = subscriptions
        self._bell = bell
        self._clock = clock
        self._resolve = resolve
        self._deliveries = Deliveries(database)
        self._payloads = Payloads(database)
        self._outcomes = Outcomes(push)
        self._context = ssl.create_default_context(cafile=push.ca_file)
        self._claim_seconds = 2 * push.timeout_seconds + 30.0
        self._receivers: dict[str, Receiver] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._in_hand = 0
        self._said: list[Said] = []
        self._gone: set[str] = set()
        self._stopping = False

    def run(self, stop: Stop) -> None:
        """Block until `stop` is set, and until what is under way has ended."""
        asyncio.run(self._run(stop))

    async def _run(self, stop: Stop) -> None:
        self._bell.attach()
        poster = Poster(self._push, self._resolve, self._context)
        try:
            await self._deliver_until(stop, poster)
        finally:
            await poster.close()

    async def _deliver_until(self, stop: Stop, poster: Poster) -> None:
        backoff = Backoff()
        self.ready.set()
        with stop.calling(self._bell.ring):
            while not stop.is_set():
                try:
                    busy = await self._round(poster)
                except Unavailable as error:
                    self.ready.clear()
                    seconds = backoff.next_seconds()
                    log.warning("webhooks: %s; next try in %.1f s", error, seconds)
                    await self._bell.wait(seconds)
                else:
                    self.ready.set()
                    backoff.reset()
                    if not busy:
                        await self._bell.wait(self._push.poll_seconds)
                    await asyncio.sleep(GATHER_SECONDS)
        await self._end()

    async def _round(self, poster: Poster) -> bool:
        """Write down what has ended, and take what is due; whether there was any of it."""
        wrote = await self._write()
        await asyncio.to_thread(self._subscriptions.refresh)
        if self._in_hand >= MOST_IN_HAND:
            return wrote
        now = self._clock()
        full = [place for place, receiver in self._receivers.items() if not receiver.room()]
        gather = self._push.batch_wait_seconds
        places = await asyncio.to_thread(lambda: self._deliveries.due_places(now, full=full, gather_seconds=gather))
        if not places:
            return wrote
        self._forget()
        rooms = self._rooms(places)
        taken_at = time.monotonic()
        claimed = await asyncio.to_thread(
            lambda: self._deliveries.claim(rooms, now, seconds=self._claim_seconds),
        )
        await self._begin(claimed, poster, taken_at)
        return True

    def _rooms(self, places: Sequence[str]) -> Mapping[str, int]:
        """How many deliveries are to be taken for each."""
        left = MOST_IN_HAND - self._in_hand
        rooms: dict[str, int] = {}
        for place in places:
            pushes = self._receiver(place).room()
            room = min(pushes * self._push.batch_max_events if is_batched(place) else pushes, left)
            if room:
                rooms[place] = room
                left -= room
        return rooms

    async def _begin(self, claimed: Sequence[Claimed], poster: Poster, taken_at: float) -> None:
        bodies = await asyncio.to_thread(self._read, claimed)
        sent: list[Claimed] = []
        for each in claimed:
            reason = "what it tells of is kept no longer" if each.id not in bodies else self._reason_against(each)
            if reason is None:
                sent.append(each)
            else:
                self._said.append(self._outcomes.given_up(each, reason, now=self._clock()))
        for parcel in parcels_of(
            sent,
            bodies,
            is_batched=self._is_batched,
            max_events=self._push.batch_max_events,
            max_bytes=self._push.batch_max_bytes,
        ):
            receiver = self._receiver(parcel.holds[0].place)
            receiver.in_hand += 1
            self._in_hand += len(parcel.holds)
            task = asyncio.create_task(self._deliver(parcel, receiver, poster, taken_at))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _is_batched(self, claimed: Claimed) -> bool:
        webhook = self._subscriptions.by_id().get(claimed.webhook_id or "")
        return webhook is not None and webhook.batch

    def _read(self, claimed: Sequence[Claimed]) -> Mapping[str, bytes]:
        if any(each.webhook_id is not None for each in claimed):
            # Neither to one that has just been deleted, nor with a secret that has just run out.
            self._subscriptions.refresh(at_once=True)
        return self._payloads.bodies(claimed)

    def _reason_against(self, claimed: Claimed) -> str | None:
        """Why there is no sense in sending it."""
        if claimed.webhook_id is None:
            if not self._signing.can_sign(self._signing.secrets):
                return UNSIGNED
        elif (webhook := self._subscriptions.by_id().get(claimed.webhook_id)) is None:
            return "its webhook was deleted"
        elif not webhook.enabled:
            return "its webhook is disabled"
        elif not self._signing.can_sign(webhook.secrets(self._signing.secrets, self._clock())):
            return UNSIGNED
        try:
            self._targets.check(claimed.url)
        except ValueError as error:
            return f"its URL {error}"
        return None

    async def _deliver(self, parcel: Parcel, receiver: Receiver, poster: Poster, taken_at: float) -> None:
        try:
            async with receiver.turns:
                seconds = 0.0 if self._stopping else receiver.seconds_closed
                if self._stopping or seconds:
                    now = self._clock()
                    self._said += [self._outcomes.untried(each, seconds=seconds, now=now) for each in parcel.holds]
                elif time.monotonic() - taken_at < self._claim_seconds / 2:
                    await self._try(parcel, receiver, poster)
                # Else it is left to whoever takes it when the claim has run out.
        finally:
            receiver.in_hand -= 1
            self._in_hand -= len(parcel.holds)
            self._bell.ring_here()

    async def _try(self, parcel: Parcel, receiver: Receiver, poster: Poster) -> None:
        began = self._clock()
        try:
            answer = await poster.post(parcel.holds[0].url, self._headers(parcel, began), parcel.body)
        except Exception as error:
            log.exception("webhooks: a try at %s ended by a bug", receiver.place)
            answer = Answer(None, type(error).__name__)
        now = self._clock()
        receiver.note(answer, now)
        webhook_id = parcel.holds[0].webhook_id
        if answer.status == GONE and webhook_id is not None:
            self._gone.add(webhook_id)
        self._said += self._outcomes.after(parcel.holds, answer, began=began, now=now)

    def _headers(self, parcel: Parcel, now: float) -> dict[str, str]:
        secrets: Sequence[str] = self._signing.secrets
        webhook = self._subscriptions.by_id().get(parcel.holds[0].webhook_id or "")
        if webhook is not None:
            secrets = webhook.secrets(secrets, now)
        return {
            "content-type": "application/json",
            "user-agent": "predictq",
            "webhook-id": parcel.id,
            "webhook-timestamp": str(int(now)),
            "webhook-signature": self._signing.signature(secrets, parcel.id, int(now), parcel.body),
        }

    async def _write(self) -> bool:
        """Write down what has ended; kept for the next time where the database is away."""
        if self._gone:
            gone = list(self._gone)
            await asyncio.to_thread(lambda: self._deliveries.disable(gone, "its receiver answered 410 Gone"))
            log.warning("webhooks: disabled, because the receiver answered 410 Gone: %s", ", ".join(sorted(gone)))
            self._gone.difference_update(gone)
            await asyncio.to_thread(lambda: self._subscriptions.refresh(at_once=True))
        said, self._said = self._said, []
        if not said:
            return False
        try:
            await asyncio.to_thread(self._deliveries.write, said)
        except BaseException:
            self._said[:0] = said
            raise
        return True

    def _receiver(self, place: str) -> Receiver:
        receiver = self._receivers.get(place)
        if receiver is None:
            receiver = self._receivers[place] = Receiver(place, self._push)
        return receiver

    def _forget(self) -> None:
        if len(self._receivers) < MOST_RECEIVERS:
            return
        for place, receiver in list(self._receivers.items()):
            if not receiver.in_hand and not receiver.seconds_closed:
                del self._receivers[place]

    async def _end(self) -> None:
        self._stopping = True
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=LAST_SECONDS)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with suppress(Unavailable):
            await self._write()
