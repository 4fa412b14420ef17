"""simplysocket: real-time rooms over WebSockets, with structured concurrency.

    from simplysocket import Client, Room, Server, action

    server = Server("game")

    @server.room("table-*")
    class Table(Room):
        @action("say")
        async def say(self, client: Client, body: str) -> None:
            await self.broadcast("said", {"name": client.name, "text": body})

    server.run(port=8080)

Start with `Server`, `Room` and `Client`. The test kit is `simplysocket.testing`.
"""

from . import _process_end as _process_end  # first: it takes the signals of the command line, and the rest takes long

# ruff: isort: split
import sys

# `describe` and `tree` are earlier names of introspection, which programs may still import.
from . import describe as describe
from . import from_thread
from . import tree as tree
from ._log_limit import install as _limit_logs
from .actions import Actions, action, hook
from .brokers import Broker, MemoryBroker
from .client import Client
from .errors import (
    ActionError,
    BadBody,
    CloseCode,
    EncodeError,
    Gone,
    PeerError,
    Refuse,
    RegistrationError,
    RoomClosed,
    SimplySocketError,
    may_come_back,
)
from .event import Event
from .limits import Limits
from .message import GLOBAL_ROOM, Message
from .middleware import Call, Next, middleware
from .reasons import Reason, ReasonKind
from .request import Identity, Request
from .room import Room
from .server import Server
from .timer import Timer

__version__ = "0.1.0"

# A `Call` has a server and a room, which its module does not import; `help(Call)` looks for their classes there.
vars(sys.modules[Call.__module__]).update(Room=Room, Server=Server)

_limit_logs()  # before any server runs, and whatever `logging` is told to do with the lines

__all__ = [
    "GLOBAL_ROOM",
    "ActionError",
    "Actions",
    "BadBody",
    "Broker",
    "Call",
    "Client",
    "CloseCode",
    "EncodeError",
    "Event",
    "Gone",
    "Identity",
    "Limits",
    "MemoryBroker",
    "Message",
    "Next",
    "PeerError",
    "Reason",
    "ReasonKind",
    "Refuse",
    "RegistrationError",
    "Request",
    "Room",
    "RoomClosed",
    "Server",
    "SimplySocketError",
    "Timer",
    "action",
    "from_thread",
    "hook",
    "may_come_back",
    "middleware",
]
