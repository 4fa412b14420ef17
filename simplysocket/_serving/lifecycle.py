"""The lifecycle: how a server starts, serves, drains and stops.

Laws:
- No message passes through here.
- The nursery of the rooms is around that of the connections, and this is around that of the
  listeners. Each ends before the one around it.
"""

import logging
import math
import os
import ssl
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import trio

from .._log_limit import LOG_LIMIT, SECONDS
from .._rooms.tasks import CURRENT_ROOM
from .._sessions.session import Session
from ..errors import CloseCode
from .accepting import accept_all
from .assembly import Assembly
from .listeners import UnixSocket, check_tls, open_tcp, open_unix

logger = logging.getLogger("simplysocket.server")

_BATCH: Final = 100  # clients closed at a time when the server stops, so that not all of them come back at once
_BATCHES: Final = 20  # at most; with more clients the batches are larger
_BATCH_SECONDS: Final = 0.05  # between two batches
_LOOK_SECONDS: Final = 0.5  # between two looks whether games are still played; one takes 1 ms for 10,000 rooms
_A_PASS: Final = 100  # clients pinged or closed in one pass of the scheduler, which takes 1 to 4 ms

AnyListener = trio.abc.Listener[Any]  # Any: each listener has its own kind of stream


class Lifecycle:
    """Serves one server, and stops it. `serve` may be called again after it has ended."""

    def __init__(self, assembly: Assembly) -> None:
        self._assembly = assembly
        self.trio_token: trio.lowlevel.TrioToken | None = None  # of the loop it runs in, while it runs
        self._listeners: list[AnyListener] = []
        # Made anew each time the server serves.
        self._stop_asked = trio.Event()
        self._stopped = trio.Event()
        self._may_let_go = trio.Event()
        self._deadline = math.inf
        self._finish = trio.CancelScope()  # around the time in which the games may still be finished
        self._drain_scope: trio.CancelScope | None = None

    @property
    def port(self) -> int:
        """The TCP port, which is the same in every address family; RuntimeError if there is none."""
        for listener in self._listeners:
            inner = listener.transport_listener if isinstance(listener, trio.SSLListener) else listener
            if isinstance(inner, trio.SocketListener):
                name = inner.socket.getsockname()
                if isinstance(name, tuple):
                    return int(name[1])
        raise RuntimeError("the server listens on no TCP port: serve it first, with a port")

    async def serve(
        self,
        host: str | None,
        port: int | None,
        unix: str | os.PathLike[str] | None,
        listeners: Iterable[AnyListener],
        ssl_context: ssl.SSLContext | None,
        started: Callable[[], None],
    ) -> None:
        """Serve until stopped or cancelled. `started` is called when the server listens."""
        assembly = self._assembly
        if assembly.is_serving:
            raise RuntimeError(f"server {assembly.name!r} is serving already")
        check_tls(ssl_context, port)
        assembly.check()
        assembly.is_serving = True
        LOG_LIMIT.begin_anew()
        self.trio_token = trio.lowlevel.current_trio_token()
        self._stop_asked, self._stopped, self._may_let_go = trio.Event(), trio.Event(), trio.Event()
        self._deadline, self._drain_scope, self._finish = math.inf, None, trio.CancelScope()
        assembly.front_door.is_open = True
        unix_socket: UnixSocket | None = None
        try:
            self._listeners = list(listeners)
            if port is not None:
                tcp = await open_tcp(host, port)
                self._listeners += [trio.SSLListener(each, ssl_context) for each in tcp] if ssl_context else tcp
            if unix is not None:
                unix_socket = await open_unix(unix)
                self._listeners.append(unix_socket.listener)
                if not assembly.trusts_unix:
                    logger.warning(
                        "who connects to the Unix socket has no address, so that connections_per_address and the rates"
                        " of an address do not count: if it is a proxy that sets X-Forwarded-For, give"
                        ' Server(trusted_proxies=["unix"])'
                    )
            if not self._listeners:
                raise ValueError("serve on what? give port=, unix= or listeners=")
            await self._run(started)
        finally:
            if unix_socket is not None:
                unix_socket.remove_file()
            for listener in self._listeners:
                with trio.CancelScope(shield=True) as scope:
                    scope.cancel()
                    await listener.aclose()
            self._listeners = []
            assembly.is_serving = False
            self.trio_token = None
            LOG_LIMIT.begin_anew()
            self._stopped.set()

    async def _run(self, started: Callable[[], None]) -> None:
        assembly = self._assembly
        async with trio.open_nursery() as rooms:
            await rooms.start(assembly.budget.run)
            await rooms.start(assembly.hub.watch.run)
            await rooms.start(assembly.epoll_reader.run)
            assembly.hub.begin(rooms)
            rooms.start_soon(self._heartbeat)
            rooms.start_soon(_tell_left_out)
            rooms.start_soon(assembly.outboxes.watch)
            rooms.start_soon(assembly.expiry.run)
            async with trio.open_nursery() as connections:
                assembly.admission.begin(connections)
                connections.start_soon(assembly.returns.run)
                async with trio.open_nursery() as listeners:
                    for each in self._listeners:
                        listeners.start_soon(accept_all, each, connections, assembly.front_door.handle, assembly.budget)
                    started()
                    await self._stop_asked.wait()
                    assembly.front_door.is_open = False
                    await self._let_finish()
                    self._drain_scope = connections.cancel_scope
                    connections.cancel_scope.deadline = self._deadline
                    await self._drain()
                    # Open until here, so that a load balancer that asks is told that the server is stopping.
                    listeners.cancel_scope.cancel()
                assembly.front_door.hurry()
            rooms.cancel_scope.cancel()

    async def stop(self, grace: float, *, finish: bool) -> None:
        """Stop gracefully, within `grace` seconds; with `finish`, let the games play on so long, and then stop.

        Code of a room is not made to wait: its call only begins the stop, and returns.
        """
        hub, now = self._assembly.hub, trio.current_time()
        if not self._assembly.is_serving:
            return
        if finish:
            self._finish.deadline = min(self._finish.deadline, now + grace)
            grace += self._assembly.limits.drain_seconds
        else:
            self._finish.cancel()
        self._deadline = min(self._deadline, now + grace)
        if self._drain_scope is not None:
            self._drain_scope.deadline = self._deadline
        room = CURRENT_ROOM.get()
        if room is None or room.home is not hub:  # code of a room of another server may wait
            if not self._stop_asked.is_set():
                self._may_let_go.set()
                self._stop_asked.set()
            await self._stopped.wait()
        elif not self._stop_asked.is_set():
            # The handler that called still runs to its end, and its reply is sent.
            if not room.is_global and not finish:
                room.closing.begin("shutdown")
            if not (room.is_global and room.turns.finish_own_turn(self._may_let_go.set)):
                self._may_let_go.set()
            self._stop_asked.set()

    async def _let_finish(self) -> None:
        """Let the members of the rooms play on, as long as `stop` said; nobody joins any more."""
        hub, door = self._assembly.hub, self._assembly.front_door
        if self._finish.cancel_called:
            return
        hub.stops_at = self._finish.deadline
        door.takes_back = True
        with self._finish:
            await _for_each(list(hub.clients.values()), hub.tell_of_stop)
            while True:
                await trio.sleep(_LOOK_SECONDS)
                if not any(runtime.members and not runtime.is_global for runtime in hub.runtimes.values()):
                    break
        door.takes_back = False

    async def _drain(self) -> None:
        """Close the rooms, with their hooks, and then the connections in batches."""
        hub = self._assembly.hub
        await hub.close_rooms("shutdown")
        await self._may_let_go.wait()
        sessions = list(hub.clients.values())
        logger.debug("closing %d connections", len(sessions))
        size = max(_BATCH, math.ceil(len(sessions) / _BATCHES))
        for at in range(0, len(sessions), size):
            await _for_each(sessions[at : at + size], self._shut)
            if at + size < len(sessions):
                await trio.sleep(_BATCH_SECONDS)
        self._assembly.returns.end()

    def _shut(self, session: Session) -> None:
        if session.is_away:
            self._assembly.hub.end(session, CloseCode.SHUTDOWN, "shutdown")
        else:
            session.close(CloseCode.SHUTDOWN, "shutdown")

    async def _heartbeat(self) -> None:
        """Report the passing of time to all connections, which ping or close silent peers."""
        limits = self._assembly.limits
        bounds = [each for each in (limits.ping_seconds, limits.silence_seconds) if each is not None]
        if not bounds:
            return
        seconds = min(bounds) / 4
        while True:
            await trio.sleep(seconds)
            # A late round counts as one, so that a blocked loop does not make clients count as silent.
            await _for_each(list(self._assembly.hub.clients.values()), lambda session: session.beat(seconds))


async def _for_each(sessions: Sequence[Session], act: Callable[[Session], None]) -> None:
    """Call `act` for each of these, and let others run in between: thousands that came at once are pinged at once."""
    for number, session in enumerate(sessions, 1):
        act(session)
        if number % _A_PASS == 0:
            await trio.lowlevel.checkpoint()  # not a turn of the budget: others who want theirs would hold up a stop


async def _tell_left_out() -> None:
    """Let the log say what it has left out, also when no further line comes."""
    while True:
        await trio.sleep(SECONDS)
        LOG_LIMIT.tell()
