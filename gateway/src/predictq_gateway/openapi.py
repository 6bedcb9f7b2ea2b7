"""The OpenAPI document: what the routes say, with every error described as the problem that it is."""

from typing import Any

from fastapi import FastAPI

from predictq_gateway.problems import PROBLEM_SCHEMA, PROBLEM_TYPE

__all__ = ["describe_problems"]

_PROBLEM = {PROBLEM_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}


def describe_problems(app: FastAPI) -> None:
    """Make the app's document say that errors are problems, not FastAPI's own shape."""
    plain = app.openapi

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _with_problems(plain())
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign] # the way that FastAPI documents


def _with_problems(document: dict[str, Any]) -> dict[str, Any]:
    for operations in document["paths"].values():
        for operation in operations.values():
            responses: dict[str, Any] = operation["responses"]
            if "HTTPValidationError" in str(responses.get("422")):
                del responses["422"]
            for status, response in responses.items():
                if status[0] in "45":
                    response["content"] = _PROBLEM
            responses["default"] = {"description": "A problem.", "content": _PROBLEM}
    schemas = document["components"]["schemas"]
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas["Problem"] = PROBLEM_SCHEMA
    return document
