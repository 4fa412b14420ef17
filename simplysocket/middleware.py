"""Middleware: functions that the application puts around handlers, and the `Call` that they are given.

Laws: no chain is built or run here (see _dispatch/chain.py). The first middleware written is the outermost.
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
    """One message on its way to its handler, with the client that sent it, its room and the server.

    The server makes it for middleware, for exception handlers, and for handlers that ask
    for a `Call`.
    """

    # A Struct takes a quarter of the time of a plain class to make.
    server: "Server"
    room: "Room[Any]"  # the room that the message was sent to; its class is the one registered for the name
    client: Client[Any]  # the client that sent the message
    envelope: Envelope  # the message as received, for this package only
    _message: Message | None = None

    def __repr__(self) -> str:
        return f"<Call {self.action!r} of {self.client!r} in {self.room!r}>"

    @property
    def action(self) -> str:
        """The name of the action that the client asks for."""
        return self.envelope.action

    @property
    def is_request(self) -> bool:
        """Whether the client waits for a reply: its message has an id."""
        return self.envelope.id is not None

    @property
    def message(self) -> Message:
        """The message. Its body is decoded at the first access; `BadBody` if that fails."""
        if self._message is None:
            self._message = codec.to_message(self.envelope, self.client.id)
        return self._message

    def with_body(self, body: object) -> "Call":
        """Return a copy of this call with another body, to be handed to `next`.

        `EncodeError` if the body cannot be written as JSON.
        """
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
"""The second argument of middleware: `await next(call)` runs the next middleware, or the handler.

It returns the reply, which is the value that the handler returned, and raises what the handler
raised. Middleware that does not call it keeps the message from the handler.
"""

Middleware: TypeAlias = Callable[[Call, Next], Awaitable[object]]
ExceptionHandler: TypeAlias = Callable[[Call, Any], Awaitable[object]]  # Any: the exception, of the class registered

Ware = TypeVar("Ware", bound=Middleware)
WareMethod = TypeVar("WareMethod", bound=Callable[[Any, Call, Next], Awaitable[object]])
Error = TypeVar("Error", bound=Exception)
Reply = TypeVar("Reply", bound=Awaitable[object])

MIDDLEWARE_MARK: Final = "_simplysocket_middleware"  # an attribute of a method that `@middleware` has marked


def middleware(method: WareMethod) -> WareMethod:
    """Make a method of a Room class middleware for the messages to rooms of that class.

    It runs inside the middleware of the server and of the action's group. A method that overrides it is middleware,
    too, with or without the decorator.

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
    """Refuse a function that is not `async def (call, next)`."""
    check_hook("the middleware", ware, ("call", "next"))
