"""Where a webhook may go: its URL when it is written, and the address that its name has when a connection is made.

A name is resolved once for each connection, the addresses are checked, and the connection goes to one of those very
addresses, so that a name server that answers differently from one moment to the next gains nothing. TLS still asks for,
and holds the certificate to, the name of the URL.

References
----------
Addresses not meant for the public: the IANA registries of special-purpose addresses (RFC 6890 and its updates).
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import httpcore
from pydantic_core import Url, ValidationError

LONGEST_URL: Final = 2_000
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""A host and a port to the addresses that it has, as text, the preferred one first."""

# Written out rather than left to `ipaddress`, whose idea of "global" changes from release to release, and calls the
# translators of RFC 6052 global through which any IPv4 address can be reached.
_REFUSED: Final[tuple[Network, ...]] = tuple(
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carrier-grade NAT; a provider's metadata among them
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # the host of a virtual machine at a large provider, though of public space
        "169.254.0.0/16",  # link-local, and metadata of most providers
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # IETF protocols, and a provider's metadata
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # multicast relays
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "192.175.48.0/24",  # AS112
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
        "2001::/23",  # IETF protocols, Teredo
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4, which holds an IPv4 address
        "2620:4f:8000::/48",  # AS112
        "3fff::/20",  # documentation
    )
)
_GLOBAL_V6: Final = ipaddress.IPv6Network("2000::/3")
"""All else of IPv6 is refused: loopback, mapped and translated IPv4, local, link-local, multicast."""
_LOOPBACK: Final[tuple[Network, ...]] = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))


class AddressRefused(Exception):
    """A name has no address that messages may be sent to."""


class UrlRefused(ValueError):
    """The URL is none that messages may be sent to; the message says why, without quoting it."""


@dataclass(frozen=True, slots=True)
class Reach:
    """What may be reached beyond the public internet."""

    networks: tuple[Network, ...] = ()
    loopback: bool = False
    """Development: this machine, also without TLS."""

    def allows(self, address: Address) -> bool:
        """Whether a connection may go there.

        Examples
        --------
        >>> Reach().allows(ipaddress.ip_address("169.254.169.254"))
        False
        """
        if self._within(address, self.networks) or (self.loopback and self._within(address, _LOOPBACK)):
            return True
        if isinstance(address, ipaddress.IPv6Address) and (address not in _GLOBAL_V6 or address.scope_id):
            return False
        return not self._within(address, _REFUSED)

    @staticmethod
    def _within(address: Address, networks: Iterable[Network]) -> bool:
        return any(address.version == network.version and address in network for network in networks)

    def url(self, text: str) -> str:
        """The URL in its one spelling.

        Raises
        ------
        UrlRefused
            Not `https` (nor `http` to this machine where that is allowed), with a user, a fragment or an address that
            nothing is sent to. A name is not resolved: it may have another address tomorrow.
        """
        if len(text) > LONGEST_URL:
            raise UrlRefused(f"has at most {LONGEST_URL} characters")
        try:
            url = Url(text)
        except ValidationError:
            raise UrlRefused("has to be a URL") from None
        host = url.host
        if url.scheme not in ("https", "http") or not host:
            raise UrlRefused("has to begin with https://")
        if url.username is not None or url.password is not None or url.fragment is not None:
            raise UrlRefused("has to be without user, password and fragment")
        if url.port == 0:
            raise UrlRefused("has to name a port from 1 to 65535")
        address = _literal(host)
        if address is not None and not self.allows(address):
            raise UrlRefused("has to lead to an address of the public internet")
        if url.scheme == "http" and not (self.loopback and self._is_this_machine(host, address)):
            raise UrlRefused("has to begin with https://")
        if len(spelling := str(url)) > LONGEST_URL:
            raise UrlRefused(f"has at most {LONGEST_URL} characters")
        return spelling

    def _is_this_machine(self, host: str, address: Address | None) -> bool:
        return host == "localhost" if address is None else self._within(address, _LOOPBACK)


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None


async def resolve(host: str, port: int) -> list[str]:
    """The addresses of a host, as the system's resolver orders them."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """Makes connections for `httpcore`, to addresses that may be reached and to no others."""

    def __init__(self, reach: Reach, resolve: Resolve = resolve) -> None:
        self._reach = reach
        self._resolve = resolve
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first address of the host that may be reached and answers.

        Raises
        ------
        AddressRefused
            None may be reached.
        httpcore.ConnectError, httpcore.ConnectTimeout
            The name is unknown, or nothing answers.
        """
        literal = _literal(host)
        try:
            found = [str(literal)] if literal is not None else await self._resolve(host, port)
        except OSError:
            raise httpcore.ConnectError("the name is not known") from None
        allowed = [text for text in found if (address := _literal(text)) is not None and self._reach.allows(address)]
        if not allowed:
            raise AddressRefused
        failure: httpcore.NetworkError | httpcore.TimeoutException | None = None
        for text in allowed:
            try:
                return await self._inner.connect_tcp(text, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure or httpcore.ConnectError("no address answers")

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Never: a socket of this machine is nobody's endpoint."""
        raise AddressRefused

    async def sleep(self, seconds: float) -> None:
        """Wait between attempts to connect."""
        await self._inner.sleep(seconds)
