"""The application: what users register with a server, and how it is all wired together.

Law: nothing here runs; that is server.py's business.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from .._dispatch.chain import check_error_class
from .._dispatch.dispatch import Dispatch
from .._dispatch.registry import Registry
from .._functions import name_place
from .._http.front_door import FrontDoor
from .._http.origins import Origins
from .._http.pages import Pages
from .._http.proxies import Proxies
from .._rooms.hub import Hub
from .._sessions.outbound_hooks import Hook
from .._wire.epoll import EpollReader
from ..actions import Actions, Handler, Mark
from ..broker import Broker, MemoryBroker
from ..describe import ActionInfo, Description, RoomInfo
from ..errors import RegistrationError
from ..limits import Limits
from ..metrics import Metrics
from ..middleware import Call, Error, Reply, Ware
from ..room import Room
from .admission import Admission, Authenticate, Connecting, Disconnecting

Strings: TypeAlias = list[str] | tuple[str, ...] | set[str] | frozenset[str]  # not one string, which is iterable too
RoomClass = TypeVar("RoomClass", bound=type[Room[Any]])
Asked = TypeVar("Asked", bound=Authenticate)


class Application:
    """What a `Server` consists of; it is the one who runs it."""

    def __init__(
        self,
        name: str = "simplysocket",
        *,
        limits: Limits | None = None,
        path: str | Sequence[str] = "/ws",
        origins: Strings | None = None,
        trusted_proxies: Strings = (),
        relay: bool = False,
        direct: bool = False,
        open_rooms: bool = True,
        state: Callable[[], object] = dict,
        broker: Broker | None = None,
    ) -> None:
        paths = (path,) if isinstance(path, str) else tuple(path)
        if not paths or not all(isinstance(each, str) and each.startswith("/") for each in paths):
            raise RegistrationError(f"path={path!r}: a path, or several, that must begin with '/'")
        if not isinstance(name, str):
            raise RegistrationError(f"name={name!r:.100}: give the server's name first; all else by name, as limits=")
        if broker is not None and not (hasattr(broker, "publish") and hasattr(broker, "subscribe")):
            raise RegistrationError(f"broker={broker!r}: give a Broker, such as MemoryBroker()")
        if not isinstance(limits, (Limits, type(None))):
            raise RegistrationError(f"limits={limits!r}: give Limits(...)")
        self.name = name
        self._paths, self._relay, self._direct, self._open_rooms = paths, relay, direct, open_rooms
        self._origins, self._trusted_proxies = Origins.of(origins), tuple(trusted_proxies)
        self.limits = limits or Limits()
        self.metrics = Metrics()
        self._registry = Registry(self, relay=relay)
        self._hub = Hub(self, name, self.limits, self.metrics, broker or MemoryBroker(), open_rooms=open_rooms)
        self._hub.place_of = self._registry.place_of
        self._dispatch = Dispatch(self._hub, self._registry, direct=direct)
        self._admission = Admission(self._hub, self._dispatch, state)
        self._pages = Pages(
            static_bytes=self.limits.static_bytes, paths=paths, is_ready=lambda: self._front_door.is_open
        )
        self._epoll_reader = EpollReader()
        self._front_door = FrontDoor(
            limits=self.limits,
            metrics=self.metrics,
            epoll_reader=self._epoll_reader,
            paths=paths,
            origins=self._origins,
            proxies=Proxies.of(trusted_proxies),
            respond=self._pages.respond,
            identify=self._admission.identify,
            enter=self._admission.enter,
        )
        self._is_serving = False

    # --- registering

    def action(self, name: str, *, turn: bool = True, cancel: bool = False) -> Callable[[Handler], Handler]:
        """Register a handler for an action, for every room that has none of its own.

        `turn=False`: it runs beside the turns, as a task of the room, for what takes
        long. `cancel=True`: it ends when its caller takes the request back, waits no
        longer or is gone, as one beside the turns always does.

        >>> @server.action("ping-all")
        ... async def ping_all(client: Client, room: Room) -> None: ...
        """
        mark = Mark(name, turn, cancel)

        def register(handler: Handler) -> Handler:
            self._registry.add(mark, handler)
            return handler

        return register

    def on_message(self, handler: Handler) -> Handler:
        """Register what takes the messages that no action does; it asks by annotation, as actions do.

        A room class's own `on_message` comes first.
        """
        self._check_idle("on_message")
        self._registry.add_fallback(handler)
        return handler

    def include(self, actions: Actions) -> None:
        """Register all actions of a group."""
        self._registry.include(actions)

    def middleware(self, ware: Ware) -> Ware:
        """Put `async def (call, next)` around the handlers of every room; the first one written is the outermost.

        >>> @server.middleware
        ... async def log(call: Call, next: Next) -> object:
        ...     print(call.client.name, call.action)
        ...     return await next(call)
        """
        self._check_idle("middleware")
        self._registry.add_middleware(ware)
        return ware

    def exception_handler(
        self, error_class: type[Error]
    ) -> Callable[[Callable[[Call, Error], Reply]], Callable[[Call, Error], Reply]]:
        """Register `async def (call, error)` for what handlers raise: what it returns is the reply.

        It may raise `ActionError` instead. Of several that fit, the most specific class counts.
        """

        check_error_class(error_class)

        def register(handler: Callable[[Call, Error], Reply]) -> Callable[[Call, Error], Reply]:
            self._check_idle("exception handlers")
            self._registry.exceptions.add(error_class, handler)
            return handler

        return register

    def outbound(self, hook: Hook) -> Hook:
        """Register a plain `def (message)` that sees what is sent to rooms and clients, once for each message.

        It returns the message, another one (`attrs.evolve(message, body=...)`), or
        None to stop it. Requests, replies and errors pass it by.
        """
        self._hub.outbound.add(hook)
        return hook

    def authenticate(self, function: Asked) -> Asked:
        """Register `async def (request)` that returns the `Identity` of who connects, or raises `Refuse`."""
        self._admission.set_authenticate(function)
        return function

    def on_connect(self, hook: Connecting) -> Connecting:
        """Register `async def (client, request)`, called for each new client before its first message is read.

        `ActionError` closes the connection with 1008 and its message. At most `Limits.handshake_seconds`.
        """
        self._admission.add_on_connect(hook)
        return hook

    def on_disconnect(self, hook: Disconnecting) -> Disconnecting:
        """Register `async def (client, reason)`, called when a client's connection has ended.

        `reason` is "disconnected", or in a word why the server closed it. At most `Limits.close_seconds`.
        """
        self._admission.add_on_disconnect(hook)
        return hook

    def _check_idle(self, what: str) -> None:
        if self._is_serving:
            raise RegistrationError(f"{what} must be registered before the server runs: rooms have been built without")

    def room(self, pattern: str) -> Callable[[RoomClass], RoomClass]:
        """Register a Room class for the rooms whose name has this shape; `*` stands for any characters.

        Of several patterns that fit, the one with the longest literal beginning
        counts. Such a room is created at the first join.
        """

        if not isinstance(pattern, str) or not pattern:
            raise RegistrationError(f'{pattern!r} is no pattern of room names: write `@server.room("game-*")`')

        def register(room_class: RoomClass) -> RoomClass:
            if not (isinstance(room_class, type) and issubclass(room_class, Room)):
                raise RegistrationError(f"@server.room({pattern!r}) is for subclasses of Room, not {room_class!r}")
            self._registry.add_class(room_class)
            self._hub.classes.add(pattern, room_class)
            return room_class

        return register

    def static(self, url: str, directory: str | Path) -> None:
        """Serve the files below a directory, as they are now, to plain HTTP requests under `url`.

        `index.html` is served by its folder's name, too. Hidden files, links to folders
        and links that lead out of the directory are left out. All files are held in
        memory, at most `Limits.static_bytes`. `RegistrationError` where that cannot work.

        >>> server.static("/", Path(__file__).with_name("static"))
        """
        self._pages.files.add_directory(url, directory)

    def describe(self) -> Description:
        """Return what was registered and set, as `simplysocket check` shows it."""
        return Description(
            name=self.name,
            paths=self._paths,
            actions=tuple(
                ActionInfo(
                    name=action.name,
                    room_class=None if room_class is None else room_class.__name__,
                    body=action.signature.body,
                    turn=action.turn,
                    cancel=action.cancel,
                    place=action.signature.place,
                )
                for room_class, action in self._registry.actions()
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
                )
                for pattern, room_class in self._hub.classes.items()
            ),
            middleware=tuple(name_place(ware) for ware in self._registry.middleware()),
            origins=None if self._origins.allowed is None else tuple(sorted(self._origins.allowed)),
            trusted_proxies=self._trusted_proxies,
            is_authenticated=self._admission.is_authenticated,
            relay=self._relay,
            direct=self._direct,
            open_rooms=self._open_rooms,
            static=self._pages.files.urls,
            limits=self.limits,
        )
