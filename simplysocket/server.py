"""The server: wires everything together, and holds the nurseries it lives in.

Laws: nothing here is on the way of a message. The nurseries, from the outside
in: the life of rooms; connections; the doors. Each ends before the one around it.
"""

import logging
import math
import os
import signal
import ssl
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias, TypeVar

import attrs
import trio

from . import codec
from .actions import Actions, Handler, Registry, check_name
from .admission import Admission, Connecting, Disconnecting
from .broker import Broker, MemoryBroker
from .call import Call
from .client import Client
from .describe import ActionInfo, Description, RoomInfo
from .dispatch import Dispatch
from .errors import CloseCode, RegistrationError, first_of
from .frontdoor import Authenticate, FrontDoor, Origins
from .hub import Hub
from .limits import Limits
from .listeners import open_tcp, open_unix, remove_unix
from .metrics import Metrics
from .middleware import Error, Reply, Ware, check_error_class
from .outbound import Hook
from .places import name_place
from .proxies import Proxies
from .room import Room
from .sidedoor import SideDoor
from .tasks import LIFE
from .tree import Tree, look
from .watch import Watch

logger = logging.getLogger("simplysocket.server")

Strings: TypeAlias = list[str] | tuple[str, ...] | set[str] | frozenset[str]  # not one string, which is iterable too
RoomClass = TypeVar("RoomClass", bound=type[Room[Any]])
Asked = TypeVar("Asked", bound=Authenticate)

_BATCH = 100  # clients that are told to go at once when the server stops, so that they do not come back all at once
_BATCHES = 20
_BATCH_SECONDS = 0.05


class Server:
    """A server of rooms: register actions and room classes, then `run` it, or `serve` it in a nursery of yours.

    `name` is the sender of what the server itself says. `path`: where WebSockets
    connect, one or several. `origins`: which pages may connect, such as
    `["https://example.com"]`; None: those of the same host and port. `relay`: a
    message that no handler takes goes to everyone in its room. `direct`: clients
    may write to each other if they share a room. `open_rooms`: a join may open a
    room of a name that no class is registered for. `trusted_proxies`: addresses and
    networks whose X-Forwarded-For is believed, `"unix"` for a Unix socket. `state`:
    called for each new client; what it returns is `client.state`.
    """

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
        self.token: trio.lowlevel.TrioToken | None = None  # of the loop it runs in, while it runs
        self._paths, self._relay, self._direct, self._open_rooms = paths, relay, direct, open_rooms
        self._origins, self._trusted_proxies = Origins.of(origins), tuple(trusted_proxies)
        self.limits = limits or Limits()
        self.metrics = Metrics()
        self._registry = Registry(self, relay=relay)
        self._hub = Hub(self, name, self.limits, self.metrics, broker or MemoryBroker(), open_rooms=open_rooms)
        self._hub.place_of = self._registry.place_of
        self._dispatch = Dispatch(self._hub, self._registry, direct=direct)
        self._admission = Admission(self._hub, self._dispatch, state)
        self._side_door = SideDoor(
            static_bytes=self.limits.static_bytes, paths=paths, is_ready=lambda: self._front_door.is_open
        )
        self._watch = Watch()
        self._front_door = FrontDoor(
            limits=self.limits,
            metrics=self.metrics,
            watch=self._watch,
            paths=paths,
            origins=self._origins,
            proxies=Proxies.of(trusted_proxies),
            respond=self._side_door.respond,
            identify=self._admission.identify,
            enter=self._admission.enter,
        )
        self._listeners: list[trio.abc.Listener[Any]] = []  # Any: each listener has its own kind of stream
        self._is_serving = False
        self._stop_asked = trio.Event()
        self._stopped = trio.Event()
        self._may_let_go = trio.Event()
        self._deadline = math.inf
        self._drain_scope: trio.CancelScope | None = None

    def __repr__(self) -> str:
        return f"<Server {self.name!r} with {len(self.clients)} clients in {len(self.rooms)} rooms>"

    # --- registering

    def action(self, name: str, *, turn: bool = True, cancel: bool = False) -> Callable[[Handler], Handler]:
        """Register a handler for an action, for every room that has none of its own.

        `turn=False`: it runs beside the turns, as a task of the room, for what takes
        long. `cancel=True`: it ends when its caller takes the request back, waits no
        longer or is gone, as one beside the turns always does.

        >>> @server.action("ping-all")
        ... async def ping_all(client: Client, room: Room) -> None: ...
        """

        check_name(name)

        def register(handler: Handler) -> Handler:
            self._registry.add(name, handler, turn=turn, cancel=cancel)
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
        self._side_door.add_directory(url, directory)

    # --- live

    @property
    def rooms(self) -> Mapping[str, Room[Any]]:
        """The rooms there are, by name, at this moment."""
        return {name: life.room for name, life in self._hub.lives.items()}

    @property
    def clients(self) -> Mapping[str, Client[Any]]:
        """The clients that are connected, by id; a live view."""
        return MappingProxyType(self._hub.clients)

    @property
    def port(self) -> int:
        """The TCP port, the same for every address family."""
        for listener in self._listeners:
            inner = listener.transport_listener if isinstance(listener, trio.SSLListener) else listener
            if isinstance(inner, trio.SocketListener):
                name = inner.socket.getsockname()
                if isinstance(name, tuple):
                    return int(name[1])
        raise RuntimeError("the server listens on no TCP port: serve it first, with a port")

    def statistics(self) -> dict[str, Any]:
        """Return what was counted since the server was made, and how many there are of what, now."""
        return {
            **attrs.asdict(
                self.metrics, value_serializer=lambda _, __, value: dict(value) if isinstance(value, dict) else value
            ),
            "connections": self._front_door.connections,
            "clients": len(self.clients),
            "rooms": len(self._hub.lives),
        }

    def tree(self) -> Tree:
        """Return a view of the rooms at this moment, and of what runs in each; `print(server.tree())`."""
        return look(self._hub)

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
            static=self._side_door.urls,
            limits=self.limits,
        )

    async def broadcast(
        self,
        action: str,
        body: object = codec.EMPTY,
        *,
        sender: Client[Any] | str | None = None,
        exclude: Client[Any] | Iterable[Client[Any]] = (),
        volatile: bool = False,
        coalesce: str | None = None,
    ) -> None:
        """Send a message to everyone who is connected. Never waits; the options are those of `Room.broadcast`."""
        await self._hub.lobby.room.broadcast(
            action, body, sender=sender, exclude=exclude, volatile=volatile, coalesce=coalesce
        )

    async def open_room(self, name: str, options: dict[str, Any] | None = None) -> Room[Any]:
        """Return the room of this name, made if there is none; without members it stays until the first has left."""
        return await self._hub.open_room(name, options or {})

    # --- running

    def run(
        self,
        host: str | None = "localhost",
        port: int | None = 8080,
        *,
        unix: str | os.PathLike[str] | None = None,
        listeners: Iterable[trio.abc.Listener[Any]] = (),
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        """Run until SIGINT or SIGTERM, then stop gracefully; a second signal stops at once.

        Where it cannot listen, the program ends with one line that says why.
        """
        if trio.lowlevel.in_trio_run():
            raise RuntimeError("run() is for programs: inside of trio, `await server.serve(...)` in a nursery of yours")
        try:
            trio.run(partial(self._run, host, port, unix=unix, listeners=listeners, ssl_context=ssl_context))
        except BaseExceptionGroup as group:
            failed, others = group.split(OSError)
            if failed is None or others is not None:
                raise
            error = first_of(failed)
            raise SystemExit(f"{self.name}: {getattr(error, 'strerror', None) or error}") from None

    async def _run(self, host: str | None, port: int | None, **options: Any) -> None:
        async with trio.open_nursery() as nursery:
            await nursery.start(partial(self._watch_signals, nursery))
            serving = partial(self.serve, host, port, **options)
            async with trio.open_nursery() as inner:
                await inner.start(serving)
                scheme = "https" if options.get("ssl_context") else "http"
                where = f"[{host}]" if host and ":" in host else host or "0.0.0.0"
                print(f"{self.name} listens on {scheme}://{where}:{self.port} (Ctrl+C stops)", file=sys.stderr)
            nursery.cancel_scope.cancel()

    async def _watch_signals(
        self, nursery: trio.Nursery, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            task_status.started()
            is_stopping = False
            async for _ in signals:
                if is_stopping:
                    nursery.cancel_scope.cancel()
                is_stopping = True
                nursery.start_soon(self.stop, self.limits.drain_seconds)

    async def serve(
        self,
        host: str | None = "localhost",
        port: int | None = None,
        *,
        unix: str | os.PathLike[str] | None = None,
        listeners: Iterable[trio.abc.Listener[Any]] = (),
        ssl_context: ssl.SSLContext | None = None,
        task_status: trio.TaskStatus["Server"] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Serve until stopped or cancelled.

        `port` 0 takes a free one, the same for every address of `host`; host None
        is every address of the machine. `unix` is a path; `listeners` are trio
        listeners of your own, taken over. For `nursery.start` it hands back the
        server once it listens. Cancelling does not drain: `stop` does.
        """
        if not trio.lowlevel.in_trio_run():
            raise RuntimeError(
                "serve() needs trio: call it inside of trio.run(...), or `server.run(...)` for a program"
            )
        if ssl_context is not None and not isinstance(ssl_context, ssl.SSLContext):
            raise TypeError(
                f"ssl_context={ssl_context!r}: give an ssl.SSLContext, as ssl.create_default_context("
                "ssl.Purpose.CLIENT_AUTH) makes one, with load_cert_chain(cert, key)"
            )
        if self._is_serving:
            raise RuntimeError(f"server {self.name!r} is serving already")
        self._is_serving = True
        self.token = trio.lowlevel.current_trio_token()
        self._stop_asked, self._stopped, self._may_let_go = trio.Event(), trio.Event(), trio.Event()
        self._deadline, self._drain_scope = math.inf, None
        self._front_door.is_open = True
        bound_path: str | os.PathLike[str] | None = None
        try:
            self._listeners = list(listeners)
            if port is not None:
                tcp = await open_tcp(host, port)
                self._listeners += (
                    [trio.SSLListener(each, ssl_context, https_compatible=True) for each in tcp] if ssl_context else tcp
                )
            if unix is not None:
                self._listeners.append(await open_unix(unix))
                bound_path = unix
            if not self._listeners:
                raise ValueError("serve on what? give port=, unix= or listeners=")
            await self._live(task_status)
        finally:
            for listener in self._listeners:
                with trio.CancelScope(shield=True) as scope:
                    scope.cancel()
                    await listener.aclose()
            if bound_path is not None:
                remove_unix(bound_path)
            self._listeners = []
            self._is_serving = False
            self.token = None
            self._stopped.set()

    async def _live(self, task_status: trio.TaskStatus["Server"]) -> None:
        async with trio.open_nursery() as life:
            await life.start(self._watch.run)
            self._hub.begin(life)
            life.start_soon(self._heartbeat)
            async with trio.open_nursery() as connections:
                async with trio.open_nursery() as doors:
                    doors.start_soon(
                        partial(
                            trio.serve_listeners, self._front_door.handle, self._listeners, handler_nursery=connections
                        )
                    )
                    task_status.started(self)
                    await self._stop_asked.wait()
                    self._drain_scope = connections.cancel_scope
                    connections.cancel_scope.deadline = self._deadline
                    await self._drain()
                    # Open until here: a balancer still asks, and is told that the server is stopping.
                    doors.cancel_scope.cancel()
                self._front_door.hurry()
            life.cancel_scope.cancel()

    async def stop(self, grace: float = 30.0) -> None:
        """Stop gracefully, within `grace` seconds: refuse new clients, close the rooms, then the connections.

        From a handler or a task of a room it only begins, and returns at once.
        """
        if not self._is_serving:
            return
        self._deadline = min(self._deadline, trio.current_time() + grace)
        if self._drain_scope is not None:
            self._drain_scope.deadline = self._deadline
        life = LIFE.get()
        if life is None:
            if not self._stop_asked.is_set():
                self._may_let_go.set()
                self._stop_asked.set()
            await self._stopped.wait()
        elif not self._stop_asked.is_set():
            # The handler that asks still runs to its end, and its reply is sent.
            if not life.is_global:
                life.begin_close("shutdown")
            if not (life.is_global and self._hub.lobby.finish_turn(self._may_let_go.set)):
                self._may_let_go.set()
            self._stop_asked.set()

    async def _drain(self) -> None:
        """Let everyone go: rooms first, with their hooks, then the clients in batches."""
        self._front_door.is_open = False
        await self._hub.close_rooms("shutdown")
        await self._may_let_go.wait()
        clients = list(self.clients.values())
        size = max(_BATCH, math.ceil(len(clients) / _BATCHES))
        for at in range(0, len(clients), size):
            for client in clients[at : at + size]:
                await client.close(CloseCode.SHUTDOWN, "shutdown")
            if at + size < len(clients):
                await trio.sleep(_BATCH_SECONDS)

    async def _heartbeat(self) -> None:
        """One task for all clients. Any byte is life."""
        bounds = [each for each in (self.limits.ping_seconds, self.limits.silence_seconds) if each is not None]
        if not bounds:
            return
        seconds = min(bounds) / 4
        while True:
            await trio.sleep(seconds)
            # However long this round took to come, it counts as one: a loop that was blocked is nobody's silence.
            for client in list(self.clients.values()):
                client.beat(seconds)
