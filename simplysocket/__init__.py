"""simplysocket: real-time rooms over WebSockets, on structured concurrency."""

from .actions import action
from .broker import Broker, MemoryBroker
from .client import Client
from .errors import (
    ActionError,
    BadBody,
    CloseCode,
    EncodeError,
    Gone,
    RegistrationError,
    RoomClosed,
    SimplySocketError,
    may_come_back,
)
from .limits import Limits
from .message import GLOBAL_ROOM, Message
from .room import Room
from .server import Server

__version__ = "0.1.0"

__all__ = [
    "GLOBAL_ROOM",
    "ActionError",
    "BadBody",
    "Broker",
    "Client",
    "CloseCode",
    "EncodeError",
    "Gone",
    "Limits",
    "MemoryBroker",
    "Message",
    "RegistrationError",
    "Room",
    "RoomClosed",
    "Server",
    "SimplySocketError",
    "action",
    "may_come_back",
]
