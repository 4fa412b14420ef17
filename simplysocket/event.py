"""The event: what a room's `run` is handed by `Room.events`.

Law: a value, and a way to answer. How it is handed over is in _rooms/events.py.
"""

from collections.abc import Callable
from typing import Generic, Literal

import attrs

from ._protocol import codec
from .client import Client, State
from .message import Message
from .reasons import Reason


@attrs.frozen(eq=False)
class Event(Generic[State]):
    """Something that has happened in a room: a message that no action takes, a join or a leave."""

    kind: Literal["message", "join", "leave"]
    client: Client[State]  # that has sent the message, has joined or has left
    message: Message | None = None  # of a "message"
    reason: Reason | None = None  # of a "leave": why it has left, as in `on_leave`
    _answer: Callable[[object], None] | None = attrs.field(default=None, repr=False)

    async def reply(self, body: object = codec.NO_BODY) -> None:
        """Answer the request. Does nothing if the client has asked for no reply, as in a message without an `id`.

        A request that is not answered when the loop asks for the next event gets the reply `null`. Raises
        RuntimeError for a second answer, or one after that, and `EncodeError` for a body that JSON cannot hold.
        """
        if self._answer is not None:
            self._answer(body)
