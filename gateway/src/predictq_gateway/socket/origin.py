"""Which pages of a browser may open a socket.

A browser lets any page open a WebSocket to any host, with the user's own reach into the network (RFC 6455, section
10.2). It says whose page it is in `Origin`; a program that is no browser sends none.
"""

from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers

__all__ = ["ANY", "is_allowed"]

ANY = "*"
_PORTS = {"http": ":80", "https": ":443"}


def is_allowed(headers: Headers, allowed: Collection[str]) -> bool:
    """Whether the request comes from no browser, from a page of this very host, or from an origin of `allowed`."""
    origins = headers.getlist("origin")
    if not origins or ANY in allowed:
        return True
    if len(origins) > 1:
        return False
    origin = origins[0].lower()
    if origin in {each.lower().rstrip("/") for each in allowed}:
        return True
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    if parts.scheme not in _PORTS or not parts.netloc:
        return False
    port = _PORTS[parts.scheme]
    return headers.getlist("host") != [] and parts.netloc.removesuffix(port) == headers["host"].lower().removesuffix(
        port
    )
