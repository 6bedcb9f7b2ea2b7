"""The write side of the HTTP API: `POST /v1/endpoints/{endpoint}/predictions`."""

import time
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute
from pydantic_core import to_json

from predictq_producers.accepting import Accepting
from predictq_producers.bodies import read_body
from predictq_producers.headers import Preferences, check_content_type, idempotency_key, preferences
from predictq_producers.openapi import SUBMIT_BODY, SUBMIT_PARAMETERS, SUBMIT_RESPONSES
from predictq_producers.requests import Prepared, RequestMaker, maker_of

__all__ = ["Expectation", "Results", "add_submit_route"]


class Expectation(Protocol):
    """The answer to one request, awaited."""

    async def finished(self, seconds: float, *, look_first: bool) -> Mapping[str, Any] | None:
        """The body of the finished request, or None when `seconds` have passed first.

        With `look_first` one that is finished already is found without any announcement.
        """


class Results(Protocol):
    """The read side, as far as a submit needs it; the gateway wires it in."""

    def expect(self, request_id: str) -> AbstractContextManager[Expectation]:
        """To be entered before the request is published, so that no announcement is missed."""


def add_submit_route(
    router: APIRouter,
    makers: Mapping[str, RequestMaker],
    accepting: Accepting,
    results: Results,
    *,
    max_body_bytes: int,
    max_wait_seconds: float,
) -> None:
    """Add the submit route of all endpoints.

    To the app's own router, and first: matching a nested router costs more than making a request.
    """

    async def submit(endpoint: str, request: Request) -> Response:
        """Accepted means that the broker holds the request durably; `GET` its `Location` for the result.

        With `Prefer: wait=N` (RFC 7240) the answer is the result itself, with status 200, where that comes within N
        seconds. With an `Idempotency-Key` the request may be sent again without being done again.
        """
        arrived = time.monotonic()
        headers = request.headers
        maker = maker_of(makers, endpoint)
        check_content_type(headers)
        key = idempotency_key(headers.get("idempotency-key"))
        prefer = preferences(headers.get("prefer"), max_wait_seconds=max_wait_seconds)
        raw = await read_body(request, max_body_bytes)
        now = time.time()
        prepared = accepting.prepare(maker, maker.read(raw, now), key, now)
        if prefer.wait_seconds is None:
            await accepting.accept(prepared, key)
            return _queued(prepared, endpoint, prefer)
        with results.expect(prepared.id) as expectation:
            new = await accepting.accept(prepared, key)
            left = prefer.wait_seconds - (time.monotonic() - arrived)
            body = await expectation.finished(left, look_first=not new)
        return _queued(prepared, endpoint, prefer) if body is None else _finished(prepared, body, prefer)

    router.add_api_route(
        "/v1/endpoints/{endpoint}/predictions",
        submit,
        methods=["POST"],
        tags=["predictions"],
        summary="Submit a request",
        operation_id="submit",
        status_code=202,
        response_class=Response,
        responses=SUBMIT_RESPONSES,
        openapi_extra={"requestBody": SUBMIT_BODY, "parameters": SUBMIT_PARAMETERS},
        route_class_override=_RawRoute,
    )


class _RawRoute(APIRoute):
    """Calls its function as it is: FastAPI's solving of parameters costs several times what a submit does."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        submit = self.endpoint

        async def handle(request: Request) -> Response:
            response: Response = await submit(request.path_params["endpoint"], request)
            return response

        return handle


def _queued(prepared: Prepared, endpoint: str, prefer: Preferences) -> Response:
    return Response(
        f'{{"id":"{prepared.id}","endpoint":"{endpoint}","status":"queued"}}',
        202,
        {"location": f"/v1/predictions/{prepared.id}", "retry-after": "1", **_applied(prefer)},
        "application/json",
    )


def _finished(prepared: Prepared, body: Mapping[str, Any], prefer: Preferences) -> Response:
    place = f"/v1/predictions/{prepared.id}"
    headers = {"location": place, "content-location": place, **_applied(prefer)}
    return Response(to_json(body), 200, headers, "application/json")


def _applied(prefer: Preferences) -> dict[str, str]:
    applied = ["respond-async"] if prefer.respond_async else []
    if prefer.wait_seconds is not None:
        applied.append(f"wait={prefer.wait_seconds:g}")
    return {"preference-applied": ", ".join(applied)} if applied else {}
