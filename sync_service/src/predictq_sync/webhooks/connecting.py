"""Connections to receivers: to addresses that were checked, whatever their names resolve to next."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence

import httpcore

from predictq.push.targets import Targets

__all__ = ["AddressRefused", "CheckedNetwork", "Resolve", "resolve_name"]

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""The addresses of a host, of which a connection to that port may use any."""


class AddressRefused(Exception):
    """A name leads to an address to which nothing may be pushed."""


async def resolve_name(host: str, port: int) -> Sequence[str]:
    """The addresses that the system's resolver gives. Raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class CheckedNetwork(httpcore.AsyncNetworkBackend):
    """Resolves once, checks every address, and connects to one of those; TLS still verifies the name."""

    def __init__(self, targets: Targets, resolve: Resolve, *, timeout_seconds: float) -> None:
        self._targets = targets
        self._resolve = resolve
        self._timeout_seconds = timeout_seconds
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002 - httpcore's signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """The connection. Raises AddressRefused where one of the addresses is none to push to."""
        try:
            async with asyncio.timeout(self._timeout_seconds):
                return await self._connect(host, port, local_address, socket_options)
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(f"no connection within {self._timeout_seconds:g} s") from error

    async def _connect(
        self,
        host: str,
        port: int,
        local_address: str | None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            addresses = await self._resolve(host, port)
        except OSError as error:
            raise httpcore.ConnectError(f"the name cannot be resolved: {error.strerror}") from error
        for address in addresses:
            try:
                self._targets.check_address(address)
            except ValueError as error:
                raise AddressRefused(str(error)) from error
        failure = httpcore.ConnectError("the name has no address")
        for address in addresses:
            try:
                return await self._network.connect_tcp(
                    address, port, local_address=local_address, socket_options=socket_options
                )
            except httpcore.ConnectError as error:
                failure = error
        raise failure
