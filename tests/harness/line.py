"""A line between clients and a server, which can be cut, held and blocked: a TCP proxy in threads.

Law: it forwards bytes and reads nothing in them, so a cut may fall anywhere in a frame.
"""

import contextlib
import socket
import struct
import threading
from types import TracebackType
from typing import Final

_CHUNK: Final = 4_096  # bytes
_RESET: Final = struct.pack("ii", 1, 0)  # SO_LINGER: a close sends RST, and drops what was not sent


class Line:
    """Forwards connections to a port of this machine during the block. `url` is where clients connect."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("localhost", 0))
        self.url = f"http://localhost:{self._listener.getsockname()[1]}"
        self.connections = 0  # that clients have made
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._lost: set[socket.socket] = set()  # clients' ends whose servers' ends are gone
        self._lock = threading.Lock()
        self._is_blocked = False
        self._flows = threading.Event()
        self._flows.set()

    def __enter__(self) -> "Line":
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        self._listener.close()
        self.cut()
        self._flows.set()

    def cut(self) -> None:
        """Reset every connection, in both directions."""
        with self._lock:
            pairs, self._pairs = self._pairs, []
        for each in (end for pair in pairs for end in pair):
            _reset(each)

    def lose(self) -> None:
        """Reset every connection at the server only: clients are not told, and what they send goes nowhere."""
        with self._lock:
            self._lost.update(client for client, _ in self._pairs)
            servers = [server for _, server in self._pairs]
        for each in servers:
            _reset(each)

    def block(self) -> None:
        """Reset every connection, and each that is made from now on."""
        self._is_blocked = True
        self.cut()

    def open(self) -> None:
        """Let connections through again."""
        self._is_blocked = False

    def hold(self) -> None:
        """Forward nothing any more; nobody is told."""
        self._flows.clear()

    def release(self) -> None:
        """Forward again, what was held first."""
        self._flows.set()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self.connections += 1
                self._connect(client)

    def _connect(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(("localhost", self._target))
        except OSError:
            client.close()
            return
        with self._lock:
            self._pairs.append((client, server))
        for source, target in ((client, server), (server, client)):
            source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._pump, args=(source, target), daemon=True).start()
        if self._is_blocked:
            self.cut()

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(_CHUNK):
                self._flows.wait()
                target.sendall(data)
            self._flows.wait()
            if target not in self._lost:
                target.shutdown(socket.SHUT_WR)


def _reset(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        end.shutdown(socket.SHUT_RDWR)  # wakes the thread that reads it
    end.close()
