"""The test kit: a server and its clients in memory, with virtual time and no ports.

>>> async def test_greeting(autojump_clock):
...     async with open_server(server) as net:
...         ana = await net.connect("ana")
...         await ana.request("join-room", {"roomname": "hall"})

Everything but the sockets is the real thing: the front door, the handshake, both
lanes, the pumps. The pipes are bounded, so that a client that does not read is
one here, too. Works with trio's own clock as well as with `MockClock`.
"""

from ..message import GLOBAL_ROOM
from .client import ConnectionEnded, TestClient
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
