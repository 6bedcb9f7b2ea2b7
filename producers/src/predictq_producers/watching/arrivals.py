"""Which files of a folder are there as a whole."""

import os
from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple

__all__ = ["Arrivals", "FileState", "state_of"]


class FileState(NamedTuple):
    """What changes when a file is written to, or is another one."""

    size: int
    mtime_ns: int
    inode: int


def state_of(stat: os.stat_result) -> FileState:
    """That of a file."""
    return FileState(stat.st_size, stat.st_mtime_ns, stat.st_ino)


class Arrivals:
    """A file is whole when nobody has written to it for a while, or when it was renamed from a temporary name."""

    def __init__(self, settle_seconds: float, clock: Callable[[], float], monotonic: Callable[[], float]) -> None:
        self._settle_seconds = settle_seconds
        self._clock = clock
        self._monotonic = monotonic
        self._seen: dict[str, tuple[FileState, float]] = {}
        """By name: how it is, and since when."""
        self._temporary: frozenset[int] = frozenset()

    def whole(self, files: Mapping[str, FileState], temporary: Collection[int]) -> list[str]:
        """The names of those that are, among all files of the folder; `temporary` are inodes of what is written."""
        now = self._monotonic()
        whole: list[str] = []
        seen: dict[str, tuple[FileState, float]] = {}
        for name, state in files.items():
            known = self._seen.get(name)
            since = known[1] if known is not None and known[0] == state else now
            seen[name] = state, since
            new = known is None and (state.inode in self._temporary or self._is_old(state))
            if new or now - since >= self._settle_seconds:
                whole.append(name)
        self._seen = seen
        self._temporary = frozenset(temporary)
        return whole

    def _is_old(self, state: FileState) -> bool:
        """It was moved here, or lay here before anybody looked."""
        return self._clock() - state.mtime_ns / 1e9 >= self._settle_seconds
