"""The test kit: a server and its clients in memory, with virtual time and no ports.

>>> async def test_greeting(autojump_clock):
...     async with open_server(server) as net:
...         ana = await net.connect("ana")
...         await ana.request("join-room", {"roomname": "hall"})

The server is the real one, with its handshake, limits and rooms. Only the sockets are replaced,
by pipes in memory. The pipes are bounded, so that the frames for a client that does not read
have to wait, as on a real network. Tests may use trio's own clock or `MockClock`.

Open net.py first.
"""

from ..message import GLOBAL_ROOM
from .client import TestClient
from .client_connection import ConnectionEnded
from .net import Net, open_server
from .pipes import MemoryListener, Pipe, open_pipe

__all__ = [
    "GLOBAL_ROOM",
    "ConnectionEnded",
    "MemoryListener",
    "Net",
    "Pipe",
    "TestClient",
    "open_pipe",
    "open_server",
]
