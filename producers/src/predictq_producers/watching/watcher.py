"""The watcher of a folder: each file that is put there becomes a job, and is moved on."""

import fnmatch
import logging
import os
import threading
import time
from collections.abc import Callable, Generator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, NamedTuple

import watchfiles

from predictq.errors import StorageUnavailable, Unavailable
from predictq.loop import Backoff, Stop
from predictq_producers.deriving import watched_job_id
from predictq_producers.jobs.faults import BadFile, FileChanging
from predictq_producers.jobs.reading import opened
from predictq_producers.jobs.starting import JobStarter
from predictq_producers.refusals import Refused
from predictq_producers.watching.arrivals import Arrivals, FileState, state_of
from predictq_producers.watching.claims import WORKING, Claim, left_behind, take
from predictq_producers.watching.putting import other_name, put

__all__ = ["Watched", "Watcher"]

log = logging.getLogger(__name__)

LOOK_MILLISECONDS = 500
"""How soon the folder is looked at when the kernel says nothing: files become whole by nothing happening."""
TEMPORARY = ("~", ".part", ".partial", ".filepart", ".crdownload", ".tmp", ".swp")


class Watched(NamedTuple):
    """A folder, and what becomes of its files. All paths are absolute."""

    endpoint: str
    folder: Path
    pattern: str
    done: Path
    failed: Path
    results: Path | None
    result_format: str
    settle_seconds: float
    options: dict[str, Any]
    """Of each job."""
    max_bytes: int
    """Of one file."""


class Watcher:
    """Runs until it is stopped. Several may watch one folder: each file is one job."""

    def __init__(
        self,
        watched: Watched,
        starter: JobStarter,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = "watcher"
        self.ready = threading.Event()
        """Set once the folder was looked at; cleared while it, the storage or the broker is away."""
        self._watched = watched
        self._working = watched.folder / WORKING / watched.endpoint
        self._starter = starter
        self._clock = clock
        self._arrivals = Arrivals(watched.settle_seconds, clock, monotonic)
        self._in_hand: Claim | None = None
        """What could not be finished, and is tried again."""
        self._accepted: str | None = None
        """Id of the job in hand when it is started, and its file only has to be moved."""
        self._said: set[tuple[str, str]] = set()

    def run(self, stop: Stop) -> None:
        """Block until `stop` is set, then finish the file in hand."""
        backoff = Backoff(first_seconds=0.5, max_seconds=10.0)
        try:
            while not stop.is_set():
                try:
                    with closing(self._wakings(stop)) as wakings:
                        for _ in wakings:
                            self.look(stop)
                            self.ready.set()
                            backoff.reset()
                except Unavailable as error:
                    self.ready.clear()
                    seconds = backoff.next_seconds()
                    log.warning("%s; next try in %.1f s", error, seconds)
                    stop.wait(seconds)
        finally:
            self._let_go()

    def look(self, stop: Stop) -> None:
        """Take all files that are whole, and finish them. Raises Unavailable; then the file in hand stays in hand."""
        try:
            if self._in_hand is not None:
                self._finish(self._in_hand)
            for claim in left_behind(self._working, self._watched.pattern):
                if stop.is_set() or self._clock() - claim.written_at < self._watched.settle_seconds:
                    claim.close()
                    continue
                log.info("%s was taken before, and not finished", claim.file.name)
                self._finish(claim)
            files = self._files()
            for name in files:
                if stop.is_set():
                    return
                if (taken := self._take(name, files[name])) is not None:
                    self._finish(taken)
        except OSError as error:
            raise StorageUnavailable(f"{error.filename or self._watched.folder}: {error.strerror or error}") from error

    def _files(self) -> dict[str, FileState]:
        """Those that are whole."""
        found: dict[str, FileState] = {}
        temporary: list[int] = []
        with os.scandir(self._watched.folder) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):
                    self._sort(entry, found, temporary)
        return {name: found[name] for name in sorted(self._arrivals.whole(found, temporary))}

    def _sort(self, entry: "os.DirEntry[str]", found: dict[str, FileState], temporary: list[int]) -> None:
        name = entry.name
        if entry.is_symlink():
            self._say_once(name, "is a symbolic link and is not taken; put the file itself here")
        elif not entry.is_file():
            return
        elif name.startswith(".") or name.lower().endswith(TEMPORARY):
            temporary.append(entry.inode())
        elif fnmatch.fnmatchcase(name, self._watched.pattern):
            found[name] = state_of(entry.stat(follow_symlinks=False))

    def _take(self, name: str, state: FileState) -> Claim | None:
        file = self._watched.folder / name
        try:
            return take(file, state, self._working / self._job_id(name, state))
        except PermissionError as error:
            if error.filename != str(file):
                raise
            self._say_once(name, "may not be read by this process; it stays where it is")
            return None

    def _job_id(self, name: str, state: FileState) -> str:
        return watched_job_id(self._watched.endpoint, str(self._watched.folder / name), *state)

    def _finish(self, claim: Claim) -> None:
        """Make a job of it, unless it is one already, and move it. Raises Unavailable, OSError of a folder."""
        self._in_hand = claim
        name = claim.file.name
        job_id = self._job_id(name, claim.state)
        try:
            claim.file.lstat()
            if self._accepted != job_id:
                self._start(claim, job_id)
                self._accepted = job_id
                log.info("%s is accepted as job %s", name, job_id)
            put(claim.file, self._watched.done, (name, other_name(name, job_id)))
        except (Refused, BadFile) as error:
            self._refuse(claim, job_id, error.reason if isinstance(error, Refused) else str(error))
        except FileChanging:
            log.warning("%s is still written to; it is taken when that has ended", name)
        except FileNotFoundError as error:
            if claim.file.exists():
                raise
            log.warning("%s disappeared: %s", name, error.strerror)
        self._let_go()
        with suppress(OSError):
            claim.file.parent.rmdir()

    def _start(self, claim: Claim, job_id: str) -> None:
        size, most = claim.state.size, self._watched.max_bytes
        if size > most:
            raise BadFile(f"the file has {size} bytes; at most {most} (jobs.max_upload_bytes) would be right")
        # What is no file of rows is told now, by its first bytes; the rest when it is planned.
        with opened({"url": claim.file.as_uri(), "name": claim.file.name}, {}, max_bytes=most):
            pass
        options = dict(self._watched.options)
        if self._watched.results is not None:
            options["result"] = (self._watched.results / self._result_name(claim, job_id)).as_uri()
            options["result_format"] = self._watched.result_format
        self._starter.of_file(self._watched.endpoint, job_id, claim.file, options, is_whole=claim.is_unchanged)

    def _result_name(self, claim: Claim, job_id: str) -> str:
        """Named after the file; where there was one of this name before, as the file will be called then."""
        name = claim.file.name
        again = (self._watched.done / name).exists() or any(
            place != claim.file.parent and (place / name).exists() for place in self._working.iterdir()
        )
        return f"{other_name(name, job_id) if again else name}.results.{self._watched.result_format}"

    def _refuse(self, claim: Claim, job_id: str, reason: str) -> None:
        name, failed = claim.file.name, self._watched.failed
        log.warning("%s is refused: %s", name, reason)
        if (failed / name).exists():
            name = other_name(name, job_id)
        failed.mkdir(parents=True, exist_ok=True)
        (failed / f"{name}.reason.txt").write_text(f"{reason}\n", encoding="utf-8")
        put(claim.file, failed, (name, other_name(claim.file.name, job_id)))

    def _let_go(self) -> None:
        if self._in_hand is not None:
            self._in_hand.close()
        self._in_hand = self._accepted = None

    def _say_once(self, name: str, what: str) -> None:
        if (name, what) not in self._said:
            self._said.add((name, what))
            log.warning("%s %s", name, what)

    def _wakings(self, stop: Stop) -> Generator[None]:
        """At once, then whenever something happens in the folder, and every now and then."""
        yield
        try:
            for _ in watchfiles.watch(
                self._watched.folder,
                watch_filter=None,
                stop_event=stop,
                rust_timeout=LOOK_MILLISECONDS,
                yield_on_timeout=True,
                raise_interrupt=False,
                recursive=False,
            ):
                yield
        except (OSError, RuntimeError) as error:  # the kernel has no more watches to give, or knows none
            self._say_once(str(self._watched.folder), f"cannot be watched and is looked at now and then: {error}")
            while not stop.wait(LOOK_MILLISECONDS / 1000):
                yield
