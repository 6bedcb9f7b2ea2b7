"""The storage: files that every process reaches, by an fsspec URL.

What is written is there as a whole or not at all. On a disk of this machine that is a temporary file, synced and
renamed; of other storages an object that appears when it is closed.
"""

import os
import shutil
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote

from predictq.errors import StorageUnavailable, UserMistake
from predictq.filesystems import driver_errors, filesystem_of

__all__ = ["NotInStorage", "Storage", "local_path"]


class NotInStorage(UserMistake):
    """There is no such file."""


class Storage:
    """Files under one URL. Connects when it is used first; may be used by any thread."""

    def __init__(self, url: str, options: Mapping[str, Any]) -> None:
        """Raises UserMistake for a URL of no known kind, MissingExtra where its driver is not installed."""
        self.url = url.rstrip("/")
        self._options = options
        self._root = local_path(url)
        if self._root is None:
            filesystem_of(url, options)

    def url_of(self, *parts: str) -> str:
        """The URL of a file of it."""
        return "/".join((self.url, *parts))

    @contextmanager
    def writing(self, *parts: str) -> Iterator[IO[bytes]]:
        """A stream whose bytes are the file once the block has ended; nothing where it raises.

        Raises StorageUnavailable.
        """
        if self._root is None:
            with _told(self.url, writing=True):
                stream = filesystem_of(self.url, self._options).open(self.url_of(*parts), "wb")
                try:
                    yield stream
                    stream.close()
                except BaseException:
                    _discard(stream)
                    raise
            return
        with _told(self.url):
            path = self._root.joinpath(*parts)
            _make_folder(path.parent)
            unfinished = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
            try:
                with unfinished.open("xb") as stream:
                    yield stream
                    stream.flush()
                    os.fsync(stream.fileno())
                unfinished.replace(path)
            except BaseException:
                unfinished.unlink(missing_ok=True)
                raise
            _sync_folder(path.parent)

    @contextmanager
    def open(self, url: str) -> Iterator[IO[bytes]]:
        """A stream to read one of its files for as long as the block runs. Raises NotInStorage, StorageUnavailable."""
        path = local_path(url)
        with _told(self.url):
            stream = filesystem_of(url, self._options).open(url, "rb") if path is None else path.open("rb")
            with stream:
                yield stream

    def exists(self, *parts: str) -> bool:
        """Whether there is such a file."""
        with _told(self.url):
            if self._root is not None:
                return self._root.joinpath(*parts).exists()
            return bool(filesystem_of(self.url, self._options).exists(self.url_of(*parts)))

    @property
    def is_mounted(self) -> bool:
        """False where it is a folder that is not there, so that nothing can be said about its files."""
        return self._root is None or self._root.is_dir()

    def names(self, *parts: str) -> Sequence[str]:
        """Names of what lies directly in a folder; none where there is no such folder. Raises StorageUnavailable."""
        with _told(self.url), suppress(FileNotFoundError):
            if self._root is not None:
                return [each.name for each in self._root.joinpath(*parts).iterdir()]
            filesystem = filesystem_of(self.url, self._options)
            filesystem.invalidate_cache()
            found = filesystem.ls(self.url_of(*parts), detail=False)
            return [path.rstrip("/").rpartition("/")[2] for path in found]
        return ()

    def delete(self, *parts: str) -> None:
        """Delete a folder with all that is in it, if it is there."""
        with _told(self.url), suppress(FileNotFoundError):
            if self._root is not None:
                shutil.rmtree(self._root.joinpath(*parts))
            else:
                filesystem_of(self.url, self._options).rm(self.url_of(*parts), recursive=True)


def local_path(url: str) -> Path | None:
    """The path of a `file://` URL; None for any other."""
    scheme, _, rest = url.partition("://")
    return Path(unquote(rest)) if scheme == "file" else None


@contextmanager
def _told(url: str, *, writing: bool = False) -> Iterator[None]:
    try:
        with driver_errors():
            yield
    except PermissionError as error:
        raise StorageUnavailable(f"storage {url}: access is refused: {error.strerror or error}") from error
    except OSError as error:
        if isinstance(error, FileNotFoundError) and not writing:
            raise NotInStorage(f"storage: there is no {error.filename or error}") from error
        raise StorageUnavailable(f"storage {url}: {error.strerror or error}") from error


def _discard(stream: Any) -> None:
    """Give up what was written; of an object in parts, all parts."""
    with suppress(Exception):
        stream.discard()
    with suppress(AttributeError):
        stream.closed = True  # else it would be tried once more when it is collected


def _make_folder(folder: Path) -> None:
    """Create it and those that it lies in, so that a power failure leaves them where what is in them is promised."""
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
