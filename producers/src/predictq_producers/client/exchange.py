"""What is asked of the gateway and what its answers mean, without any I/O: all that both clients share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, NoReturn, NotRequired, TypedDict
from urllib.parse import quote

from pydantic_core import PydanticSerializationError, from_json, to_json

from predictq.errors import UserMistake
from predictq.ids import new_id
from predictq_producers.client.errors import BadAnswer, NotFound, Rejected
from predictq_producers.parsing import check_values
from predictq_producers.refusals import Fault, Refused

__all__ = [
    "RETRIED",
    "Call",
    "CallbackOption",
    "JobOptions",
    "Reply",
    "SubmitOptions",
    "body_of",
    "cancel_call",
    "cancel_job_call",
    "detail_of",
    "errors_call",
    "form_fields",
    "given_options",
    "job_call",
    "jobs_call",
    "raise_problem",
    "result_call",
    "results_call",
    "source_call",
    "stream_call",
    "submit_body",
    "submit_call",
    "upload_call",
]

RETRIED = frozenset({429, 502, 503, 504})
"""Statuses that say: the same call, a moment later."""
JSON = "application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request to the gateway that may be sent again: it reads, or it carries an `Idempotency-Key`."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes = b""
    hold_seconds: float = 0.0
    """How long the gateway may keep its answer back."""


class Reply(NamedTuple):
    """An answer that was read to its end; the names of `headers` are in lower case."""

    status: int
    headers: Mapping[str, str]
    content: bytes


class CallbackOption(TypedDict):
    """Where the end of a request or a job is pushed to."""

    url: str
    events: NotRequired[Sequence[str]]
    """Such as `prediction.failed` or `job.progress`; where it is absent, every end."""


class SubmitOptions(TypedDict, total=False):
    """What may be said of a request beside its instances."""

    key: str | None
    """Requests of one key are predicted in their order."""
    deadline_seconds: float | None
    """From now; what is predicted no sooner has expired."""
    metadata: Mapping[str, str] | None
    callback: str | CallbackOption | None
    """Where its end is pushed to: a URL, or one with the events that are wanted."""


class JobOptions(TypedDict, total=False):
    """How the rows of a file are to be read; what is not said, or None, is left to the file."""

    keep: Sequence[str]
    """Columns for the result file alone; `*` for all that the endpoint's schema does not know."""
    id_column: str | None
    format: str | None
    header: bool | None
    delimiter: str | None
    encoding: str | None
    metadata: Mapping[str, str] | None
    callback: str | CallbackOption | None
    """Where its end is pushed to: a URL, or one with the events that are wanted."""


def given_options(options: JobOptions) -> dict[str, Any]:
    """Those that say something. Raises UserMistake for names of columns that are no list, TypeError else."""
    if unknown := sorted(set(options) - set(JobOptions.__annotations__)):
        raise TypeError(f"{unknown[0]!r} is no option of a job; {', '.join(JobOptions.__annotations__)} are")
    keep = options.get("keep", ())
    if isinstance(keep, str):
        raise UserMistake(f"keep={keep!r} is one text; a list of names would be right, [{keep!r}]")
    given = {**options, "keep": list(keep) or None}
    return {name: value for name, value in given.items() if value is not None}


def form_fields(options: JobOptions) -> list[tuple[str, str]]:
    """The same as the fields of a form."""
    return [
        (name, value if isinstance(value, str) else to_json(value).decode())
        for name, value in given_options(options).items()
    ]


def submit_body(instances: Any, options: SubmitOptions) -> bytes:
    """The body of a submit. Raises UserMistake or Rejected for what JSON has no word for, TypeError for an option."""
    if unknown := sorted(set(options) - set(SubmitOptions.__annotations__)):
        raise TypeError(f"{unknown[0]!r} is no option of a request; {', '.join(SubmitOptions.__annotations__)} are")
    body = {"instances": instances} | {name: value for name, value in options.items() if value is not None}
    if isinstance(callback := body.get("callback"), str):
        body["callback"] = {"url": callback}
    try:
        raw = to_json(body, inf_nan_mode="constants", fallback=_plain)
    except (PydanticSerializationError, UnicodeEncodeError) as error:
        raise UserMistake(f"the instances cannot be written as JSON: {error}") from error
    # What is not finite stands there as a bare word; a walk finds its place, or that it is part of a text.
    if b"NaN" in raw or b"Infinity" in raw:
        try:
            check_values(from_json(raw)["instances"], "instances")
        except Refused as refused:
            raise Rejected(refused.status, refused.detail, refused.faults) from refused
    return raw


def submit_call(endpoint: str, body: bytes, *, idempotency_key: str | None = None, hold_seconds: float = 0.0) -> Call:
    """Submit a request; the answer is held until it is finished, for at most so many seconds, rounded down."""
    headers = {"content-type": JSON, "idempotency-key": _key(idempotency_key)}
    if hold_seconds >= 1:
        headers["prefer"] = f"wait={int(hold_seconds)}"
    path = _endpoint(endpoint, "predictions")
    return Call(method="POST", path=path, headers=headers, content=body, hold_seconds=hold_seconds)


def result_call(request_id: str, *, hold_seconds: float = 0.0) -> Call:
    """Read a request; it is held until it is finished, for at most so many seconds."""
    query = {"wait": f"{hold_seconds:.3f}"} if hold_seconds > 0 else {}
    path = f"/v1/predictions/{quote(request_id, safe='')}"
    return Call(method="GET", path=path, query=query, hold_seconds=hold_seconds)


def stream_call(endpoint: str, cursor: str | None) -> Call:
    """Follow an endpoint, from a place in its stream or from now on."""
    headers = {"accept": "text/event-stream"} | ({} if cursor is None else {"last-event-id": cursor})
    return Call(method="GET", path=f"/v1/endpoints/{quote(endpoint, safe='')}/events", headers=headers)


def cancel_call(request_id: str) -> Call:
    """Cancel a request."""
    return Call(method="POST", path=f"/v1/predictions/{quote(request_id, safe='')}/cancel")


def upload_call(endpoint: str, content_type: str, *, idempotency_key: str | None = None) -> Call:
    """Submit a job whose file comes as the body."""
    headers = {"content-type": content_type, "idempotency-key": _key(idempotency_key)}
    return Call(method="POST", path=_endpoint(endpoint, "jobs"), headers=headers)


def source_call(endpoint: str, url: str, options: JobOptions, *, idempotency_key: str | None = None) -> Call:
    """Submit a job whose file lies elsewhere."""
    headers = {"content-type": JSON, "idempotency-key": _key(idempotency_key)}
    content = to_json({"source": url, **given_options(options)})
    return Call(method="POST", path=_endpoint(endpoint, "jobs"), headers=headers, content=content)


def job_call(job_id: str) -> Call:
    """Read how far a job is."""
    return Call(method="GET", path=_job(job_id))


def jobs_call(*, endpoint: str | None = None, status: str | None = None, cursor: str | None = None) -> Call:
    """Read a page of jobs."""
    given = {"endpoint": endpoint, "status": status, "cursor": cursor}
    return Call(method="GET", path="/v1/jobs", query={name: each for name, each in given.items() if each is not None})


def cancel_job_call(job_id: str) -> Call:
    """Cancel a job."""
    return Call(method="POST", path=f"{_job(job_id)}/cancel")


def results_call(job_id: str, form: str) -> Call:
    """Read the results of a job as a file."""
    return Call(method="GET", path=f"{_job(job_id)}/results", query={"format": form})


def errors_call(job_id: str) -> Call:
    """Read which rows of a job failed, as JSON Lines."""
    return Call(method="GET", path=f"{_job(job_id)}/errors")


def body_of(reply: Reply) -> dict[str, Any]:
    """What a good answer says. Raises Rejected, NotFound, BadAnswer."""
    if not 200 <= reply.status < 300:
        raise_problem(reply)
    body = _json(reply.content)
    if body is None:
        raise BadAnswer(f"the answer {reply.status} is no JSON object; is this a gateway of predictq?")
    return body


def detail_of(reply: Reply) -> str:
    """What an answer says of what went wrong."""
    problem = _json(reply.content) or {}
    return str(problem.get("detail") or problem.get("title") or f"the gateway answered {reply.status}")


def raise_problem(reply: Reply) -> NoReturn:
    """Raise what an answer of status 300 and above means. One that is no problem of ours may come from a proxy."""
    problem = _json(reply.content) or {}
    found = problem.get("errors")
    faults = [
        Fault(str(each.get("pointer", "")), str(each.get("detail", "")))
        for each in (found if isinstance(found, list) else ())
        if isinstance(each, dict)
    ]
    detail = detail_of(reply)
    if reply.status == 404 and problem:
        raise NotFound(404, detail, faults)
    if 400 <= reply.status < 500 and problem:
        raise Rejected(reply.status, detail, faults)
    raise BadAnswer(f"{detail} (status {reply.status}); is this a gateway of predictq?")


def _json(content: bytes) -> dict[str, Any] | None:
    try:
        body = from_json(content)
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def _endpoint(endpoint: str, what: str) -> str:
    return f"/v1/endpoints/{quote(endpoint, safe='')}/{what}"


def _job(job_id: str) -> str:
    return f"/v1/jobs/{quote(job_id, safe='')}"


def _key(idempotency_key: str | None) -> str:
    """The caller's, as a quoted string, else a new one: so a call that was lost on its way can be sent again."""
    key = new_id() if idempotency_key is None else idempotency_key
    if not (1 <= len(key) <= 255 and key.isascii() and key.isprintable()):
        raise UserMistake(f"idempotency_key {key[:64]!r}: 1 to 255 printable ASCII characters would be right")
    return f'"{key}"'


def _plain(value: Any) -> Any:
    """Arrays and numbers of numpy, as Python has them."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is no JSON value")
