"""A file that is there as a whole or not at all."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from predictq.errors import UserMistake
from predictq.ids import new_id

__all__ = ["replacing"]


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A file beside `path` that takes its place when the block has ended, and is gone where it raises.

    Raises UserMistake where nothing can be written there.
    """
    unfinished = path.with_name(f".{path.name}.{new_id()}")
    try:
        with unfinished.open("xb") as file:
            yield file
        unfinished.replace(path)
    except OSError as error:
        raise UserMistake(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        unfinished.unlink(missing_ok=True)
