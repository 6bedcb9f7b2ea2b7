"""A file on its way to the gateway: a multipart form (RFC 7578), a piece at a time and never held as a whole."""

import asyncio
import io
import os
import secrets
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import IO
from urllib.parse import quote

from predictq.errors import UserMistake

__all__ = ["Upload"]

PIECE_BYTES = 256 * 1024


class Upload:
    """A form of a file and some fields. Reads from where the file stands; closes it only where it opened it."""

    def __init__(self, file: str | os.PathLike[str] | IO[bytes], fields: Sequence[tuple[str, str]]) -> None:
        """Raises UserMistake where the file cannot be read."""
        if isinstance(file, io.TextIOBase):
            raise UserMistake("the file is opened as text; open(path, 'rb') would be right")
        self._owned = isinstance(file, str | os.PathLike)
        self._file: IO[bytes] = _opened(file) if isinstance(file, str | os.PathLike) else file
        named = getattr(self._file, "name", None)
        name = Path(named).name.strip("<>") if isinstance(named, str) else "rows"
        boundary = secrets.token_hex(16)
        self.content_type = f"multipart/form-data; boundary={boundary}"
        head = "".join(
            f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n{value}\r\n'
            for field, value in fields
        )
        # The gateway reads the name as percent-encoded, so that any name survives a header.
        head += (
            f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{quote(name, safe="")}"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        )
        self._head = head.encode()
        self._tail = f"\r\n--{boundary}--\r\n".encode()
        self._start, self._size = _extent(self._file)
        self._sent = False

    @property
    def length(self) -> int | None:
        """Of the whole form; None where the file does not know its own."""
        return None if self._size is None else len(self._head) + self._size + len(self._tail)

    @property
    def can_be_sent(self) -> bool:
        """False once a stream that cannot go back was read."""
        return self._size is not None or not self._sent

    def pieces(self) -> Iterator[bytes]:
        """The form, from its beginning."""
        yield self._begin()
        while piece := self._piece():
            yield piece
        yield self._tail

    async def pieces_async(self) -> AsyncIterator[bytes]:
        """The same; a thread reads the file."""
        yield self._begin()
        while piece := await asyncio.to_thread(self._piece):
            yield piece
        yield self._tail

    def close(self) -> None:
        """Close the file, unless it is the caller's."""
        if self._owned:
            self._file.close()

    def _begin(self) -> bytes:
        self._sent = True
        if self._size is not None:
            self._file.seek(self._start)
        return self._head

    def _piece(self) -> bytes:
        return self._file.read(PIECE_BYTES)


def _opened(path: str | os.PathLike[str]) -> IO[bytes]:
    try:
        return Path(path).open("rb")
    except OSError as error:
        raise UserMistake(f"{os.fspath(path)}: cannot be read: {error.strerror}") from error


def _extent(file: IO[bytes]) -> tuple[int, int | None]:
    """Where the file stands, and how many bytes follow; None where it cannot go back."""
    try:
        start = file.tell()
        end = file.seek(0, os.SEEK_END)
        file.seek(start)
    except (OSError, AttributeError):
        return 0, None
    return start, end - start
