"""From what a caller asks for to an accepted job."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast
from urllib.parse import unquote, urlsplit

from pydantic_core import from_json

from predictq.brokers.port import Message
from predictq.messages import Callback, FileFormat, JobData, JobResult, JobSource
from predictq.names import Names
from predictq.push.callbacks import CallbackCheck, WrongCallback
from predictq.push.events import JOB_EVENTS
from predictq.settings import JobSettings
from predictq_producers.jobs.events import job_message
from predictq_producers.refusals import Fault, Refused, pointer
from predictq_producers.requests import RequestMaker

__all__ = ["OPTIONS", "JobMaker", "columns_named"]

FORMATS: tuple[FileFormat, ...] = ("csv", "jsonl", "json", "parquet", "arrow")
OPTIONS = (
    "format",
    "header",
    "delimiter",
    "encoding",
    "keep",
    "id_column",
    "arrays",
    "metadata",
    "result",
    "result_format",
    "callback",
)
"""In the order in which they are told."""
RESULT_FORMATS = ("csv", "jsonl", "parquet")
MAX_COLUMNS = 1000
MAX_TEXT = 1024
NAMES = 'names of columns would be right: a,b or, where they have commas in them, ["a, b"]'


class JobMaker:
    """Makes accepted jobs of all endpoints."""

    def __init__(
        self,
        names: Names,
        makers: Mapping[str, RequestMaker],
        settings: JobSettings,
        *,
        trusted: bool = False,
        callbacks: CallbackCheck | None = None,
    ) -> None:
        """`trusted`: who asks is the operator of this installation, who may name any source and any result.

        Without `callbacks` none is taken: who asks has webhooks in the settings.
        """
        self._names = names
        self._makers = makers
        self._settings = settings
        self._trusted = trusted
        self._callbacks = callbacks
        self._options = OPTIONS if callbacks is not None else tuple(name for name in OPTIONS if name != "callback")

    def check(self, endpoint: str) -> None:
        """Raises Refused: there is no such endpoint, or nobody serves it."""
        maker = self._makers.get(endpoint)
        if maker is None:
            known = ", ".join(sorted(self._makers)) or "none is configured"
            raise Refused(404, f"there is no endpoint {endpoint[:64]!r}; known: {known}")
        if not maker.is_served:
            raise Refused(503, f"endpoint {endpoint!r} has no deployment yet, so no one would answer")

    def of_upload(
        self,
        endpoint: str,
        job_id: str,
        url: str,
        name: str,
        options: Mapping[str, Any],
        content_hash: str | None = None,
    ) -> Message:
        """A job on a file that is in the storage."""
        source: JobSource = {"url": url, "name": name, "owned": True}
        return self._message(endpoint, job_id, source, options, content_hash=content_hash)

    def of_source(
        self, endpoint: str, job_id: str, url: Any, options: Mapping[str, Any], content_hash: str | None = None
    ) -> Message:
        """A job on a file that lies elsewhere. Raises Refused where it is not allowed to."""
        self.check_source(url)
        name = unquote(urlsplit(url).path).rpartition("/")[2]
        return self._message(endpoint, job_id, {"url": url, "name": name}, options, content_hash=content_hash)

    def of_rule(
        self, endpoint: str, job_id: str, source: JobSource, options: Mapping[str, Any], result: JobResult | None
    ) -> Message:
        """A job that a rule of the settings asks for: whoever wrote the rule allows its source and its result."""
        return self._message(endpoint, job_id, source, options, result)

    def check_source(self, url: Any) -> None:
        """Raises Refused (422, 403) unless the URL begins like one that the settings allow."""
        if not _is_url(url):
            raise Refused(422, "the source is no URL", [Fault("/source", "s3://bucket/rows.parquet would be right")])
        if not self._trusted and not _is_below(url, self._settings.sources):
            right = "a URL below one of jobs.sources of the settings would be right; or upload the file"
            raise Refused(403, "the source is not allowed", [Fault("/source", right)])

    def _result(self, url: Any, form: Any) -> JobResult:
        if not _is_url(url) or url.endswith("/"):
            right = "s3://bucket/results.parquet would be right"
            raise Refused(422, "the result is no URL of a file", [Fault("/result", right)])
        if not self._trusted and not _is_below(url, self._settings.results):
            right = "a URL below one of jobs.results of the settings would be right; or read the results by HTTP"
            raise Refused(403, "the result may not be written there", [Fault("/result", right)])
        if form is None:
            ending = url.rpartition(".")[2].lower()
            form = ending if ending in RESULT_FORMATS else "csv"
        if form not in RESULT_FORMATS:
            raise _wrong("result_format", f"one of {', '.join(RESULT_FORMATS)} would be right")
        return {"url": url, "format": form}

    def _check_known(self, options: Mapping[str, Any]) -> None:
        unknown = [name for name in options if name not in self._options]
        if unknown:
            raise Refused(
                422,
                "the job asks for what is unknown",
                [
                    Fault(pointer(name), f"is unknown here; known are {', '.join(self._options)}")
                    for name in unknown[:20]
                ],
            )

    def _message(
        self,
        endpoint: str,
        job_id: str,
        source: JobSource,
        options: Mapping[str, Any],
        result: JobResult | None = None,
        *,
        content_hash: str | None = None,
    ) -> Message:
        self._check_known(options)
        data: JobData = {"job_id": job_id, "endpoint": endpoint, "state": "accepted", "source": source}
        for name, value in options.items():
            if value is None:
                continue
            if name in _OF_SOURCE:
                source[name] = _OF_SOURCE[name](name, value)  # type: ignore[literal-required] # names of its fields
            elif name in _OF_JOB:
                data[name] = _OF_JOB[name](name, value)  # type: ignore[literal-required] # names of its fields
        url, form = options.get("result"), options.get("result_format")
        if url is not None:
            result = self._result(url, form)
        elif form is not None:
            raise _wrong("result_format", "goes with a result, the URL of the file")
        if result is not None:
            data["result"] = result
        if content_hash is not None:
            data["content_hash"] = content_hash
        if self._callbacks is not None and options.get("callback") is not None:
            data["callback"] = _callback(options["callback"], self._callbacks)
        return job_message(self._names, data)


def columns_named(text: str) -> list[Any]:
    """The names in a text: between commas, or of a JSON array, where they may have commas in them. Raises Refused."""
    if not text.startswith('["'):
        return [part.strip() for part in text.split(",")]
    try:
        return list(from_json(text))
    except ValueError as error:
        raise _wrong("keep", NAMES) from error


def _is_url(url: Any) -> bool:
    return isinstance(url, str) and 0 < len(url) <= 4096 and "://" in url


def _is_below(url: str, prefixes: Sequence[str]) -> bool:
    """Whether it begins like one of them, and leads nowhere else."""
    if ".." in unquote(url).replace("\\", "/").split("/") or re.search(r"[*?\[\]{}]|::", url):
        return False
    return any(url.startswith(prefix if prefix.endswith("/") else f"{prefix}/") for prefix in prefixes)


def _format(name: str, value: Any) -> FileFormat:
    if value not in FORMATS:
        raise _wrong(name, f"one of {', '.join(FORMATS)} would be right")
    return cast("FileFormat", value)


def _column(name: str, value: Any) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= MAX_TEXT:
        raise _wrong(name, "the name of a column would be right")
    return value


def _columns(name: str, value: Any) -> list[str]:
    names = columns_named(value) if isinstance(value, str) else value
    good = isinstance(names, list | tuple) and 0 < len(names) <= MAX_COLUMNS
    if not good or not all(isinstance(each, str) and 0 < len(each) <= MAX_TEXT for each in names):
        raise _wrong(name, NAMES)
    return list(dict.fromkeys(names))


def _yes_or_no(name: str, value: Any) -> bool:
    known = {True: True, False: False, "true": True, "false": False}
    if isinstance(value, bool | str) and value in known:
        return known[value]
    raise _wrong(name, "true or false would be right")


def _delimiter(name: str, value: Any) -> str:
    text = {"tab": "\t", "\\t": "\t"}.get(value, value) if isinstance(value, str) else ""
    if len(text) == 1 and text.isascii() and text not in '"\r\n\0':
        return text
    raise _wrong(name, "one ASCII character would be right, such as ;")


def _encoding(name: str, value: Any) -> str:
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9_.:-]{1,40}", value):
        try:
            "".encode(value)
        except (LookupError, UnicodeError):
            pass
        else:
            return value
    raise _wrong(name, "utf-8, latin-1 or cp1252 would be right")


def _callback(value: Any, check: CallbackCheck) -> Callback:
    """A URL alone, or an object with its `url`; of a form or a query, the object as JSON."""
    if isinstance(value, str):
        try:
            value = from_json(value) if value.startswith("{") else {"url": value}
        except ValueError:
            raise _wrong("callback", 'a URL or {"url": "https://example.org/hook"} would be right') from None
    try:
        return check(value, JOB_EVENTS)
    except WrongCallback as error:
        place = ("callback", error.place) if error.place else ("callback",)
        raise Refused(422, "the callback of the job cannot be used", [Fault(pointer(*place), str(error))]) from None


def _metadata(name: str, value: Any) -> dict[str, str]:
    if (
        isinstance(value, dict)
        and len(value) <= 32
        and all(len(key) <= 128 and isinstance(text, str) and len(text) <= MAX_TEXT for key, text in value.items())
    ):
        return dict(value)
    raise _wrong(name, 'an object of at most 32 texts would be right, such as {"order": "1234"}')


def _wrong(name: str, right: str) -> Refused:
    return Refused(422, "the job cannot be read as it is described", [Fault(f"/{name}", right)])


_OF_SOURCE: Mapping[str, Callable[[str, Any], Any]] = {
    "format": _format,
    "header": _yes_or_no,
    "delimiter": _delimiter,
    "encoding": _encoding,
}
_OF_JOB: Mapping[str, Callable[[str, Any], Any]] = {
    "keep": _columns,
    "id_column": _column,
    "arrays": _yes_or_no,
    "metadata": _metadata,
}
