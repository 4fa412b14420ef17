"""Middleware: what a user writes around handlers, and the call that it sees.

Laws: nothing here runs a chain. The first middleware written is the outermost.
"""

from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

from ._functions import check_hook
from ._protocol import codec
from ._protocol.codec import Envelope
from .client import Client
from .message import Message

if TYPE_CHECKING:
    from .room import Room
    from .server import Server


class Call(codec.Struct, eq=False):
    """One message on its way to its handler.

    Made by the server, for each message that middleware or a handler wants to look at as a whole.
    """

    # A Struct, which is made in a quarter of the time of a plain class.
    server: "Server"
    room: "Room[Any]"  # the room it is for, of the class that is registered for its name
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


Next: TypeAlias = Callable[[Call], Coroutine[Any, Any, object]]
"""What comes behind: the next middleware, or the handler. Returns the reply."""

Middleware: TypeAlias = Callable[[Call, Next], Awaitable[object]]
ExceptionHandler: TypeAlias = Callable[[Call, Any], Awaitable[object]]  # Any: the exception, of the type asked for

Ware = TypeVar("Ware", bound=Middleware)
WareMethod = TypeVar("WareMethod", bound=Callable[[Any, Call, Next], Awaitable[object]])
Error = TypeVar("Error", bound=Exception)
Reply = TypeVar("Reply", bound=Awaitable[object])

MIDDLEWARE_MARK: Final = "_simplysocket_middleware"


def middleware(method: WareMethod) -> WareMethod:
    """Make a method of a Room class middleware for the messages to rooms of that class.

    >>> class Game(Room):
    ...     @middleware
    ...     async def only_players(self, call: Call, next: Next) -> object:
    ...         if call.client.state.get("watches"):
    ...             raise ActionError("forbidden", "you only watch")
    ...         return await next(call)
    """
    check_hook("the middleware", method, ("self", "call", "next"))
    setattr(method, MIDDLEWARE_MARK, True)
    return method


def check_middleware(ware: Middleware) -> None:
    """Refuse what is no middleware."""
    check_hook("the middleware", ware, ("call", "next"))
