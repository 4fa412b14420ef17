"""Description: what a server is made of, as values to print or to write as JSON.

Law: words only. `Server.describe()` fills it in; nothing here judges (settings.py does).
"""

import attrs

from .limits import Limits


@attrs.frozen
class ActionInfo:
    """One registered action. `room_class` None: for every room that has none of its own under this name."""

    name: str
    room_class: str | None
    body: str  # the annotation as it was written; "" when the handler takes no body
    turn: bool
    cancel: bool
    place: str  # "file.py:12"


@attrs.frozen
class RoomInfo:
    """One registered room class with its options; None means what it means there."""

    pattern: str
    class_name: str
    capacity: int | None
    relay: bool | None
    open: bool
    announce: bool
    empty_ttl: float | None  # seconds


@attrs.frozen
class Description:
    """A server's registrations and settings at one moment. `origins` None: pages of the same host and port."""

    name: str
    paths: tuple[str, ...]
    actions: tuple[ActionInfo, ...]
    rooms: tuple[RoomInfo, ...]
    middleware: tuple[str, ...]
    origins: tuple[str, ...] | None
    trusted_proxies: tuple[str, ...]
    is_authenticated: bool
    relay: bool
    direct: bool
    open_rooms: bool
    static: tuple[str, ...]
    limits: Limits
