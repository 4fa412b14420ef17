"""Listeners: the sockets that a server accepts connections from.

Law: port 0 becomes the same free port in all address families of the host.
"""

import errno
import os
import socket
import stat
from pathlib import Path

import trio

_BACKLOG = 1_024  # connections that may wait in the kernel; Linux allows at most net.core.somaxconn
_PORT_TRIES = 20  # to find a number that is free in every address family


async def open_tcp(host: str | None, port: int) -> list[trio.SocketListener]:
    """Listen on every address of `host`; None is every address of the machine. OSError when that fails."""
    if not isinstance(port, int) or not 0 <= port <= 65_535:
        raise ValueError(f"port {port!r}: give a number from 0 to 65535; 0 takes one that is free")
    if not isinstance(host, (str, type(None))):
        raise TypeError(f"host {host!r}: give a name or an address first, or only port={host!r}")
    for _ in range(_PORT_TRIES):
        listeners = await _open_once(host, port)
        numbers = {listener.socket.getsockname()[1] for listener in listeners}
        if len(numbers) == 1:
            return listeners
        # Port 0 gave each family a number of its own: try to take one of them for all.
        for listener in listeners:
            await listener.aclose()
        try:
            return await _open_once(host, min(numbers))
        except OSError as exc:
            if exc.errno != errno.EADDRINUSE:
                raise
    raise OSError(errno.EADDRINUSE, f"no port is free in every address family of {host!r}")


async def _open_once(host: str | None, port: int) -> list[trio.SocketListener]:
    try:
        return await trio.open_tcp_listeners(port, host=host, backlog=_BACKLOG)
    except OSError as exc:
        if exc.errno == errno.EADDRINUSE:
            raise OSError(exc.errno, f"port {port} of {host or 'this machine'} is in use: take another one") from exc
        if exc.errno != errno.EADDRNOTAVAIL or host is None:
            raise
    # A name such as localhost may have an address of a family that this machine lacks: listen on the others.
    listeners: list[trio.SocketListener] = []
    failure: OSError | None = None
    for info in await trio.socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE):
        try:
            listeners += await trio.open_tcp_listeners(port, host=str(info[4][0]), backlog=_BACKLOG)
        except OSError as exc:
            failure = exc
    if not listeners and failure is not None:
        raise OSError(
            failure.errno, f"host {host!r} is no address of this machine: take one of this machine's"
        ) from failure
    return listeners


async def open_unix(path: str | os.PathLike[str]) -> trio.SocketListener:
    """Listen on a Unix socket. The file of a server that has ended is replaced."""
    place = trio.Path(path)
    if await place.exists():
        if not stat.S_ISSOCK((await place.stat()).st_mode):
            raise FileExistsError(errno.EEXIST, f"{str(path)!r} exists and is no socket")
        try:
            with socket.socket(socket.AF_UNIX) as probe:
                probe.connect(str(path))
        except ConnectionRefusedError:
            await place.unlink()
        else:
            raise OSError(errno.EADDRINUSE, f"a server is listening on {str(path)!r} already")
    listening = trio.socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        await listening.bind(str(path))
        listening.listen(_BACKLOG)
    except BaseException:
        listening.close()
        raise
    return trio.SocketListener(listening)


def remove_unix(path: str | os.PathLike[str]) -> None:
    """Remove a Unix socket's file."""
    Path(path).unlink(missing_ok=True)
