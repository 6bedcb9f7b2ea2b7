"""Connections to receivers: to addresses that were checked, whatever their names resolve to next."""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence

from aiohttp import TCPConnector
from aiohttp.abc import AbstractResolver, ResolveResult

from predictq.push.targets import Targets

__all__ = ["AddressRefused", "Resolve", "connector", "resolve_name"]

KEEP_ALIVE_SECONDS = 4.0
"""Of an idle connection: shorter than most servers keep theirs."""

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""The addresses of a host, of which a connection to that port may use any."""


class AddressRefused(Exception):
    """A name leads to an address to which nothing may be pushed."""


async def resolve_name(host: str, port: int) -> Sequence[str]:
    """The addresses that the system's resolver gives. Raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def connector(targets: Targets, resolve: Resolve, context: ssl.SSLContext) -> TCPConnector:
    """Connects to addresses that passed the check, and to nothing else; TLS verifies the name all the same.

    To be made within the event loop. Hosts that are addresses themselves are for `Targets.check` to refuse.
    """
    return TCPConnector(
        resolver=_Checked(targets, resolve),
        use_dns_cache=False,
        ssl=context,
        limit=0,
        keepalive_timeout=KEEP_ALIVE_SECONDS,
    )


class _Checked(AbstractResolver):
    def __init__(self, targets: Targets, resolve: Resolve) -> None:
        self._targets = targets
        self._resolve = resolve

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_INET,  # noqa: ARG002 - aiohttp's signature; both kinds are given
    ) -> list[ResolveResult]:
        """All addresses of the name. Raises AddressRefused where one of them is none to push to."""
        found: list[ResolveResult] = []
        for address in await self._resolve(host, port):
            try:
                self._targets.check_address(address)
            except ValueError as error:
                raise AddressRefused(str(error)) from error
            version = ipaddress.ip_address(address.partition("%")[0]).version
            found.append(
                ResolveResult(
                    hostname=host,
                    host=address,
                    port=port,
                    family=socket.AF_INET if version == 4 else socket.AF_INET6,
                    proto=socket.IPPROTO_TCP,
                    flags=socket.AI_NUMERICHOST,
                )
            )
        if not found:
            raise OSError(None, "the name has no address")
        return found

    async def close(self) -> None:
        """Nothing is held."""
