"""Proxies: whose word on a client's address is believed.

Law: of X-Forwarded-For only what trusted proxies have added counts: read from the
right, the first address that is no trusted proxy is the client's.
"""

import ipaddress
from collections.abc import Iterable
from typing import Final

import attrs

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_MAPPED_BITS: Final = 96  # of ::ffff:0:0/96, before the IPv4 address
_UNIX: Final = "unix"  # in the option: whoever connects to a Unix socket


@attrs.frozen
class Proxies:
    """The proxies that are trusted."""

    networks: tuple[Network, ...] = ()
    trusts_unix: bool = False

    @classmethod
    def of(cls, proxies: Iterable[str]) -> "Proxies":
        """Read the option `trusted_proxies=`; ValueError for what is no address or network."""
        if isinstance(proxies, str):
            raise ValueError(f"trusted_proxies={proxies!r} is one string: give a list, such as [{proxies!r}]")
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
        """Tell whether the peer at this address, "" on a Unix socket, is a trusted proxy."""
        if not peer:
            return self.trusts_unix
        address = _read(peer)
        return address is not None and self._has(address)

    def client_of(self, peer: str, forwarded: str) -> str:
        """Return the client's address behind a trusted `peer`: what X-Forwarded-For says of it."""
        found = peer
        for entry in reversed(forwarded.split(",")):
            address = _read(entry.strip())
            if address is None:
                break  # no proxy wrote this: what stands left of it is no proxy's word either
            found = str(address)
            if not self._has(address):
                break
        return found

    def _has(self, address: Address) -> bool:
        return any(address in network for network in self.networks)


def _read_network(text: str) -> Network:
    """Read a network; one of IPv4 mapped into IPv6 is one of IPv4, as such addresses are."""
    if not isinstance(text, str):
        raise TypeError("not a string")
    network = ipaddress.ip_network(text)
    mapped = network.network_address.ipv4_mapped if isinstance(network, ipaddress.IPv6Network) else None
    if mapped is None or network.prefixlen < _MAPPED_BITS:
        return network
    return ipaddress.ip_network((mapped, network.prefixlen - _MAPPED_BITS))


def _read(text: str) -> Address | None:
    """Read an address, with or without a port; an IPv4 address mapped into IPv6 is one of IPv4."""
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
