"""A file on its way from an HTTP request into the storage, a part at a time: as a form, or as the body itself."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import IO, Any, NamedTuple, Self
from urllib.parse import unquote

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from predictq.storage import Storage
from predictq_producers.refusals import Fault, Refused

__all__ = ["Uploaded", "upload_body", "upload_form"]

FILE_FIELD = "file"
MAX_FIELDS = 64
MAX_FIELD_BYTES = 64 * 1024
MAX_NAME_CHARACTERS = 255


class Uploaded(NamedTuple):
    """A file that is in the storage, and the fields that came with it."""

    name: str
    size: int
    fields: dict[str, list[str]]


async def upload_form(
    chunks: AsyncIterator[bytes],
    content_type: str,
    storage: Storage,
    place: tuple[str, ...],
    *,
    max_bytes: int,
    hashing: Any = None,
) -> Uploaded:
    """Take the field `file` of a multipart form (RFC 7578); the other fields are texts. Raises Refused.

    `hashing`, of hashlib, is told the bytes of the file.
    """
    _, options = parse_options_header(content_type)
    boundary = options.get(b"boundary")
    if not boundary:
        raise Refused(400, "the form has no boundary in its content type")
    form = _Form(max_bytes)
    parser = MultipartParser(boundary, form.callbacks())
    with _Writing(storage, place, hashing) as writing:
        async for chunk in chunks:
            try:
                parser.write(chunk)
            except MultipartParseError as error:
                raise Refused(400, f"the form is broken: {error}") from error
            if form.data:
                await writing.write(b"".join(form.data))
                form.data.clear()
        if not form.ended:
            raise Refused(400, "the upload was cut off: its form has no end")
        if form.name is None:
            raise Refused(422, "the form has no file", [Fault("/file", 'is missing; curl -F "file=@rows.csv" does it')])
        await writing.finish()
    return Uploaded(form.name, form.size, form.fields)


async def upload_body(
    chunks: AsyncIterator[bytes],
    name: str,
    storage: Storage,
    place: tuple[str, ...],
    *,
    max_bytes: int,
    hashing: Any = None,
) -> Uploaded:
    """Take the whole body as the file. Raises Refused."""
    size = 0
    with _Writing(storage, place, hashing) as writing:
        async for chunk in chunks:
            size += len(chunk)
            _check_size(size, max_bytes)
            if chunk:
                await writing.write(chunk)
        await writing.finish()
    return Uploaded(name, size, {})


class _Writing:
    """A file of the storage, written by a thread of its own: it may be a disk that is slow, or another machine."""

    def __init__(self, storage: Storage, place: tuple[str, ...], hashing: Any) -> None:
        self._storage = storage
        self._place = place
        self._hashing = hashing
        self._thread = ThreadPoolExecutor(1, "upload")
        self._stack = ExitStack()
        self._stream: IO[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # Where it was not finished the storage takes back what was written.
        self._thread.submit(self._stack.__exit__, _GivenUp, _GivenUp(), None).result()
        self._thread.shutdown()

    async def write(self, data: bytes) -> None:
        await self._call(self._write, data)

    async def finish(self) -> None:
        """Return when the file is there as a whole, and durable."""
        await self._call(self._finish)

    async def _call(self, call: Any, *arguments: Any) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, call, *arguments)

    def _write(self, data: bytes) -> None:
        if self._stream is None:
            self._stream = self._stack.enter_context(self._storage.writing(*self._place))
        self._stream.write(data)
        if self._hashing is not None:
            self._hashing.update(data)

    def _finish(self) -> None:
        self._write(b"")
        self._stack.close()


class _GivenUp(Exception):
    """The upload did not come to its end."""


class _Form:
    """What the parser says, put together."""

    def __init__(self, max_bytes: int) -> None:
        self.data: list[bytes] = []
        self.name: str | None = None
        self.size = 0
        self.fields: dict[str, list[str]] = {}
        self.ended = False
        self._max_bytes = max_bytes
        self._header = b""
        self._value = b""
        self._disposition = b""
        self._field: str | None = None
        self._text = b""
        self._count = 0

    def callbacks(self) -> Any:
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._header_field,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers,
            "on_part_data": self._part_data,
            "on_part_end": self._part_end,
            "on_end": self._end,
        }

    def _begin(self) -> None:
        self._disposition = self._text = b""
        self._field = None
        self._count += 1
        if self._count > MAX_FIELDS:
            raise Refused(413, f"the form has more than {MAX_FIELDS} fields")

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = self._value
        self._header = self._value = b""

    def _headers(self) -> None:
        _, options = parse_options_header(self._disposition)
        field = options.get(b"name", b"").decode(errors="replace")
        if field == FILE_FIELD:
            if self.name is not None:
                raise Refused(422, "the form has two files; one a job would be right")
            self.name = clean_name(options.get(b"filename", b"").decode(errors="replace"))
        else:
            self._field = field

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        if self._field is None:
            self.size += end - start
            _check_size(self.size, self._max_bytes)
            self.data.append(data[start:end])
            return
        self._text += data[start:end]
        if len(self._text) > MAX_FIELD_BYTES:
            raise Refused(413, f"the field {self._field[:64]!r} has more than {MAX_FIELD_BYTES} bytes")

    def _part_end(self) -> None:
        if self._field is not None:
            self.fields.setdefault(self._field, []).append(self._text.decode(errors="replace"))

    def _end(self) -> None:
        self.ended = True


def clean_name(name: str) -> str:
    """The last part of what a file was called, bounded: a hint at its format, never a place to write to."""
    last = unquote(name).replace("\\", "/").rpartition("/")[2]
    return "".join(character for character in last if character.isprintable())[-MAX_NAME_CHARACTERS:]


def _check_size(size: int, max_bytes: int) -> None:
    if size > max_bytes:
        raise Refused(
            413,
            "the file is too large",
            [Fault("/file", f"at most {max_bytes} bytes (jobs.max_upload_bytes) would be right")],
        )
