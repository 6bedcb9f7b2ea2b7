"""From an HTTP request to a job that is ready to be accepted: its file in the storage, its options checked."""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from fastapi import Request
from pydantic_core import to_json

from predictq.brokers.port import Message
from predictq.ids import new_id
from predictq.storage import Storage
from predictq_producers.bodies import read_body
from predictq_producers.jobs.submitting import JobMaker, columns_named
from predictq_producers.jobs.uploading import Uploaded, clean_name, upload_body, upload_form
from predictq_producers.parsing import parse_json
from predictq_producers.refusals import Fault, Refused

__all__ = ["FILES", "JobTaker", "Taken"]

MAX_JSON_BYTES = 64 * 1024
FILES: Mapping[str, str] = {
    "text/csv": "rows.csv",
    "text/tab-separated-values": "rows.tsv",
    "application/x-ndjson": "rows.jsonl",
    "application/jsonl": "rows.jsonl",
    "application/vnd.apache.parquet": "rows.parquet",
    "application/vnd.apache.arrow.file": "rows.arrow",
    "application/octet-stream": "",
    "application/gzip": "",
    "application/zstd": "",
}
"""Media types of a body that is the file itself, and what such a file is called where nobody says."""


class Taken(NamedTuple):
    """A job as it was asked for."""

    message: Message
    content_hash: str | None
    """Of the file, or of its URL, and of the options; of a job under a key alone."""
    folder: tuple[str, ...] | None
    """Where its file was put, if it was uploaded."""


class JobTaker:
    """Takes what a request holds. For one event loop."""

    def __init__(self, maker: JobMaker, storage: Storage, *, max_upload_bytes: int) -> None:
        self._maker = maker
        self._storage = storage
        self._max_upload_bytes = max_upload_bytes

    async def take(self, request: Request, endpoint: str, job_id: str, *, keyed: bool) -> Taken:
        """Write the file into the storage, or look at its URL. Raises Refused, StorageUnavailable."""
        kind = request.headers.get("content-type", "")
        media_type = kind.partition(";")[0].strip().lower()
        asked: dict[str, Any] = dict(request.query_params)
        if "keep" in asked:
            asked["keep"] = _kept(request.query_params.getlist("keep"))
        if media_type == "application/json":
            body = await _json(request)
            url = body.pop("source", None)
            options = {**asked, **body}
            content_hash = _hash_of(url, options) if keyed else None
            return Taken(self._maker.of_source(endpoint, job_id, url, options, content_hash), content_hash, None)
        # Apart from what came under the same key before, which may be read just now.
        folder = ("jobs", job_id, "uploads", new_id())
        place = (*folder, "rows")
        hashing = hashlib.sha256() if keyed else None
        uploaded = await self._upload(request, kind, media_type, asked, place, hashing)
        try:
            options = {**asked, **_options(uploaded)}
            content_hash = None if hashing is None else _hash_of(hashing.hexdigest(), options)
            url = self._storage.url_of(*place)
            message = self._maker.of_upload(endpoint, job_id, url, uploaded.name, options, content_hash)
        except Refused:
            await self.forget(folder)
            raise
        return Taken(message, content_hash, folder)

    async def forget(self, folder: tuple[str, ...] | None) -> None:
        """Delete a file that was uploaded, and that no job is made of. Raises StorageUnavailable."""
        if folder is not None:
            await asyncio.to_thread(self._storage.delete, *folder)

    async def _upload(
        self,
        request: Request,
        kind: str,
        media_type: str,
        asked: dict[str, Any],
        place: tuple[str, ...],
        hashing: Any,
    ) -> Uploaded:
        limit = self._max_upload_bytes
        announced = request.headers.get("content-length", "")
        if announced.isdigit() and int(announced[:20]) > limit + MAX_JSON_BYTES:
            right = f"at most {limit} bytes (jobs.max_upload_bytes) would be right"
            raise Refused(413, "the file is too large", [Fault("/file", right)])
        if media_type == "multipart/form-data":
            return await upload_form(request.stream(), kind, self._storage, place, max_bytes=limit, hashing=hashing)
        if media_type in FILES:
            name = clean_name(asked.pop("name", "")) or FILES[media_type]
            return await upload_body(request.stream(), name, self._storage, place, max_bytes=limit, hashing=hashing)
        raise Refused(415, f"content type {media_type[:80] or 'missing'!r}: multipart/form-data would be right")


def _hash_of(content: Any, options: Mapping[str, Any]) -> str:
    return hashlib.sha256(to_json([content, sorted(options.items())])).hexdigest()


def _options(uploaded: Uploaded) -> Mapping[str, Any]:
    options: dict[str, Any] = {}
    for name, values in uploaded.fields.items():
        if name == "keep":
            options[name] = _kept(values)
        elif name == "metadata":
            options[name] = parse_json(values[-1].encode()) if values[-1].startswith("{") else values[-1]
        else:
            options[name] = values[-1]
    return options


def _kept(values: Sequence[str]) -> list[Any]:
    return [column for text in values for column in columns_named(text)]


async def _json(request: Request) -> dict[str, Any]:
    body = parse_json(await read_body(request, MAX_JSON_BYTES))
    if not isinstance(body, dict):
        raise Refused(422, 'the body is no JSON object; {"source": "s3://…"} would be right')
    return body
