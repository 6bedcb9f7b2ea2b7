"""Everything that puts prediction requests on a topic: submit routes, the intake, the client."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from predictq_producers.client import AsyncClient, Client

__all__ = ["AsyncClient", "Client"]


def __getattr__(name: str) -> Any:
    """The client, which needs the extra `client`, imported when it is used first. Raises MissingExtra."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from predictq_producers import client  # noqa: PLC0415 - see above

    return getattr(client, name)
