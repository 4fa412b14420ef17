"""Proxies: which peers may say where a client connects from, and whether over TLS.

Law: only what trusted proxies added to X-Forwarded-For counts. It is read from
the right: the first address that is not a trusted proxy's is the client's.
"""

import ipaddress
import re
from collections.abc import Iterable
from typing import Final

import attrs

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_MAPPED_BITS: Final = 96  # of the prefix ::ffff:0:0/96, before the IPv4 address
_CLIENT_BITS: Final = 64  # of an IPv6 address; the client chooses the rest
_HOPS: Final = 32  # entries of one header that are read; each costs 7 us or more, and a chain of proxies is shorter
_BYTE: Final = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4: Final = re.compile(rf"{_BYTE}(?:\.{_BYTE}){{3}}")  # as `str` writes it: no zeros in front
_UNIX: Final = "unix"  # in the option: every peer on a Unix socket
_IS_TLS: Final = {"http": False, "ws": False, "https": True, "wss": True}  # {scheme in X-Forwarded-Proto: over TLS}


@attrs.frozen
class Proxies:
    """The trusted proxies."""

    networks: tuple[Network, ...] = ()
    trusts_unix: bool = False

    @classmethod
    def of(cls, proxies: Iterable[str]) -> "Proxies":
        """Read the option `trusted_proxies=`; ValueError for an entry that is not an address or a network."""
        if isinstance(proxies, str):
            raise ValueError(f"trusted_proxies={proxies!r} is one string: give a list, such as [{proxies!r}]")
        if not isinstance(proxies, Iterable):
            raise ValueError(f"trusted_proxies={proxies!r} is no list: give one, such as ['127.0.0.1']")
        networks: list[Network] = []
        trusts_unix = False
        for each in proxies:
            if each == _UNIX:
                trusts_unix = True
                continue
            try:
                networks.append(_read_network(each))
            except (ValueError, TypeError) as exc:
                raise ValueError(
                    f"{each!r} in trusted_proxies= is no IP address or network: write '127.0.0.1', '10.0.0.0/8', or"
                    f" 'unix' for a Unix socket ({exc})"
                ) from None
        return cls(tuple(networks), trusts_unix)

    def trust(self, peer: str) -> bool:
        """Tell whether the peer at this address is a trusted proxy; "" is a Unix socket."""
        if not peer:
            return self.trusts_unix
        if not self.networks:
            return False  # asked four times for each connection, and to parse an address takes 5 us
        address = _read(peer)
        return address is not None and self._has(address)

    def client_of(self, peer: str, forwarded: str) -> str:
        """Return the client's address from the X-Forwarded-For header that a trusted `peer` sent."""
        found = peer
        for entry in reversed(forwarded.rsplit(",", _HOPS)[-_HOPS:]):
            address = _read(entry.strip())
            if address is None:
                break  # no proxy writes this, so the entries to the left of it are not a proxy's either
            found = str(address)
            if not self._has(address):
                break
        return found

    def origin_of(self, address: str) -> str | None:
        """Return what the clients at an address are counted as; None for a Unix socket or a proxy, which serve many.

        An IPv6 client has 2^64 addresses of its own (RFC 6177), so its network counts.
        """
        if not address or self.trust(address):
            return None
        if _IPV4.fullmatch(address):
            return address  # as most are; to parse one takes ten times as long
        found = _read(address)
        if isinstance(found, ipaddress.IPv6Address):
            return str(ipaddress.ip_network((found, _CLIENT_BITS), strict=False))
        return str(found or address)

    def _has(self, address: Address) -> bool:
        return any(address in network for network in self.networks)


def speaks_tls(forwarded: str, *, otherwise: bool) -> bool:
    """Tell from the X-Forwarded-Proto header of a trusted proxy whether the client came over TLS.

    Of several entries the first counts, which is of the client's own connection: a client that writes one itself
    could as well write another Origin, and the page in a browser can write neither. `otherwise`: it is no scheme.
    """
    return _IS_TLS.get(forwarded.partition(",")[0].strip().lower(), otherwise)


def _read_network(text: str) -> Network:
    """Parse a network. One of IPv4 addresses mapped into IPv6 becomes a network of IPv4."""
    if not isinstance(text, str):
        raise TypeError("not a string")
    network = ipaddress.ip_network(text)
    mapped = network.network_address.ipv4_mapped if isinstance(network, ipaddress.IPv6Network) else None
    if mapped is None or network.prefixlen < _MAPPED_BITS:
        return network
    return ipaddress.ip_network((mapped, network.prefixlen - _MAPPED_BITS))


def _read(text: str) -> Address | None:
    """Parse an address, with or without a port. An IPv4 address mapped into IPv6 becomes one of IPv4."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
