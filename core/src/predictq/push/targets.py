"""Where pushes may go: refused by the look of a URL at once, and by its addresses whenever one connects."""

import ipaddress
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import urlsplit

__all__ = ["MAX_URL", "Targets", "is_public", "place_of"]

MAX_URL = 2048
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_PORTS = {"http": 80, "https": 443}

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """The rules for targets."""

    allow_http: bool = False
    allow_private_addresses: bool = False
    hosts: Collection[str] = ()
    """Those alone, and with a leading dot all below; any where there are none."""
    ports: Collection[int] = ()
    """Those alone; any where there are none."""

    def check(self, url: str) -> str:
        """The URL itself. Raises ValueError, which says what is wrong with it; resolves no name."""
        if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
            raise ValueError("holds characters that no URL has; percent-encoded ones would be right")
        if len(url) > MAX_URL:
            raise ValueError(f"has {len(url)} characters; at most {MAX_URL} would be right")
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError as error:
            raise ValueError(f"is no URL: {error}") from None
        schemes = ("https", "http") if self.allow_http else ("https",)
        if parts.scheme not in schemes or not host:
            more = "" if self.allow_http else " (push.allow_http would let http:// pass)"
            raise ValueError(f"is no URL of {' or '.join(schemes)}; https://example.org/hook would be right{more}")
        if parts.username is not None or parts.password is not None:
            raise ValueError("holds a user name or password; put what tells callers apart into its path or query")
        if parts.fragment:
            raise ValueError("has a fragment, which no server is ever sent")
        self._check_place(host, port or _PORTS[parts.scheme])
        return url

    def check_address(self, address: str) -> None:
        """Raise ValueError unless a push may connect to this address, of whatever name it is."""
        if not self.allow_private_addresses and not is_public(ipaddress.ip_address(address.partition("%")[0])):
            raise ValueError(f"{address} is no public address; push.allow_private_addresses would let it pass")

    def _check_place(self, host: str, port: int) -> None:
        if self.ports and port not in self.ports:
            raise ValueError(f"has port {port}, which is not among push.ports: {', '.join(map(str, self.ports))}")
        if self.hosts and not any(_matches(host, allowed.lower()) for allowed in self.hosts):
            raise ValueError(f"has host {host[:255]!r}, which is not among push.hosts")
        try:
            ipaddress.ip_address(host.partition("%")[0])
        except ValueError:
            local = host.rstrip(".") == "localhost" or host.rstrip(".").endswith(".localhost")
            if local and not self.allow_private_addresses:
                raise ValueError(f"has host {host[:255]!r}, which is this machine's own") from None
            return
        self.check_address(host)


def place_of(url: str) -> str:
    """Scheme, host and port of a URL: what shares connections, and fails together. ValueError where it has none."""
    parts = urlsplit(url)
    if not url.isascii() or not url.isprintable() or parts.scheme not in _PORTS or not parts.hostname:
        raise ValueError("is no URL of http or https")
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{parts.scheme}://{host}:{parts.port or _PORTS[parts.scheme]}"


def is_public(address: Address) -> bool:
    """Whether the address is one of the public internet, also where an IPv4 address is wrapped in an IPv6 one."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
        if inner is None and address.teredo is not None:
            return False
        if inner is not None:
            return is_public(inner)
        if address.is_site_local:
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def _matches(host: str, allowed: str) -> bool:
    return host == allowed or (allowed.startswith(".") and host.endswith(allowed))
