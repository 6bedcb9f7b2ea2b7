"""Every error as `application/problem+json` (RFC 9457).

Members beside the standard ones: `errors`, a list of `{"pointer", "detail"}`, where the pointer (RFC 6901) leads to the
place in the request's body.
"""

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic_core import to_json
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from predictq.errors import MessageTooLarge, PredictqError, Unavailable
from predictq_producers.refusals import Fault, Refused, pointer

__all__ = ["PROBLEM_SCHEMA", "PROBLEM_TYPE", "install_problems", "problem"]

PROBLEM_TYPE = "application/problem+json"
RETRY_AFTER = {"retry-after": "1"}

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


def problem(
    status: int, detail: str, faults: Sequence[Fault] = (), headers: Mapping[str, str] | None = None
) -> Response:
    """The response that says what went wrong."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }
    if faults:
        body["errors"] = [fault._asdict() for fault in faults]
    return Response(to_json(body), status, headers, PROBLEM_TYPE)


def install_problems(app: FastAPI) -> None:
    """Answer every error of the app with a problem. What nobody foresaw is logged, and told without its inside."""
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(Unavailable, _unavailable)
    app.add_exception_handler(MessageTooLarge, _too_large)
    app.add_exception_handler(PredictqError, _misconfigured)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(ClientDisconnect, _gone)
    app.add_exception_handler(Exception, _unforeseen)


def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)  # noqa: S101
    return problem(error.status, error.detail, error.faults, RETRY_AFTER if error.status == 503 else None)


def _unavailable(request: Request, error: Exception) -> Response:
    log.warning("%s %s: %s", request.method, request.url.path, error)
    return problem(503, str(error), headers=RETRY_AFTER)


def _too_large(_: Request, error: Exception) -> Response:
    return problem(413, str(error))


def _misconfigured(request: Request, error: Exception) -> Response:
    log.error("%s %s: %s", request.method, request.url.path, error)
    return problem(503, "the service is not set up for this request; its log says why", headers=RETRY_AFTER)


def _http(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101
    return problem(error.status_code, str(error.detail), headers=error.headers)


def _invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101
    faults = [Fault(pointer(*found["loc"][1:]), str(found["msg"])) for found in error.errors()]
    return problem(422, "the request does not fit", faults)


def _gone(_: Request, __: Exception) -> Response:
    return problem(400, "the request ended before its body did")


def _unforeseen(_: Request, __: Exception) -> Response:
    # The server logs the exception itself, with its traceback, after this response is sent.
    return problem(500, "an error that nobody foresaw; it is in the service's log")
