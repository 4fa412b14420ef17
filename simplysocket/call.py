"""The call: one message on its way to its handler, as middleware and exception handlers see it."""

from typing import Any

from ._protocol import codec
from ._protocol.codec import Envelope
from .client import Client
from .message import Message


class Call(codec.Struct, eq=False):
    """One message on its way to its handler.

    Made by the server, for each message that middleware or a handler wants to look at as a whole.
    """

    # A Struct, which is made in a quarter of the time of a plain class.
    server: Any  # the Server
    room: Any  # the Room it is for, of the class that the name has
    client: Client[Any]
    envelope: Envelope  # the message as it came, for the package
    _message: Message | None = None

    def __repr__(self) -> str:
        return f"<Call {self.action!r} of {self.client!r} in {self.room!r}>"

    @property
    def action(self) -> str:
        """What the client asks for."""
        return self.envelope.action

    @property
    def is_request(self) -> bool:
        """Whether the client waits for a reply."""
        return self.envelope.id is not None

    @property
    def message(self) -> Message:
        """The message, its body decoded when this is first asked for; `BadBody` when that fails."""
        if self._message is None:
            self._message = codec.to_message(self.envelope, self.client.id)
        return self._message

    def with_body(self, body: object) -> "Call":
        """Return the same call with another body, to be handed to `next`."""
        envelope = Envelope(
            action=self.envelope.action,
            message_body=codec.encode_body(body),
            IsTargetClient=self.envelope.IsTargetClient,
            target=self.envelope.target,
            id=self.envelope.id,
            timeout=self.envelope.timeout,
        )
        return Call(self.server, self.room, self.client, envelope)
