"""The message: its envelope as handlers see it.

Law: words only; how a message is written is the codec's business.
"""

from typing import Any, Final

import attrs

GLOBAL_ROOM: Final = "mesh-global"  # everyone is in it from connecting to disconnecting


@attrs.frozen
class Message:
    """One message as it came: what to do, with what, where, and from whom.

    `body` is the decoded JSON value. `target` is a room's name, or a client's id
    where `target_client` is true. `sender` is the id of the client that sent it,
    always set by the server. `id` is there when the sender wants a reply.
    """

    action: str
    body: Any = attrs.field(factory=dict)  # any JSON value
    target: str = GLOBAL_ROOM
    target_client: bool = False
    sender: str = ""
    id: str | int | None = None
