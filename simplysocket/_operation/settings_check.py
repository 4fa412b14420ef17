"""The check of settings: which ones are unsafe on the open internet, and what to write instead.

Law: a plain function from a description to warnings. It changes and forbids nothing.
"""

import ipaddress
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

import attrs

from ..introspection import Description
from ..limits import Limits

# The shortest prefixes a trusted network may have, in bits: those of 10.0.0.0/8 and fc00::/7, the widest private ones.
_SHORTEST_PREFIX: Final = {4: 8, 6: 7}

_OF_ANYONE: Final = ("null", "file://")


@attrs.frozen
class Unsafe:
    """An unsafe setting, why it is unsafe, and what to do."""

    setting: str  # as written in the code, such as "origins"
    problem: str
    remedy: str


def unsafe_settings(description: Description) -> list[Unsafe]:
    """Return the unsafe settings of a server; empty when there are none."""
    return [
        *_check_identity(description),
        *_check_origins(description.origins or ()),
        *_check_hosts(description),
        *_check_proxies(description.trusted_proxies),
        *_check_rooms(description),
        *_check_patterns(description),
        *_check_heartbeat(description.limits),
        *_check_limits(description.limits),
    ]


def _check_identity(description: Description) -> Iterator[Unsafe]:
    if description.is_authenticated:
        return
    yield Unsafe("authenticate", "anyone may connect, under any name", "write a function with @server.authenticate")
    if description.direct:
        problem = "strangers who share a room may write to each other, and nobody knows who they are"
        yield Unsafe("direct", problem, "write @server.authenticate, or set direct=False")


def _check_origins(origins: tuple[str, ...]) -> Iterator[Unsafe]:
    for origin in origins:
        domain = (urlsplit(origin).hostname or "").partition("*.")[2]
        if origin in _OF_ANYONE:
            problem = f"{origin!r} is also the origin of strangers' pages, from files or in sandboxed frames"
            yield Unsafe("origins", problem, "let your application's page have an origin of its own, and no cookies")
        elif domain and "." not in domain and domain != "localhost":
            problem = f"{origin!r} matches pages of anyone who has a name there"
            yield Unsafe("origins", problem, "name your own domain, such as 'https://*.example.com'")
        elif _is_plain(origin):
            problem = f"a page from {origin!r} can be changed on its way, and then speaks for its user"
            yield Unsafe("origins", problem, f"serve it over TLS and write {origin.replace('http', 'https', 1)!r}")


def _check_hosts(description: Description) -> Iterator[Unsafe]:
    if description.hosts is None and description.origins is None and not description.is_authenticated:
        problem = (
            "any site can let a name of its own lead to your server, even in a private network, and its pages then"
            " count as pages of yours"
        )
        yield Unsafe("hosts", problem, "give the names of your server, such as Server(hosts=['play.example.com'])")


def _is_plain(origin: str) -> bool:
    """Tell whether pages of an origin come without TLS from another machine."""
    parts = urlsplit(origin)
    return parts.scheme == "http" and not _is_loopback(parts.hostname or "")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _check_proxies(proxies: tuple[str, ...]) -> Iterator[Unsafe]:
    for proxy in proxies:
        try:
            network = ipaddress.ip_network(proxy, strict=False)
        except ValueError:
            continue  # "unix"
        if network.prefixlen < _SHORTEST_PREFIX[network.version]:
            problem = f"{proxy!r} believes X-Forwarded-For of strangers, who may then claim any address"
            yield Unsafe("trusted_proxies", problem, "give the addresses of your proxies, such as '127.0.0.1'")


def _check_rooms(description: Description) -> Iterator[Unsafe]:
    if description.open_rooms and not description.rooms:
        problem = "no room class is registered, so a join opens a room of any name, without a capacity"
        yield Unsafe("open_rooms", problem, 'write a class with @server.room("game-*"), and set open_rooms=False')
    if description.middleware:
        return
    if description.relay and not description.actions:
        problem = "whatever a client sends goes to everyone in its room, and no code of yours sees it"
        yield Unsafe("relay", problem, "write actions with typed bodies, or look at it in @server.middleware")
    for room in description.rooms:
        if room.relay and not any(action.room_class in (room.class_name, None) for action in description.actions):
            problem = (
                f"whatever a client sends to a {room.class_name} goes to everyone there, and no code of yours sees it"
            )
            yield Unsafe(f"{room.class_name}.relay", problem, "write actions with typed bodies, or a @middleware")


def _check_patterns(description: Description) -> Iterator[Unsafe]:
    for action in description.actions:
        for pattern in action.unbounded_patterns:
            problem = (
                f"the pattern {pattern!r} in the body of {action.name!r} is searched in texts as long as a message, and"
                " a pattern that backtracks stops the whole server meanwhile"
            )
            yield Unsafe("pattern", problem, "give the length too: Meta(pattern=..., max_length=100)")


def _check_heartbeat(limits: Limits) -> Iterator[Unsafe]:
    ping, silence = limits.ping_seconds, limits.silence_seconds
    if ping is None:
        problem = "no client is ever asked whether it is still there, and proxies cut silent connections"
        yield Unsafe("Limits.ping_seconds", problem, _default_of("ping_seconds"))
    if silence is None:
        problem = "a client that vanished without a word stays for ever"
        yield Unsafe("Limits.silence_seconds", problem, _default_of("silence_seconds"))
    if ping is not None and silence is not None and ping >= silence:
        problem = f"a quiet client is cut off after {silence:g} s, before it is asked after {ping:g} s"
        yield Unsafe("Limits.ping_seconds", problem, f"keep it below silence_seconds, such as {silence / 2.4:.0f}")


def _check_limits(limits: Limits) -> Iterator[Unsafe]:
    for field in attrs.fields(Limits):
        if field.name in ("ping_seconds", "silence_seconds") or field.default is None:
            continue
        if getattr(limits, field.name) is None:
            problem = "there is no bound: peers may use up what you have"
            yield Unsafe(f"Limits.{field.name}", problem, _default_of(field.name))


def _default_of(name: str) -> str:
    return f"leave it at {getattr(attrs.fields(Limits), name).default:,}, or give another number"
