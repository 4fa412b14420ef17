"""The server, as users see it: to register actions, rooms and hooks, and to run.

Law: a facade. It checks its arguments and hands them on to the assembly and the lifecycle.
"""

import os
import ssl
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import Any

import trio

from ._dispatch.chain import check_error_class
from ._live_view import LiveView
from ._own_names import ServerNames
from ._protocol import codec
from ._rooms.room_tree import build_tree
from ._serving.admission import Connecting, Disconnecting
from ._serving.assembly import Assembly, RoomClass, Strings
from ._serving.authentication import Asked
from ._serving.gauges import statistics_of
from ._serving.lifecycle import Lifecycle
from ._serving.signals import name_places, run_program
from ._sessions.outbound_hooks import Hook
from ._stderr import tell
from .actions import Actions, Handler, Mark, Predicate
from .brokers import Broker
from .client import Client
from .errors import RegistrationError
from .introspection import Description, Tree
from .limits import Limits
from .metrics import Metrics
from .middleware import Call, Error, Reply, Ware
from .room import Room


class Server(ServerNames):
    """A server of rooms. Register actions and room classes, then `run` it, or `serve` it in a nursery of your own.

    `name`: the sender of the server's own messages. `limits`: the bounds of the server. `path`: where
    WebSockets connect, one path or several. `origins`: the pages that may connect, such as
    `["https://example.com", "https://*.example.com"]`, in which `*` is one label; `"null"` and `"file://"`
    are pages from files; None: the pages of the same host and port. `hosts`: the names by which the server
    may be asked for, such as `["play.example.com"]`; None: any. `trusted_proxies`: addresses
    and networks of proxies whose X-Forwarded-For and -Proto are believed, `"unix"` for a Unix socket. `relay`: a
    message that no handler takes is sent to everyone in its room. `direct`: clients that share a room
    may send messages to each other. `open_rooms`: a join may create a room whose name matches no
    registered class. `connections_per_user`: how many clients a user may have; None: any number. One more is let in,
    and the oldest one of the user is closed with 3504. `state`: a function or class that is called without arguments
    for each new client, and returns its `client.state`. `broker`: carries the rooms' messages to their members.

    Raises `RegistrationError` or `ValueError` for an option that cannot work.
    """

    name: str
    """The server's name: the sender of its own messages."""
    limits: Limits
    """The bounds of the server."""
    metrics: Metrics
    """The counters since the server was made, by attribute. `statistics()` returns them as a dict."""

    def __init__(
        self,
        name: str = "simplysocket",
        *,
        limits: Limits | None = None,
        path: str | Sequence[str] = "/ws",
        origins: Strings | None = None,
        hosts: Strings | None = None,
        trusted_proxies: Strings = (),
        relay: bool = False,
        direct: bool = False,
        open_rooms: bool = True,
        connections_per_user: int | None = None,
        state: Callable[[], object] = dict,
        broker: Broker | None = None,
    ) -> None:
        self._assembly = Assembly(
            self,
            name,
            limits=limits,
            path=path,
            origins=origins,
            hosts=hosts,
            trusted_proxies=trusted_proxies,
            relay=relay,
            direct=direct,
            open_rooms=open_rooms,
            connections_per_user=connections_per_user,
            state=state,
            broker=broker,
        )
        self.name, self.limits, self.metrics = name, self._assembly.limits, self._assembly.metrics
        self._lifecycle = Lifecycle(self._assembly)

    def __repr__(self) -> str:
        return f"<Server {self.name!r} with {len(self.clients)} clients in {len(self.rooms)} rooms>"

    # --- registering

    def action(
        self, name: str, *, turn: bool = True, cancel: bool = False, only: Predicate | None = None
    ) -> Callable[[Handler], Handler]:
        """Register a handler for an action, for each room whose class has no handler of its own for it.

        The handler gets arguments and replies as in `simplysocket.action`, which also explains `turn`,
        `cancel` and `only`.

        >>> @server.action("ping-all")
        ... async def ping_all(client: Client, room: Room) -> None: ...
        """
        mark = Mark(name, turn, cancel, only)

        def register(handler: Handler) -> Handler:
            self._assembly.registry.add(mark, handler)
            return handler

        return register

    def on_message(self, handler: Handler) -> Handler:
        """Register a handler for messages that no action takes; the value it returns is the reply.

        It is called before a message is relayed, but not if the room's class has an `on_message`. Its
        parameters are those of an action's handler; one called client, room, message or call needs no annotation.
        """
        self._assembly.check_idle("on_message")
        self._assembly.registry.add_fallback(handler)
        return handler

    def include(self, actions: Actions) -> None:
        """Register all actions of a group, with their middleware."""
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
        """Register `async def (call, error)` for exceptions of handlers; the value it returns is the reply.

        It may raise `ActionError` instead. If several match, the one for the most specific class is called.
        """
        check_error_class(error_class)

        def register(handler: Callable[[Call, Error], Reply]) -> Callable[[Call, Error], Reply]:
            self._assembly.check_idle("exception handlers")
            self._assembly.registry.exceptions.add(error_class, handler)
            return handler

        return register

    def outbound(self, hook: Hook) -> Hook:
        """Register a plain `def (message)` that may change or stop the messages to rooms and clients.

        It is called once for each message, however many members a broadcast has: for those of your code, and for
        relayed and direct ones, but not for requests, replies and errors. It returns the message, or another one with
        a new action, body or sender (`attrs.evolve(message, body=...)`), or None to stop it. A hook that raises stops
        the message, too, and is logged. Hooks are called in the order in which they were registered.
        """
        self._assembly.hub.outbound.add(hook)
        return hook

    def authenticate(self, function: Asked) -> Asked:
        """Register `async def (request)` that returns the `Identity` of a client that connects, or raises `Refuse`."""
        self._assembly.authentication.register(function)
        return function

    def on_connect(self, hook: Connecting) -> Connecting:
        """Register `async def (client, request)`, called for each new client before its first message is read.

        `ActionError` closes the connection with 1008 and its message. The hook has at most `Limits.handshake_seconds`.
        """
        self._assembly.admission.add_on_connect(hook)
        return hook

    def on_resume(self, hook: Connecting) -> Connecting:
        """Register `async def (client, request)`, called when a client whose connection was lost comes back.

        It is called instead of `on_connect`, and like it may refuse the client; its session is then kept as it was.
        `client.identity` is the one from before; it becomes the new one afterwards, unless the hook calls `renew`.
        """
        self._assembly.admission.add_on_resume(hook)
        return hook

    def on_disconnect(self, hook: Disconnecting) -> Disconnecting:
        """Register `async def (client, reason)`, called for a client that is gone, after `on_leave` in all its rooms.

        `reason` is "disconnected", or a word for why the server closed it. The hook has at most `Limits.close_seconds`.
        """
        self._assembly.admission.add_on_disconnect(hook)
        return hook

    def room(self, pattern: str) -> Callable[[RoomClass], RoomClass]:
        """Register a Room class for the rooms whose names match `pattern`, in which `*` is any characters.

        If several patterns match, the one with the longest literal beginning counts. The first join creates a room.
        """
        if not isinstance(pattern, str) or not pattern:
            raise RegistrationError(f'{pattern!r} is no pattern of room names: write `@server.room("game-*")`')
        return partial(self._assembly.add_room_class, pattern)

    def static(self, url: str, directory: str | Path) -> None:
        """Serve the files below a directory to plain HTTP requests under `url`, as they are now.

        `index.html` is served under its folder's name, too, and a `/simplysocket.js` in place of ours.
        Hidden files, links to folders and links that lead out of the directory are left out. All files
        are held in memory, at most `Limits.static_bytes`. `RegistrationError` if that cannot work.

        >>> server.static("/", Path(__file__).with_name("static"))
        """
        self._assembly.pages.files.add_directory(url, directory)

    # --- while it runs

    @property
    def rooms(self) -> Mapping[str, Room[Any]]:
        """The rooms, {name: room}; the global room is one of them. A live view; an iteration goes over a snapshot."""
        return LiveView(self._assembly.hub.runtimes, attrgetter("room"))

    @property
    def clients(self) -> Mapping[str, Client[Any]]:
        """The clients, connected or away, {id: client}. A live view; an iteration goes over a snapshot."""
        return LiveView(self._assembly.hub.clients, attrgetter("client"))

    @property
    def port(self) -> int:
        """The TCP port, the same in every address family; RuntimeError if the server listens on none."""
        return self._lifecycle.port

    @property
    def trio_token(self) -> trio.lowlevel.TrioToken | None:
        """The token of the trio loop that the server runs in; None while it does not run."""
        return self._lifecycle.trio_token

    def describe(self) -> Description:
        """Return what is registered, and the settings, as values: `simplysocket check` prints them."""
        return self._assembly.describe()

    def statistics(self) -> dict[str, Any]:
        """Return the counters since the server was made, and what there is now, such as `connections` and `rooms`.

        The page "Log and look inside" lists the keys. Most values are integers; `connections_closed` is
        {close code: how often}, `upgrades_refused` {HTTP status: how often}, and `messages_refused`
        {error code: how often}.
        """
        return statistics_of(self._assembly)

    def tree(self) -> Tree:
        """Return the rooms at this moment, with the handlers, tasks and timers that run in each: `print` it."""
        return build_tree(self._assembly.hub)

    async def broadcast(
        self,
        action: str,
        body: object = codec.NO_BODY,
        *,
        sender: Client[Any] | str | None = None,
        exclude: Client[Any] | Iterable[Client[Any]] = (),
        volatile: bool = False,
        coalesce: str | None = None,
    ) -> None:
        """Send a message to every client that is connected. Never waits; the options are those of `Room.broadcast`."""
        room = self._assembly.hub.global_room.room
        await room.broadcast(action, body, sender=sender, exclude=exclude, volatile=volatile, coalesce=coalesce)

    async def open_room(self, name: str, options: dict[str, Any] | None = None) -> Room[Any]:
        """Return the room of this name, and create it if there is none, even if its class has `open = False`.

        `options` becomes `room.options` of a new room. A new room has no `creator`, and waits for its first member, at
        most `unjoined_ttl`; from then on `empty_ttl` counts. `ActionError` with the code that `on_create` gave if the
        room cannot be created; from a handler, `busy` if its turn does not come within `Limits.turn_seconds`.
        """
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
        tune_gc: bool = True,
    ) -> None:
        """Run until SIGINT, SIGTERM or SIGHUP, then stop gracefully within `Limits.drain_seconds`, and return.

        A second signal ends the process at once, with the code 128 + its number; so does the end of the time. If it
        cannot listen, the program ends with one line that says why. `tune_gc=False` leaves the garbage
        collector as it is; otherwise it looks at all objects very rarely. All else is as in `serve`.
        """
        if trio.lowlevel.in_trio_run():
            raise RuntimeError("run() is for programs: inside of trio, `await server.serve(...)` in a nursery of yours")

        def listens() -> None:
            where = name_places(self, host, unix, is_tls=ssl_context is not None)
            tell(f"{self.name} listens{where and f' on {where}'} (Ctrl+C stops)")

        serving = partial(self.serve, host, port, unix=unix, listeners=listeners, ssl_context=ssl_context)
        error = run_program(serving, self.stop, grace=self.limits.drain_seconds, tune_gc=tune_gc, listens=listens)
        if error is not None:
            raise SystemExit(f"{self.name}: {error.strerror or error}")

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
        """Serve until stopped or cancelled. A cancellation ends rooms and connections at once; `stop` drains them.

        Give `port`, `unix`, `listeners`, or several of them. `host` is a name or an address; None is every address of
        the machine. `port` 0 takes a free port, the same for every address: see `server.port`. `unix` is the path of
        a Unix socket. `listeners` are trio listeners of your own, which the server closes. `ssl_context` is for the
        port. `await nursery.start(server.serve, "localhost", 8080)` returns the server when it listens. Raises
        OSError if it cannot listen, and RuntimeError if it is serving already.
        """
        if not trio.lowlevel.in_trio_run():
            raise RuntimeError(
                "serve() needs trio: call it inside of trio.run(...), or `server.run(...)` for a program"
            )
        await self._lifecycle.serve(host, port, unix, listeners, ssl_context, partial(task_status.started, self))

    async def stop(self, grace: float = 30.0, finish: bool = False) -> None:
        """Stop gracefully: refuse new clients, close the rooms with their `on_close`, then close the connections.

        The clients get the close code 3001 (`SHUTDOWN`). After `grace` seconds the rest is cancelled. Returns when
        `serve` has ended, or at once if the server does not run. A call by a handler, hook or task of one of its
        rooms also returns at once; the server then stops after that handler. With `finish=True` nobody joins any more
        and the members of rooms play on, for `grace` seconds at most: another call, without it, stops them at once.
        """
        await self._lifecycle.stop(grace, finish=finish)
