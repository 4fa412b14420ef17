"""The server: runs the application, and holds the nurseries it lives in.

Laws: nothing here is on the way of a message. The nurseries, from the outside
in: the life of rooms; connections; the doors. Each ends before the one around it.
"""

import logging
import math
import os
import signal
import ssl
import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any

import attrs
import trio

from ._protocol import codec
from ._rooms.tasks import CURRENT_ROOM
from ._rooms.views import look
from ._serving.assembly import Application
from ._serving.listeners import open_tcp, open_unix, remove_unix
from ._serving.signals import name_places, run_program
from .client import Client
from .errors import CloseCode
from .introspection import Tree
from .room import Room

logger = logging.getLogger("simplysocket.server")

_BATCH = 100  # clients that are told to go at once when the server stops, so that they do not come back all at once
_BATCHES = 20
_BATCH_SECONDS = 0.05


class Server(Application):
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

    trio_token: trio.lowlevel.TrioToken | None = None
    """Of the loop it runs in, while it runs."""
    _listeners: Sequence[trio.abc.Listener[Any]] = ()  # Any: each listener has its own kind of stream
    # Of one time of serving, made anew by `serve`.
    _stop_asked: trio.Event
    _stopped: trio.Event
    _may_let_go: trio.Event
    _deadline: float
    _drain_scope: trio.CancelScope | None

    def __repr__(self) -> str:
        return f"<Server {self.name!r} with {len(self.clients)} clients in {len(self.rooms)} rooms>"

    # --- live

    @property
    def rooms(self) -> Mapping[str, Room[Any]]:
        """The rooms there are, by name, at this moment."""
        return {name: runtime.room for name, runtime in self._hub.runtimes.items()}

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
            "rooms": len(self._hub.runtimes),
        }

    def tree(self) -> Tree:
        """Return a view of the rooms at this moment, and of what runs in each; `print(server.tree())`."""
        return look(self._hub)

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
        await self._hub.global_room.room.broadcast(
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
        is_tls = ssl_context is not None

        def listens() -> None:
            where = name_places(self, host, unix, is_tls=is_tls)
            print(f"{self.name} listens{where and f' on {where}'} (Ctrl+C stops)", file=sys.stderr)

        serving = partial(self.serve, host, port, unix=unix, listeners=listeners, ssl_context=ssl_context)
        error = trio.run(
            partial(
                run_program,
                serving,
                self.stop,
                signals=(signal.SIGINT, signal.SIGTERM),
                grace=self.limits.drain_seconds,
                listens=listens,
            )
        )
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
        self.trio_token = trio.lowlevel.current_trio_token()
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
            self.trio_token = None
            self._stopped.set()

    async def _live(self, task_status: trio.TaskStatus["Server"]) -> None:
        async with trio.open_nursery() as runtime:
            await runtime.start(self._epoll_reader.run)
            self._hub.begin(runtime)
            runtime.start_soon(self._heartbeat)
            async with trio.open_nursery() as connections:
                async with trio.open_nursery() as doors:
                    listen = partial(trio.serve_listeners, handler_nursery=connections)
                    doors.start_soon(listen, self._front_door.handle, list(self._listeners))
                    task_status.started(self)
                    await self._stop_asked.wait()
                    self._drain_scope = connections.cancel_scope
                    connections.cancel_scope.deadline = self._deadline
                    await self._drain()
                    # Open until here: a balancer still asks, and is told that the server is stopping.
                    doors.cancel_scope.cancel()
                self._front_door.hurry()
            runtime.cancel_scope.cancel()

    async def stop(self, grace: float = 30.0) -> None:
        """Stop gracefully, within `grace` seconds: refuse new clients, close the rooms, then the connections.

        From a handler or a task of a room it only begins, and returns at once.
        """
        if not self._is_serving:
            return
        self._deadline = min(self._deadline, trio.current_time() + grace)
        if self._drain_scope is not None:
            self._drain_scope.deadline = self._deadline
        runtime = CURRENT_ROOM.get()
        if runtime is None or runtime.home is not self._hub:  # of another server it is a stranger's
            if not self._stop_asked.is_set():
                self._may_let_go.set()
                self._stop_asked.set()
            await self._stopped.wait()
        elif not self._stop_asked.is_set():
            # The handler that asks still runs to its end, and its reply is sent.
            if not runtime.is_global:
                runtime.begin_close("shutdown")
            if not (runtime.is_global and self._hub.global_room.finish_turn(self._may_let_go.set)):
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
        """One task for all clients. Any byte is runtime."""
        bounds = [each for each in (self.limits.ping_seconds, self.limits.silence_seconds) if each is not None]
        if not bounds:
            return
        seconds = min(bounds) / 4
        while True:
            await trio.sleep(seconds)
            # However long this round took to come, it counts as one: a loop that was blocked is nobody's silence.
            for client in list(self._hub.clients.values()):
                client.beat(seconds)
