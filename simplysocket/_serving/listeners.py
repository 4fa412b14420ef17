"""Listeners: the sockets that a server accepts connections from.

Laws:
- Port 0 becomes the same free port in all address families of the host.
- An error names the host, the port or the path.
- A Unix socket's file is removed only by the server that bound it.
"""

import contextlib
import errno
import ipaddress
import os
import socket
import ssl
import stat

import attrs
import trio

_BACKLOG = 1_024  # connections that may wait in the kernel; Linux allows at most net.core.somaxconn
_PORT_TRIES = 20  # to find a number that is free in every address family


def check_tls(ssl_context: ssl.SSLContext | None, port: int | None) -> None:
    """Refuse a TLS context that could not serve."""
    if ssl_context is None:
        return
    if not isinstance(ssl_context, ssl.SSLContext) or ssl_context.protocol == ssl.PROTOCOL_TLS_CLIENT:
        raise TypeError(
            f"ssl_context={ssl_context!r}: give an ssl.SSLContext of a server, as ssl.create_default_context("
            "ssl.Purpose.CLIENT_AUTH) makes one, with load_cert_chain(cert, key)"
        )
    if port is None:
        raise ValueError("ssl_context is for the port, and there is none: give port=")


async def open_tcp(host: str | None, port: int) -> list[trio.SocketListener]:
    """Listen on every address of `host`; None and `::` are every address of the machine. OSError when that fails."""
    if not isinstance(port, int) or not 0 <= port <= 65_535:
        raise ValueError(f"port {port!r}: give a number from 0 to 65535; 0 takes one that is free")
    if not isinstance(host, (str, type(None))):
        raise TypeError(f"host {host!r}: give a name or an address first, or only port={host!r}")
    if host is not None and _is_every_address(host):
        host = None  # trio's sockets of IPv6 take no IPv4
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


def _is_every_address(host: str) -> bool:
    """Tell whether `host` is the address of IPv6 that stands for all, however it is written."""
    try:
        return ipaddress.IPv6Address(host).is_unspecified
    except ValueError:
        return False


async def _open_once(host: str | None, port: int) -> list[trio.SocketListener]:
    name = "this machine" if host is None else repr(host)
    try:
        return await trio.open_tcp_listeners(port, host=host, backlog=_BACKLOG)
    except UnicodeError:  # the name cannot be asked for
        raise socket.gaierror(socket.EAI_NONAME, f"the host {host!r} is not known: it is no valid name") from None
    except socket.gaierror as exc:
        raise socket.gaierror(exc.errno, f"the host {host!r} is not known ({exc.strerror})") from exc
    except OSError as exc:
        if exc.errno == errno.EADDRINUSE:
            raise OSError(exc.errno, f"port {port} of {host or 'this machine'} is in use: take another one") from exc
        if exc.errno != errno.EADDRNOTAVAIL or host is None:
            raise OSError(exc.errno, f"cannot listen on port {port} of {name}: {exc.strerror or exc}") from exc
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


@attrs.define
class UnixSocket:
    """A Unix socket that listens, and the file that it was bound to."""

    listener: trio.SocketListener
    _path: str  # absolute: the program may change its directory
    _file: tuple[int, int] | None  # its device and inode; None for one without a file

    def remove_file(self) -> None:
        """Remove the file, unless it is another server's by now. Call it before the listener closes.

        Afterwards the inode is free, and another server's file may get its number.
        """
        if self._file is not None and _identify(self._path) == self._file:
            with contextlib.suppress(OSError):  # such as a folder that cannot be written: the next server replaces it
                os.unlink(self._path)


async def open_unix(path: str | os.PathLike[str]) -> UnixSocket:
    """Listen on a Unix socket. The file of a server that has ended is replaced."""
    absolute = os.path.join(os.getcwd(), path)
    listening = trio.socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        await _make_way(str(path))
        await listening.bind(str(path))
        file = _identify(absolute)
        listening.listen(_BACKLOG)
    except OSError as exc:
        listening.close()
        raise OSError(exc.errno, f"cannot listen on {str(path)!r}: {exc.strerror or exc}") from exc
    except BaseException:
        listening.close()
        raise
    return UnixSocket(trio.SocketListener(listening), absolute, file)


async def _make_way(path: str) -> None:
    """Remove the socket file of a server that has ended; OSError if there is anything else."""
    place = trio.Path(path)
    if not await place.exists():
        return
    if not stat.S_ISSOCK((await place.stat()).st_mode):
        raise FileExistsError(errno.EEXIST, f"{path!r} exists and is no socket")
    with socket.socket(socket.AF_UNIX) as probe, contextlib.suppress(BlockingIOError):  # more wait than it takes
        probe.setblocking(False)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            await place.unlink()
            return
    raise OSError(errno.EADDRINUSE, f"a server is listening on {path!r} already")


def _identify(path: str) -> tuple[int, int] | None:
    """Return the device and the inode of a file; None if there is none, as for Linux's abstract names."""
    try:
        found = os.lstat(path)
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino
