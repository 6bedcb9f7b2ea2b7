"""The thread that keeps a member in its group: it polls the driver whatever the consumer's thread is doing."""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from predictq.brokers.kafka.assignment import Assignment
from predictq.brokers.kafka.driver import Evicted, Member, Rebalancing, UnknownTopic
from predictq.brokers.kafka.held import Held
from predictq.brokers.kafka.topics import unknown_group, unknown_topic
from predictq.errors import BrokerUnavailable, PredictqError

__all__ = ["Pump"]

log = logging.getLogger(__name__)

_TURN_SECONDS = 0.05
_IDLE_SECONDS = 0.02
_RECORDS_A_TURN = 500
_FIRST_AHEAD = 1_000
_AHEAD_BYTES = 32 * 1024 * 1024
_RESUME_AT = 0.5


class Pump:
    """Joins when somebody asks for records, and leaves when nobody gives a sign of life for `claim_seconds`."""

    def __init__(
        self,
        *,
        group: str,
        assignment: Assignment,
        join: Callable[[], Member],
        move_due: Callable[[Member], float],
        claim_seconds: float,
        request_seconds: float,
    ) -> None:
        self.member: Member | None = None
        self.failed: PredictqError | None = None
        """Why it ended, if it did not have to."""
        self.ahead = _FIRST_AHEAD
        """How many records to fetch ahead of each topic."""
        self._group = group
        self._assignment = assignment
        self._join = join
        self._move_due = move_due
        self._claim_seconds = claim_seconds
        self._request_seconds = request_seconds
        self._sign_at = 0.0
        self._calls = 0
        self._counting = threading.Lock()
        self._asked = False
        self._ended = False
        self._wanted = assignment.changed
        self._thread = threading.Thread(target=self._run, name=f"{group}-pump", daemon=True)

    def sign(self) -> None:
        """A sign of life."""
        self._sign_at = time.monotonic()

    def enter(self) -> None:
        """A call begins: as long as it lasts it is a sign of life."""
        with self._counting:
            self._calls += 1
        self.sign()

    def leave(self) -> None:
        """A call ends."""
        self.sign()
        with self._counting:
            self._calls -= 1

    def ask(self) -> bool:
        """Somebody wants records: join, and say so, where that is not done. Raises what the pump has met."""
        if self.failed is not None:
            raise self.failed
        if self._asked:
            return False
        self.sign()
        self._asked = True
        if not self._thread.is_alive():
            self._thread.start()
        with self._wanted:
            self._wanted.notify_all()
        return True

    def end(self) -> None:
        """Stop and leave the group; what is to be committed is committed before."""
        with self._wanted:
            self._ended = True
            self._wanted.notify_all()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        try:
            while not self._ended:
                if not self._asked:
                    with self._wanted:
                        self._wanted.wait(_TURN_SECONDS)
                elif self.member is None:
                    self.member = self._join()
                elif not self._calls and time.monotonic() - self._sign_at > self._claim_seconds:
                    self._asked = False
                    self._quit()
                else:
                    self._turn(self.member)
        except UnknownTopic as signal:
            self._fail(unknown_topic(str(signal)))
        except PredictqError as error:
            self._fail(error)
        except Exception as error:
            # A defect, ours or the driver's: whoever polls must hear of it, and begins anew.
            log.exception("%s: reading ends", self._group)
            self._fail(BrokerUnavailable(f"group {self._group}: reading has ended ({type(error).__name__}: {error})"))
        finally:
            self._quit()

    def _turn(self, member: Member) -> None:
        """Let come what comes, and keep the buffers between half full and full."""
        wait = _TURN_SECONDS
        try:
            wait = min(wait, self._move_due(member))
            fetching = self._balance(member)
            if not fetching and self._assignment.held:
                with self._wanted:
                    self._wanted.wait(min(_IDLE_SECONDS, wait))
                wait = 0.0
            self._assignment.store(member.poll(wait, _RECORDS_A_TURN))
            if new := self._assignment.new():
                self._position(member, new)
        except Evicted:
            # It joins again with the next turn, as a new member.
            self._assignment.forget()

    def _position(self, member: Member, new: list[Held]) -> None:
        """Find out where others have left off, and go on from there."""
        found = member.committed([held.place for held in new], self._request_seconds)
        for held in new:
            if found[held.place].offset < 0:
                raise unknown_group(f"{self._group} on {held.place.topic}")
        crashed = self._assignment.position({held: found[held.place] for held in new})
        if crashed:
            # The one who gets them next counts the same crash from the same note.
            with suppress(Rebalancing):
                member.commit(crashed, self._request_seconds)
        member.seek({held.place: held.off for held in new})

    def _balance(self, member: Member) -> bool:
        """Pause the topics of which enough is here, resume those of which half is gone; whether any may fetch."""
        here = self._assignment.filter(lambda _: True)
        filled: dict[int, float] = {}
        for held in here:
            share = max(held.ahead / self.ahead, held.size / _AHEAD_BYTES)
            filled[held.level] = filled.get(held.level, 0.0) + share
        full = [held for held in here if not held.paused and filled[held.level] >= 1.0]
        empty = [held for held in here if held.paused and filled[held.level] <= _RESUME_AT]
        for held in full:
            held.paused = True
        for held in empty:
            held.paused = False
        if full:
            member.pause([held.place for held in full])
        if empty:
            member.resume([held.place for held in empty])
        return not here or any(not held.paused for held in here)

    def _fail(self, error: PredictqError) -> None:
        self.failed = error
        with self._wanted:
            self._wanted.notify_all()

    def _quit(self) -> None:
        """Leave the group; what is not settled goes to others."""
        self._assignment.forget()
        member, self.member = self.member, None
        if member is not None:
            with suppress(BrokerUnavailable, Evicted, Rebalancing):
                member.close(leave=True)
