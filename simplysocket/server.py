"""The server, as users see it: what they register, and how they run it.

Law: a facade. It checks what users give and hands on to the assembly and the lifecycle.
"""

import os
import signal
import ssl
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import attrs
import trio

from ._dispatch.chain import check_error_class
from ._protocol import codec
from ._rooms.views import look
from ._serving.admission import Authenticate, Connecting, Disconnecting
from ._serving.assembly import Assembly, RoomClass, Strings
from ._serving.lifecycle import Lifecycle
from ._serving.signals import name_places, run_program
from ._sessions.clients_view import ClientsView
from ._sessions.outbound_hooks import Hook
from .actions import Actions, Handler, Mark
from .brokers import Broker
from .client import Client
from .errors import RegistrationError
from .introspection import Description, Tree
from .limits import Limits
from .metrics import Metrics
from .middleware import Call, Error, Reply, Ware
from .room import Room

Asked = TypeVar("Asked", bound=Authenticate)


class Server:
    """A server of rooms: register actions and room classes, then `run` it, or `serve` it in a nursery of your own.

    `name` is the sender of the server's own messages. `path`: where WebSockets
    connect, one path or several. `origins`: which pages may connect, such as
    `["https://example.com"]`; None: pages of the same host and port. `relay`: a
    message that no handler takes goes to everyone in its room. `direct`: clients
    may send messages to each other if they share a room. `open_rooms`: a join may open a
    room whose name fits no registered class. `trusted_proxies`: addresses and
    networks whose X-Forwarded-For is believed, `"unix"` for a Unix socket. `state`:
    called for each new client; what it returns is `client.state`. `broker`: what
    carries the rooms' messages.
    """

    name: str
    """The name it was made with: the sender of its own messages."""
    limits: Limits
    """Its limits."""
    metrics: Metrics
    """Its counters; `statistics()` adds how many there are now."""

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
        self._assembly = Assembly(
            self,
            name,
            limits=limits,
            path=path,
            origins=origins,
            trusted_proxies=trusted_proxies,
            relay=relay,
            direct=direct,
            open_rooms=open_rooms,
            state=state,
            broker=broker,
        )
        self._lifecycle = Lifecycle(self._assembly)
        self.name, self.limits, self.metrics = name, self._assembly.limits, self._assembly.metrics

    def __repr__(self) -> str:
        return f"<Server {self.name!r} with {len(self.clients)} clients in {len(self.rooms)} rooms>"

    # --- registering

    def action(self, name: str, *, turn: bool = True, cancel: bool = False) -> Callable[[Handler], Handler]:
        """Register a handler for an action, for every room that has no handler of its own for it.

        `turn=False`: the handler runs outside the turn, as a task of the room; use it for what takes
        long. `cancel=True`: the handler is cancelled when its caller cancels, times out or
        disconnects. With `turn=False` this is always so.

        >>> @server.action("ping-all")
        ... async def ping_all(client: Client, room: Room) -> None: ...
        """
        mark = Mark(name, turn, cancel)

        def register(handler: Handler) -> Handler:
            self._assembly.registry.add(mark, handler)
            return handler

        return register

    def on_message(self, handler: Handler) -> Handler:
        """Register a handler for messages that no action takes; its parameters are given by annotation.

        A room class's own `on_message` comes first.
        """
        self._assembly.check_idle("on_message")
        self._assembly.registry.add_fallback(handler)
        return handler

    def include(self, actions: Actions) -> None:
        """Register all actions of a group."""
        self._assembly.registry.include(actions)

    def middleware(self, ware: Ware) -> Ware:
        """Put `async def (call, next)` around the handlers of every room; the first one written is the outermost.

        >>> @server.middleware
        ... async def log(call: Call, next: Next) -> object:
        ...     print(call.client.name, call.action)
        ...     return await next(call)
        """
        self._assembly.check_idle("middleware")
        self._assembly.registry.add_middleware(ware)
        return ware

    def exception_handler(
        self, error_class: type[Error]
    ) -> Callable[[Callable[[Call, Error], Reply]], Callable[[Call, Error], Reply]]:
        """Register `async def (call, error)` for what handlers raise: what it returns is the reply.

        It may raise `ActionError` instead. Of several handlers that fit, the one for the most specific class is called.
        """
        check_error_class(error_class)

        def register(handler: Callable[[Call, Error], Reply]) -> Callable[[Call, Error], Reply]:
            self._assembly.check_idle("exception handlers")
            self._assembly.registry.exceptions.add(error_class, handler)
            return handler

        return register

    def outbound(self, hook: Hook) -> Hook:
        """Register a plain `def (message)` that sees each message to rooms and clients before it is sent, once.

        It returns the message, another one (`attrs.evolve(message, body=...)`), or
        None to stop it. It does not see requests, replies and errors.
        """
        self._assembly.hub.outbound.add(hook)
        return hook

    def authenticate(self, function: Asked) -> Asked:
        """Register `async def (request)` that returns the `Identity` of a client that connects, or raises `Refuse`."""
        self._assembly.admission.set_authenticate(function)
        return function

    def on_connect(self, hook: Connecting) -> Connecting:
        """Register `async def (client, request)`, called for each new client before its first message is read.

        `ActionError` closes the connection with 1008 and its message. It has `Limits.handshake_seconds`.
        """
        self._assembly.admission.add_on_connect(hook)
        return hook

    def on_disconnect(self, hook: Disconnecting) -> Disconnecting:
        """Register `async def (client, reason)`, called when a client's connection has ended.

        `reason` is "disconnected", or in a word why the server closed it. It has `Limits.close_seconds`.
        """
        self._assembly.admission.add_on_disconnect(hook)
        return hook

    def room(self, pattern: str) -> Callable[[RoomClass], RoomClass]:
        """Register a Room class for the rooms whose names have this shape; `*` stands for any characters.

        Of several patterns that fit, the one with the longest literal beginning
        counts. Such a room is created at the first join.
        """
        if not isinstance(pattern, str) or not pattern:
            raise RegistrationError(f'{pattern!r} is no pattern of room names: write `@server.room("game-*")`')
        return partial(self._assembly.add_room_class, pattern)

    def static(self, url: str, directory: str | Path) -> None:
        """Serve the files below a directory, as they are now, to plain HTTP requests under `url`.

        `index.html` is served under its folder's name, too. Hidden files, links to folders
        and links that lead out of the directory are left out. All files are held in
        memory, at most `Limits.static_bytes`. `RegistrationError` where that cannot work.

        >>> server.static("/", Path(__file__).with_name("static"))
        """
        self._assembly.pages.files.add_directory(url, directory)

    # --- while it runs

    @property
    def rooms(self) -> Mapping[str, Room[Any]]:
        """The rooms, {name: room}, at this moment."""
        return {name: runtime.room for name, runtime in self._assembly.hub.runtimes.items()}

    @property
    def clients(self) -> Mapping[str, Client[Any]]:
        """The clients that are connected, {id: client}. A live view; an iteration goes over a snapshot."""
        return ClientsView(self._assembly.hub.clients)

    @property
    def port(self) -> int:
        """The TCP port, the same for every address family."""
        return self._lifecycle.port

    @property
    def trio_token(self) -> trio.lowlevel.TrioToken | None:
        """The token of the loop it runs in; None when it does not run."""
        return self._lifecycle.trio_token

    def describe(self) -> Description:
        """Return what was registered and set, as `simplysocket check` shows it."""
        return self._assembly.describe()

    def statistics(self) -> dict[str, Any]:
        """Return the counters since the server was made, and the numbers of connections, clients and rooms now."""
        return {
            **attrs.asdict(
                self.metrics, value_serializer=lambda _, __, value: dict(value) if isinstance(value, dict) else value
            ),
            "connections": self._assembly.front_door.connections,
            "clients": len(self._assembly.hub.clients),
            "rooms": len(self._assembly.hub.runtimes),
        }

    def tree(self) -> Tree:
        """Return a view of the rooms at this moment, and of what runs in each; `print(server.tree())`."""
        return look(self._assembly.hub)

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
        room = self._assembly.hub.global_room.room
        await room.broadcast(action, body, sender=sender, exclude=exclude, volatile=volatile, coalesce=coalesce)

    async def open_room(self, name: str, options: dict[str, Any] | None = None) -> Room[Any]:
        """Return the room of this name, opened if there is none. It stays open until its first member has left."""
        return await self._assembly.hub.open_room(name, options or {})

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

        def listens() -> None:
            where = name_places(self, host, unix, is_tls=ssl_context is not None)
            print(f"{self.name} listens{where and f' on {where}'} (Ctrl+C stops)", file=sys.stderr)

        serving = partial(self.serve, host, port, unix=unix, listeners=listeners, ssl_context=ssl_context)
        signals, grace = (signal.SIGINT, signal.SIGTERM), self.limits.drain_seconds
        error = trio.run(partial(run_program, serving, self.stop, signals=signals, grace=grace, listens=listens))
        if error is not None:
            raise SystemExit(f"{self.name}: {getattr(error, 'strerror', None) or error}")

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
        listeners of your own, which the server closes. With `nursery.start` it returns the
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
        await self._lifecycle.serve(host, port, unix, listeners, ssl_context, partial(task_status.started, self))

    async def stop(self, grace: float = 30.0) -> None:
        """Stop gracefully, within `grace` seconds: refuse new clients, close the rooms, then the connections.

        Called from a handler or a task of a room it returns at once, and the server stops after that handler.
        """
        await self._lifecycle.stop(grace)
