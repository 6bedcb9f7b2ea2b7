"""The bytes of a job's file: opened once, unpacked on the way, bounded, and known to have stayed the same."""

import errno
import io
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any, cast

import pyarrow as pa

from predictq.errors import StorageUnavailable
from predictq.filesystems import Changed, NoBucket, driver_errors, filesystem_of
from predictq.messages import FileFormat, JobSource
from predictq.storage import local_path
from predictq_producers.jobs.faults import BadFile
from predictq_producers.jobs.recognising import HEAD_BYTES, Kind, compression_of, format_of

__all__ = ["OpenFile", "opened"]


CHANGED = "the file changed while it was read; write it elsewhere and move it here when it is whole"
OVERWRITTEN = "the object was overwritten before it was read; what tells of its new content starts a job of its own"
_LASTING = {None, errno.EINVAL, errno.EPERM}
"""Numbers of errors that trying again does not mend; what unpacking says has none."""


class OpenFile:
    """A file whose kind is known. `plain` reads it unpacked from the beginning, once; `raw` is the file itself."""

    def __init__(self, raw: IO[bytes], kind: Kind, *, max_bytes: int) -> None:
        self.raw = raw
        self.kind = kind
        self._max_bytes = max_bytes

    def plain(self) -> "Bounded":
        """A stream of the unpacked bytes. What it raises, `told` makes a BadFile of."""
        self.raw.seek(0)
        return Bounded(_unpacked(self.raw, self.kind.compression), self._max_bytes)


class Bounded(io.RawIOBase):
    """A stream that is given up above so many bytes, whatever a small file unpacks to."""

    def __init__(self, stream: Any, max_bytes: int) -> None:
        self._stream = stream
        self._left = max_bytes
        self._max_bytes = max_bytes

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        data: bytes = self._stream.read(size if size >= 0 else self._left + 1)
        self._left -= len(data)
        if self._left < 0:
            raise BadFile(
                f"the file has more than {self._max_bytes} bytes unpacked; jobs.max_file_bytes allows no more"
            )
        return data

    def readinto(self, buffer: Any) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


class _Lent(io.RawIOBase):
    """A stream that stays open when whoever read it is done with it."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        return self._stream.read(size)


@contextmanager
def opened(source: JobSource, options: Mapping[str, Any], *, max_bytes: int) -> Iterator[OpenFile]:
    """The file for as long as the block runs. Raises BadFile where it is not as it should be, or changes meanwhile."""
    path = local_path(source["url"])
    with told():
        before = _state(source["url"], options)
        if path is None and before[1] is not None and source.get("etag", before[1]) != before[1]:
            raise BadFile(OVERWRITTEN)
        if path is not None:
            _check_regular(source)
            raw: IO[bytes] = path.open("rb")
        else:
            raw = _remote(source["url"], options)
    with raw:
        with told():
            head = raw.read(HEAD_BYTES)
            compression = compression_of(head)
            if compression is not None:
                raw.seek(0)
                # Some bytes of a packed file are always there; a broken one is told of when its end is met.
                head = _some(_unpacked(raw, compression))
            given: FileFormat | None = source.get("format")
            kind = Kind(given or format_of(head, source["name"]), compression)
        yield OpenFile(raw, kind, max_bytes=max_bytes)
    with told():
        if _state(source["url"], options) != before:
            raise BadFile(CHANGED)


@contextmanager
def told() -> Iterator[None]:
    """The errors of reading: the file's own are a BadFile, a storage that is away is StorageUnavailable."""
    try:
        with driver_errors():
            yield
    except FileNotFoundError as error:
        raise BadFile("the file is not there; it was deleted or never written") from error
    except NoBucket as error:
        raise BadFile("the file is not there; nor is its bucket") from error
    except Changed as error:
        raise BadFile(CHANGED) from error
    except PermissionError as error:
        raise BadFile(f"the file may not be read by this process: {error.strerror or error}") from error
    except IsADirectoryError as error:
        raise BadFile("the source is a folder; a file would be right") from error
    except (pa.ArrowException, EOFError, UnicodeError) as error:
        raise BadFile(_said(error)) from error
    except OSError as error:
        if error.errno in _LASTING:
            raise BadFile(_said(error)) from error
        raise StorageUnavailable(f"storage: {error.strerror or error}") from error


def _said(error: Exception) -> str:
    text = " ".join(str(error).split())[:300]
    return f"the file cannot be read on: {text}"


def _remote(url: str, options: Mapping[str, Any]) -> IO[bytes]:
    return cast("IO[bytes]", filesystem_of(url, options, key="jobs.sources").open(url, "rb"))


def _some(stream: Any) -> bytes:
    data = b""
    while len(data) < HEAD_BYTES and (more := stream.read(HEAD_BYTES - len(data))):
        data += more
    return data


def _unpacked(raw: IO[bytes], compression: str | None) -> Any:
    return raw if compression is None else pa.CompressedInputStream(pa.PythonFile(_Lent(raw), mode="r"), compression)


def _check_regular(source: JobSource) -> None:
    path = local_path(source["url"])
    if path is not None and path.exists() and not path.is_file():
        raise BadFile("the source is no regular file")


def _state(url: str, options: Mapping[str, Any]) -> tuple[Any, ...]:
    """What changes with the content; of an object its ETag stands second, or None."""
    path = local_path(url)
    if path is not None:
        stat = os.stat(path)  # noqa: PTH116 - of the file itself
        return stat.st_size, stat.st_mtime_ns, stat.st_ino
    info = filesystem_of(url, options, key="jobs.sources").info(url)
    if info.get("type") == "directory":
        raise IsADirectoryError(errno.EISDIR, "is a folder")
    etag = str(info["ETag"]).strip('"') if info.get("ETag") else None
    return info.get("size"), etag, str(info.get("mtime") or info.get("LastModified"))
