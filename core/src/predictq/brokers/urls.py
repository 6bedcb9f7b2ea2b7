"""URLs that name several hosts, which the standard library refuses where one of them is an IPv6 address."""

from typing import NamedTuple

__all__ = ["UrlParts", "split_url"]


class UrlParts(NamedTuple):
    """A URL taken apart; nothing is percent-decoded yet."""

    scheme: str
    netloc: str
    """User, password, hosts and ports."""
    path: str
    """With its leading slash; empty where there is none."""
    query: str


def split_url(url: str) -> UrlParts:
    """`scheme://netloc/path?query`. A fragment is not known to brokers and stays part of the query."""
    scheme, _, rest = url.partition("://")
    before, _, query = rest.partition("?")
    netloc, slash, path = before.partition("/")
    return UrlParts(scheme.lower(), netloc, slash + path, query)
