"""Every error as `application/problem+json` (RFC 9457).

Members beside the standard ones: `errors`, a list of `{"pointer", "detail"}`, where the pointer (RFC 6901) leads to the
place in the request's body.
"""

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, NamedTuple

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic_core import to_json
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import BaseRoute, Match

from predictq.errors import (
    BrokerUnavailable,
    DatabaseUnavailable,
    MessageTooLarge,
    PredictqError,
    PublishError,
    StorageUnavailable,
    Unavailable,
)
from predictq_producers.publishing import Busy, Stopping
from predictq_producers.refusals import Fault, Refused, pointer
from predictq_sync.jobs.finding import NoSuchJob
from predictq_sync.lookup import NotInLedger
from predictq_sync.streams.room import TooManyStreams
from predictq_sync.webhooks.keeping import CannotChange

__all__ = ["PROBLEM_SCHEMA", "PROBLEM_TYPE", "Problem", "install_problems", "problem_of"]

PROBLEM_TYPE = "application/problem+json"
RETRY_AFTER = {"retry-after": "1"}

# An error's own words name files, hosts and users: they are for the log. The narrower class stands first.
UNAVAILABLE: dict[type[Unavailable], str] = {
    Busy: "too many requests wait for the broker; send it again in a moment",
    Stopping: "the gateway is stopping; send it again",
    NotInLedger: "the request is not in the ledger yet; cancel it again in a moment",
    TooManyStreams: "too many clients follow events already; try again in a moment, or ask with ?wait=N",
    PublishError: "the broker is not known to hold the request; send it again",
    BrokerUnavailable: "the broker is away; try again in a moment",
    DatabaseUnavailable: "the database is away; try again in a moment",
    StorageUnavailable: "the storage is away or full; try again in a moment",
    Unavailable: "something that the service needs is away; try again in a moment",
}

PROBLEM_SCHEMA: dict[str, Any] = {
    "title": "Problem",
    "description": "What went wrong (RFC 9457).",
    "type": "object",
    "required": ["type", "title", "status"],
    "properties": {
        "type": {"type": "string", "const": "about:blank"},
        "title": {"type": "string", "description": "The status in words."},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What was wrong, and what would be right."},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "detail"],
                "properties": {
                    "pointer": {"type": "string", "description": "JSON pointer into the body (RFC 6901)."},
                    "detail": {"type": "string"},
                },
            },
        },
    },
    "examples": [
        {
            "type": "about:blank",
            "title": "Unprocessable Entity",
            "status": 422,
            "detail": "the instances do not fit endpoint 'tumours'",
            "errors": [
                {"pointer": "/instances/3/mean radius", "detail": "is missing; a value of type 'number' would be right"}
            ],
        }
    ],
}

log = logging.getLogger(__name__)


class Problem(NamedTuple):
    """What went wrong, and what would be right."""

    status: int
    detail: str
    faults: Sequence[Fault] = ()
    headers: Mapping[str, str] | None = None

    @property
    def body(self) -> dict[str, Any]:
        """As RFC 9457 has it."""
        body: dict[str, Any] = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
        }
        if self.faults:
            body["errors"] = [fault._asdict() for fault in self.faults]
        return body

    @property
    def response(self) -> Response:
        """The response that says it."""
        return Response(to_json(self.body), self.status, self.headers, PROBLEM_TYPE)


def install_problems(app: FastAPI) -> None:
    """Answer every error of the app with a problem. What is inside goes to the log and is never told."""

    def answer(request: Request, error: Exception) -> Response:
        problem = problem_of(error, f"{request.method} {request.url.path}")
        if problem.status == 405:
            problem = problem._replace(headers={"allow": ", ".join(_methods(request))})
        return problem.response

    for kind in (PredictqError, HTTPException, RequestValidationError, ClientDisconnect, Exception):
        app.add_exception_handler(kind, answer)


def problem_of(error: Exception, asked: str) -> Problem:
    """What a client is told of an error; `asked` stands before it in the log."""
    match error:
        case PredictqError():
            return _of_ours(error, asked)
        case HTTPException():
            return Problem(error.status_code, str(error.detail), headers=error.headers)
        case RequestValidationError():
            faults = [Fault(pointer(*found["loc"][1:]), str(found["msg"])) for found in error.errors()]
            return Problem(422, "the request does not fit", faults)
        case ClientDisconnect():
            return Problem(400, "the request ended before its body did")
    # The server logs the exception itself, with its traceback, after this response is sent.
    return Problem(500, "an error that nobody foresaw; it is in the service's log")


def _methods(request: Request) -> Sequence[str]:
    """Those of all routes of the path: the framework tells those of the first one alone (RFC 9110, section 10.2.1)."""
    routes: Sequence[BaseRoute] = request.app.routes
    found = [route for route in routes if route.matches(request.scope)[0] is not Match.NONE]
    return sorted({method for route in found for method in getattr(route, "methods", None) or ()})


def _of_ours(error: PredictqError, asked: str) -> Problem:
    match error:
        case Refused():
            return Problem(error.status, error.detail, error.faults, RETRY_AFTER if error.status == 503 else None)
        case NoSuchJob():
            return Problem(404, str(error))
        case CannotChange():
            return Problem(409, str(error))
        case MessageTooLarge():
            return Problem(413, str(error))
        case Unavailable():
            log.warning("%s: %s", asked, error)
            return Problem(503, _sentence(error), headers=RETRY_AFTER)
    log.error("%s: %s", asked, error)
    return Problem(503, "the service is not set up for this request; its log says why", headers=RETRY_AFTER)


def _sentence(error: Unavailable) -> str:
    return next(sentence for kind, sentence in UNAVAILABLE.items() if isinstance(error, kind))
