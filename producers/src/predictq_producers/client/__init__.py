"""The client: submit, wait and read from Python. `Client` and `AsyncClient` need the extra `client`."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from predictq.errors import MissingExtra
from predictq_producers.client.errors import (
    BadAnswer,
    FellBehind,
    GatewayUnavailable,
    Interrupted,
    JobFailed,
    NotFinished,
    NotFound,
    Rejected,
)
from predictq_producers.client.request import AsyncRequest, Request
from predictq_producers.client.result import Result

if TYPE_CHECKING:
    from predictq_producers.client.async_client import AsyncClient
    from predictq_producers.client.async_job import AsyncJob
    from predictq_producers.client.listening import Listener
    from predictq_producers.client.streaming import AsyncResultStream, ResultStream
    from predictq_producers.client.sync_client import Client
    from predictq_producers.client.sync_job import Job

__all__ = [
    "AsyncClient",
    "AsyncJob",
    "AsyncRequest",
    "AsyncResultStream",
    "BadAnswer",
    "Client",
    "FellBehind",
    "GatewayUnavailable",
    "Interrupted",
    "Job",
    "JobFailed",
    "Listener",
    "NotFinished",
    "NotFound",
    "Rejected",
    "Request",
    "Result",
    "ResultStream",
]

_ON_HTTPX = {
    "AsyncClient": "async_client",
    "AsyncJob": "async_job",
    "AsyncResultStream": "streaming",
    "Client": "sync_client",
    "Job": "sync_job",
    "Listener": "listening",
    "ResultStream": "streaming",
}


def __getattr__(name: str) -> Any:
    """What stands on httpx, imported when it is used first. Raises MissingExtra."""
    if name not in _ON_HTTPX:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        module = import_module(f"{__name__}.{_ON_HTTPX[name]}")
    except ModuleNotFoundError as error:
        if error.name != "httpx":
            raise
        raise MissingExtra("the client", "client", of="predictq-producers") from error
    return getattr(module, name)
