"""The call: one message on its way to its handler, as middleware and exception handlers see it."""

from typing import Any

from . import codec
from .client import Client
from .codec import Envelope
from .message import Message
from .room import Room


class Call:
    """One message on its way to its handler."""

    __slots__ = ("_envelope", "_message", "client", "room", "server")

    def __init__(self, server: Any, room: Room[Any], client: Client[Any], envelope: Envelope) -> None:
        """Made by the server, for each message that middleware or a handler wants to look at as a whole."""
        self.server = server
        self.room = room
        self.client = client
        self._envelope = envelope
        self._message: Message | None = None

    def __repr__(self) -> str:
        return f"<Call {self.action!r} of {self.client!r} in {self.room!r}>"

    @property
    def action(self) -> str:
        """What the client asks for."""
        return self._envelope.action

    @property
    def is_request(self) -> bool:
        """Whether the client waits for a reply."""
        return self._envelope.id is not None

    @property
    def message(self) -> Message:
        """The message, its body decoded when this is first asked for; `BadBody` when that fails."""
        if self._message is None:
            self._message = codec.to_message(self._envelope, self.client.id)
        return self._message

    def with_body(self, body: object) -> "Call":
        """Return the same call with another body, to be handed to `next`."""
        envelope = Envelope(
            action=self._envelope.action,
            message_body=codec.encode_body(body),
            IsTargetClient=self._envelope.IsTargetClient,
            target=self._envelope.target,
            id=self._envelope.id,
            timeout=self._envelope.timeout,
        )
        return Call(self.server, self.room, self.client, envelope)

    @property
    def envelope(self) -> Envelope:
        """The message as it came, for the package."""
        return self._envelope
