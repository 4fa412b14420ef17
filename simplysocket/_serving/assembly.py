"""The assembly: makes the parts of one server, and connects them with each other.

Law: nothing runs here. lifecycle.py runs the parts.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar
from urllib.parse import quote

from .._dispatch.inbound import Inbound
from .._dispatch.registry import Registry
from .._functions import name_of, name_place
from .._http.front_door import FrontDoor
from .._http.origins import Hosts, Origins
from .._http.pages import Pages
from .._http.proxies import Proxies
from .._http.responses import ALWAYS_ANSWERED
from .._http.upgrade import Rules
from .._pass_budget import PassBudget
from .._protocol.names import is_room_name
from .._rooms.hub import Hub
from .._wire.epoll import EpollReader
from .._wire.outboxes import Outboxes
from ..brokers import Broker, MemoryBroker
from ..errors import RegistrationError
from ..introspection import ActionInfo, Description, RoomInfo
from ..limits import Limits
from ..metrics import Metrics
from ..room import Room
from .admission import Admission
from .authentication import Authentication
from .expiry import Expiry
from .refused import Refused
from .renewal import Renewal
from .returns import Returns
from .users import Users

if TYPE_CHECKING:
    from ..server import Server

Strings: TypeAlias = list[str] | tuple[str, ...] | set[str] | frozenset[str]  # not str, which is iterable too
RoomClass = TypeVar("RoomClass", bound=type[Room[Any]])


class Assembly:
    """The parts of one server, and its registrations."""

    def __init__(
        self,
        server: "Server",
        name: str,
        *,
        limits: Limits | None,
        path: str | Sequence[str],
        origins: Strings | None,
        hosts: Strings | None,
        trusted_proxies: Strings,
        relay: bool,
        direct: bool,
        open_rooms: bool,
        connections_per_user: int | None,
        state: Callable[[], object],
        broker: Broker | None,
    ) -> None:
        """Take the options of `Server`; `RegistrationError` for an option that cannot work."""
        paths = _read_paths(path)
        if not isinstance(name, str):
            raise RegistrationError(f"name={name!r:.100}: give the server's name first; all else by name, as limits=")
        if name and not is_room_name(name, None):
            raise RegistrationError(f"name={name!r:.100}: it is the sender of messages: give one line of visible text")
        if broker is not None and not hasattr(broker, "open"):
            raise RegistrationError(f"broker={broker!r}: give a Broker, such as MemoryBroker()")
        if not isinstance(limits, (Limits, type(None))):
            raise RegistrationError(f"limits={limits!r}: give Limits(...)")
        for option, value in (("relay", relay), ("direct", direct), ("open_rooms", open_rooms)):
            if not isinstance(value, bool):
                raise RegistrationError(f"{option}={value!r}: give True or False")
        self.name = name
        self.limits = limits or Limits()
        self.metrics = Metrics()
        self.is_serving = False
        self._relay, self._direct, self._open_rooms = relay, direct, open_rooms
        proxies = Proxies.of(trusted_proxies)
        self.trusts_unix = proxies.trusts_unix
        self._rules, self._trusted_proxies = Rules(paths, Origins.of(origins), Hosts.of(hosts)), tuple(trusted_proxies)
        self.registry = Registry(server, relay=relay)
        self.budget = PassBudget()
        self.hub = Hub(
            server, name, self.limits, self.metrics, broker or MemoryBroker(), self.budget, open_rooms=open_rooms
        )
        self.hub.place_of = self.registry.place_of
        self.outboxes = Outboxes(self.limits)
        inbound = Inbound(self.hub, self.registry, direct=direct)
        self.expiry = Expiry(self.budget)
        self.authentication = Authentication(self.hub)
        self.hub.renewal = Renewal(self.hub, self.expiry, proxies, self.authentication.identify)
        self.users = Users(self.hub, connections_per_user)
        self.returns = Returns(self.hub, self.outboxes, proxies, lambda *args: self.front_door.arrivals.hold(*args))
        self.admission = Admission(
            self.hub, inbound, self.outboxes, self.hub.renewal, self.users, self.returns, proxies, state
        )
        refused = Refused(self.limits, self.metrics, self.outboxes, self.budget)
        self.epoll_reader = EpollReader(self.budget)
        self.pages = Pages(static_bytes=self.limits.static_bytes, paths=paths, is_ready=lambda: self.front_door.is_open)
        self.front_door = FrontDoor(
            limits=self.limits,
            metrics=self.metrics,
            epoll_reader=self.epoll_reader,
            budget=self.budget,
            accounts=self.hub.accounts,
            rules=self._rules,
            proxies=proxies,
            respond=self.pages.respond,
            identify=self.authentication.identify,
            enter=self.admission.enter,
            turn_away=refused.turn_away,
            find_returning=self.returns.find_returning,
        )

    def check(self) -> None:
        """Refuse options that cannot work with what is registered."""
        self.users.check(is_authenticated=self.authentication.is_registered)
        if self.hub.listing.directory is not None:
            self.hub.listing.directory.check()

    def check_idle(self, what: str) -> None:
        """Refuse a registration while the server runs: it would be missing in the rooms that are open."""
        if self.is_serving:
            raise RegistrationError(f"{what} must be registered before the server runs: rooms have been built without")

    def add_room_class(self, pattern: str, room_class: RoomClass) -> RoomClass:
        """Register a room class for the rooms whose names match a pattern."""
        if not (isinstance(room_class, type) and issubclass(room_class, Room)):
            raise RegistrationError(f"@server.room({pattern!r}) is for subclasses of Room, not {room_class!r}")
        self.registry.add_class(room_class)
        self.hub.classes.add(pattern, room_class)
        return room_class

    def describe(self) -> Description:
        """Return the registrations and the settings."""
        return Description(
            name=self.name,
            paths=tuple(self._rules.paths),
            actions=tuple(
                ActionInfo(
                    name=action.name,
                    room_class=None if room_class is None else room_class.__name__,
                    body=action.signature.body,
                    turn=action.turn,
                    cancel=action.cancel,
                    place=action.signature.place,
                    unbounded_patterns=action.signature.unbounded_patterns,
                    only="" if action.only is None else name_of(action.only),
                )
                for room_class, action in self.registry.actions()
            ),
            rooms=tuple(
                RoomInfo(
                    pattern=pattern,
                    class_name=room_class.__name__,
                    capacity=room_class.capacity,
                    relay=room_class.relay,
                    open=room_class.open,
                    announce=room_class.announce,
                    empty_ttl=room_class.empty_ttl,
                    unjoined_ttl=room_class.unjoined_ttl,
                    hold_seconds=room_class.hold_seconds,
                    rejoin=room_class.rejoin,
                    on_crash=room_class.on_crash,
                    listing=None if room_class.listing is None else room_class.listing.__name__,
                )
                for pattern, room_class in self.hub.classes.items()
            ),
            middleware=tuple(name_place(ware) for ware in self.registry.middleware()),
            origins=_sorted(self._rules.origins.allowed),
            hosts=_sorted(self._rules.hosts.allowed),
            trusted_proxies=self._trusted_proxies,
            is_authenticated=self.authentication.is_registered,
            relay=self._relay,
            direct=self._direct,
            open_rooms=self._open_rooms,
            static=self.pages.files.urls,
            connections_per_user=self.users.most,
            limits=self.limits,
        )


def _read_paths(path: str | Sequence[str]) -> tuple[str, ...]:
    """Return the option `path=`; `RegistrationError` for a path that no client can ask for."""
    paths = (path,) if isinstance(path, str) else tuple(path)
    if not paths or not all(isinstance(each, str) and each.startswith("/") for each in paths):
        raise RegistrationError(f"path={path!r}: a path, or several, that must begin with '/'")
    for each in paths:
        if each in ALWAYS_ANSWERED:
            raise RegistrationError(f"path={each!r}: it is answered by the server itself, for load balancers")
        if not each.isascii() or any(character in each for character in "?# "):
            raise RegistrationError(f"path={each!r}: write it as clients send it, without '?', such as {quote(each)!r}")
    return paths


def _sorted(allowed: frozenset[str] | None) -> tuple[str, ...] | None:
    return None if allowed is None else tuple(sorted(allowed))
