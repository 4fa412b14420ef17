"""The message, as handlers and outbound hooks see it.

Law: a value only. Messages are read and written in _protocol/codec.py.
"""

from typing import Any, Final

import attrs

GLOBAL_ROOM: Final = "mesh-global"  # every client is in it while it is connected


@attrs.frozen
class Message:
    """One message: its action, its body, its target and its sender.

    `body` is the decoded JSON value. `target` is a room's name, or a client's id if
    `target_client` is true. `sender` is the id of the client that sent the message; the
    server sets it. In an outbound hook it may also be a name. `id` is set if the sender
    wants a reply.
    """

    action: str
    body: Any = attrs.field(factory=dict)  # any JSON value
    target: str = GLOBAL_ROOM
    target_client: bool = False
    sender: str = ""
    id: str | int | None = None
