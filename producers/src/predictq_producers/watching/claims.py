"""Taking a file so that nobody else does.

It is renamed into a hidden folder beside it, which one watcher alone succeeds in, and locked (flock) until it is done
with. A lock ends with its process: what lies in the hidden folder and is not locked was left by a watcher that died.
"""

import fcntl
import fnmatch
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from predictq_producers.watching.arrivals import FileState, state_of

__all__ = ["WORKING", "Claim", "left_behind", "take"]

WORKING = ".predictq"
"""The hidden folder."""


class Claim(NamedTuple):
    """A file that is this process's alone until it is given up."""

    file: Path
    """Where it is now."""
    state: FileState
    written_at: float
    """When anything of it changed the last time, its place included; Unix seconds."""
    descriptor: int

    def is_unchanged(self) -> bool:
        """Whether nobody has written to it since."""
        return state_of(os.fstat(self.descriptor)) == self.state

    def close(self) -> None:
        """Give it up."""
        os.close(self.descriptor)


def take(file: Path, state: FileState, place: Path) -> Claim | None:
    """Claim a file as it was seen, and move it to a place of its own.

    None where it is not there any more, or not so, or another's. Raises OSError, of the folder or of a file that may
    not be read.
    """
    if (claim := _locked(file)) is None:
        return None
    moved = None
    try:
        if claim.state == state:
            moved = _moved(claim, place)
    finally:
        if moved is None:
            claim.close()
    return moved


def left_behind(working: Path, pattern: str) -> Iterator[Claim]:
    """Claim what was taken to places in this folder and not finished, one after the other."""
    for place in _sorted(working):
        for file in _sorted(place):
            if fnmatch.fnmatchcase(file.name, pattern) and (claim := _locked(file)) is not None:
                yield claim


def _locked(file: Path) -> Claim | None:
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    claim = None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        found = os.fstat(descriptor)
        # Its holder may have moved it on, and let go of it, since it was opened.
        if stat.S_ISREG(found.st_mode) and file.lstat().st_ino == found.st_ino:
            claim = Claim(file, state_of(found), found.st_ctime, descriptor)
    except (BlockingIOError, FileNotFoundError):
        return None
    finally:
        if claim is None:
            os.close(descriptor)
    return claim


def _moved(claim: Claim, place: Path) -> Claim | None:
    place.mkdir(parents=True, exist_ok=True)
    try:
        taken = claim.file.rename(place / claim.file.name)
        # Where it was replaced in this moment the new one is left behind there, until it is whole.
        return claim._replace(file=taken) if state_of(taken.lstat()) == claim.state else None
    except FileNotFoundError:
        return None


def _sorted(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
