"""Origins and hosts: which pages may connect, and by which names the server may be asked for.

Laws: no I/O. An origin matches as a whole, with its scheme, host and port. In both, `*` is one whole label, the first.
"""

import re
from collections.abc import Iterable
from ipaddress import AddressValueError, IPv6Address
from typing import Final
from urllib.parse import urlsplit

import attrs

HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~-]+)(?::([0-9]{1,5}))?")  # name or address, port
_DEFAULT_PORTS: Final = {"http": 80, "ws": 80, "https": 443, "wss": 443}
_OVER_TLS: Final = ("https", "wss")
_WITHOUT_HOST: Final = ("null", "file://")  # of sandboxed frames and of files: browsers write one or the other
_PORTS: Final = 65_536


@attrs.frozen
class Origins:
    """The origins of the pages that may connect. None: only pages from the host and port that they connect to."""

    allowed: frozenset[str] | None

    @classmethod
    def of(cls, origins: Iterable[str] | None) -> "Origins":
        """Read the option `origins=`; ValueError for an entry that no page's origin can match."""
        return cls(None if origins is None else frozenset(_read_origin(each) for each in _entries("origins", origins)))

    def admit(self, origin: str, host: str, *, is_tls: bool = False) -> bool:
        """Tell whether a page of `origin` may connect when the request names `host` in its Host header.

        `is_tls`: the client came over TLS, so that no page without it has the same origin.
        """
        origin = origin.lower()
        if "*" in origin:
            return False  # no page has it, and an entry with a pattern would match
        if self.allowed is not None:
            scheme, separator, place = origin.partition("://")
            place = _without_default_port(scheme, place)
            return any(f"{scheme}{separator}{each}" in self.allowed for each in (place, _pattern_of(place)))
        try:
            parts = urlsplit(origin)
        except ValueError:
            return False
        page = HOST.fullmatch(parts.netloc)
        server = HOST.fullmatch(host.lower())
        if not page or not server or parts.scheme not in (_OVER_TLS if is_tls else _DEFAULT_PORTS):
            return False  # such as "null", which browsers send for a page from a file
        default = _DEFAULT_PORTS[parts.scheme]
        return page[1] == server[1] and int(page[2] or default) == int(server[2] or default)


@attrs.frozen
class Hosts:
    """The names, in the Host header, by which the server may be asked for. None: any.

    A page of a stranger can have a name of its own that leads to this server: for a browser both are then the
    same origin (DNS rebinding).
    """

    allowed: frozenset[str] | None

    @classmethod
    def of(cls, hosts: Iterable[str] | None) -> "Hosts":
        """Read the option `hosts=`; ValueError for an entry that is not a name or an address."""
        return cls(None if hosts is None else frozenset(_read_host(each) for each in _entries("hosts", hosts)))

    def admit(self, host: str) -> bool:
        """Tell whether a request with this Host header may be answered."""
        if self.allowed is None:
            return True
        found = HOST.fullmatch(host.lower())
        return found is not None and not self.allowed.isdisjoint((found[1], _pattern_of(found[1])))


def _entries(option: str, entries: Iterable[str]) -> list[str]:
    """Return the entries of an option, which must be a list of strings."""
    if isinstance(entries, str):
        raise ValueError(f"{option}={entries!r} is one string: give a list, such as [{entries!r}]")
    if not isinstance(entries, Iterable):
        raise ValueError(f"{option}={entries!r} is no list: give one of strings, or None")
    found = list(entries)
    for each in found:
        if not isinstance(each, str):
            raise ValueError(f"{each!r} in {option}= is a {type(each).__name__}: give strings")
        if not each.isascii():
            raise ValueError(f"{each!r} in {option}= is not as browsers send it: write the host with its xn-- form")
    return found


def _read_origin(entry: str) -> str:
    """Return an entry of `origins=` as `admit` looks for it."""
    text = entry.lower()
    if text in _WITHOUT_HOST or text == "file:///":
        return text.replace("///", "//")
    wrong = ValueError(f"{entry!r} in origins= is no origin: write it as 'https://example.com'")
    scheme, separator, place = text.rstrip("/").partition("://")
    if not scheme or not separator or not place or any(each in place for each in "/?#@ "):
        raise wrong
    if scheme not in _DEFAULT_PORTS:  # of an application, such as app://localhost
        if "*" in text:
            raise ValueError(f"{entry!r} in origins= has a '*', which is only for http and https: list each origin")
        return f"{scheme}://{place}"
    host = _after_star("origins", entry, place)
    found = HOST.fullmatch(host)
    if found is None or not 0 < int(found[2] or 1) < _PORTS:
        raise wrong
    return f"{scheme}://{_without_default_port(scheme, place)}"


def _read_host(entry: str) -> str:
    """Return an entry of `hosts=` as `admit` looks for it."""
    text = entry.lower()
    try:
        return f"[{IPv6Address(text.removeprefix('[').removesuffix(']'))}]"
    except AddressValueError:
        pass
    found = HOST.fullmatch(_after_star("hosts", entry, text))
    if found is None or found[2] is not None:
        raise ValueError(f"{entry!r} in hosts= is no name: write it without scheme and port, as 'play.example.com'")
    return text


def _after_star(option: str, entry: str, place: str) -> str:
    """Return a place without the `*.` that it may begin with; ValueError for any other pattern."""
    rest = place.removeprefix("*.")
    if "*" in rest or (rest != place and rest.startswith("[")):
        example = "'https://*.example.com'" if option == "origins" else "'*.example.com'"
        raise ValueError(f"{entry!r} in {option}= is no pattern: '*' is one whole label, the first, as in {example}")
    return rest


def _pattern_of(place: str) -> str:
    """Return a place with `*` for its first label, which is what an entry with a pattern looks like."""
    label, dot, rest = place.partition(".")
    is_label = label.isascii() and label.replace("-", "").replace("_", "").isalnum()
    return f"*.{rest}" if dot and is_label else place


def _without_default_port(scheme: str, place: str) -> str:
    """Return a place as browsers write it: without the port that its scheme has anyhow."""
    port = _DEFAULT_PORTS.get(scheme)
    return place if port is None else place.removesuffix(f":{port}")
