"""Work that may end the process that is at it, such as reading a file that needs more memory than there is.

The loop isolates such records by a retry topic of their group. Planner and cutter have none: they read the topics of
all endpoints. So a note in the storage says who is at it; where the process ends, it stays there and is counted.
"""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from pydantic_core import from_json, to_json

from predictq.errors import PredictqError, Unavailable
from predictq.storage import NotInStorage, Storage

__all__ = ["MOST", "EndsProcesses", "tried"]

NOTE = "tries.json"
MOST = 4
"""Processes that may end at it, with the note; the one before, whose record had not come before, left none."""
_THIS_PROCESS = uuid.uuid4().hex


class EndsProcesses(PredictqError):
    """It has ended so many processes that no other one shall try."""


@contextmanager
def tried(storage: Storage, *folder: str, done_before: int = 0) -> Iterator[None]:
    """Within the block a note lies in a folder of its own; it goes with the block, but not with the process.

    `done_before`: how much of it was done by others; where that has grown, they came further, and count no more.
    Raises EndsProcesses before the block, StorageUnavailable.
    """
    ended, done = _read(storage, *folder)
    if done_before > done:
        ended = 0
    if ended >= MOST:
        raise EndsProcesses(f"ended the process that handled it, {ended + 1} times")
    with storage.writing(*folder, NOTE) as stream:
        stream.write(to_json({"process": _THIS_PROCESS, "ended": ended, "done": max(done, done_before)}))
    try:
        yield
    finally:
        # Where it stays, this process is still the one that wrote it.
        with suppress(Unavailable):
            storage.delete(*folder)


def _read(storage: Storage, *folder: str) -> tuple[int, int]:
    try:
        with storage.open(storage.url_of(*folder, NOTE)) as stream:
            note = from_json(stream.read())
    except NotInStorage:
        return 0, 0
    return note["ended"] + (note["process"] != _THIS_PROCESS), note["done"]
