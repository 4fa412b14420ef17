"""Actions: how the application registers functions that handle messages.

Laws: no handler is called here. An invalid name or option is refused where it is written.
"""

import inspect
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

import attrs

from ._functions import inherited, name_place
from ._protocol.names import ACTION_LENGTH, RESERVED_ACTIONS
from .client import Client
from .errors import RegistrationError
from .middleware import Middleware, Ware, check_middleware

ACTION_MARK: Final = "_simplysocket_action"  # the attribute in which `@action` leaves its Mark on a method
HOOK_MARK: Final = "_simplysocket_hook"  # in which `@hook` leaves the number of arguments that the hook is offered

Handler = TypeVar("Handler", bound=Callable[..., Awaitable[object]])


Function = Callable[..., Awaitable[object]]

Predicate = Callable[[Any, Client[Any]], bool]
"""Tells by `(room, client)` whether the client may do an action now: what `only=` takes."""


@attrs.frozen
class Mark:
    """The name and the options given to `action(...)`; `RegistrationError` if one of them is invalid."""

    name: str
    turn: bool
    cancel: bool
    only: Predicate | None = None

    def __attrs_post_init__(self) -> None:
        _check_name(self.name)
        for option, value in (("turn", self.turn), ("cancel", self.cancel)):
            if not isinstance(value, bool):
                raise RegistrationError(f"the action {self.name!r} has {option}={value!r}: give True or False")
        if self.only is not None:
            check_predicate(self.name, self.only)


def check_predicate(action: str, only: object) -> None:
    """Refuse a predicate that is no plain function of `(room, client)`."""
    what = f"the action {action!r} has only={name_place(only) if callable(only) else repr(only)[:200]}"
    if not callable(only) or inspect.iscoroutinefunction(only):
        raise RegistrationError(f"{what}: give a plain `def (room, client)` that returns True or False")
    try:
        inspect.signature(only).bind(None, None)
    except TypeError as exc:
        raise RegistrationError(f"{what}, which does not take `(room, client)`: {exc}") from None


def action(
    name: str, *, turn: bool = True, cancel: bool = False, only: Predicate | None = None
) -> Callable[[Handler], Handler]:
    """Make a method of a Room class the handler of an action in rooms of that class.

    A parameter annotated with `Client`, `Message`, `Call` or `Server` is given just that;
    one other parameter is the body, checked against its annotation. The value that the
    handler returns is the reply; `ActionError` refuses the message with its code.

    By default the handler runs in the room's turn: until it returns, the room runs no
    other handler, hook or timer. With `turn=False` it runs outside the turn, as a task of
    the room, which goes on with other messages. Use this for a handler that waits long;
    the room's state may change whenever it waits. At most `Limits.tasks_per_client` of one
    client run at a time; a further message is refused with `too-many`.

    By default a handler that has begun runs to its end. With `cancel=True` it is cancelled
    when its caller cancels the request, when the request times out, or when the caller
    disconnects. With `turn=False` this is always so.

    `only` is a plain `def (room, client)`, or a method written above in the class, that tells whether
    the client may do this now; the refusal is `forbidden`. It is asked in the room's turn, before the
    body is read and before middleware. It may raise `ActionError` itself, to say why.

    A subclass that overrides the method, without the decorator, overrides the handler: its
    action and its options stay.

    Raises `RegistrationError` for a name or an option that is invalid, and for a handler
    that is not a method.

    >>> class Game(Room):
    ...     def is_on_turn(self, client: Client) -> bool:
    ...         return client is self.on_turn
    ...
    ...     @action("guess", only=is_on_turn)
    ...     async def guess(self, client: Client, body: Guess) -> dict[str, bool]: ...
    """
    given = Mark(name, turn, cancel, only)

    def mark(handler: Handler) -> Handler:
        if isinstance(handler, (staticmethod, classmethod)):
            raise RegistrationError(
                f"the handler of {name!r}, {name_place(handler.__func__)}, is a {type(handler).__name__}: write a plain"
                " method with self"
            )
        if getattr(handler, "__qualname__", "").rpartition(".")[0].rpartition(".")[2] in ("", "<locals>"):
            raise RegistrationError(
                f"the handler of {name!r}, {name_place(handler)}, is no method of a Room class: write"
                f" `@server.action({name!r})`"
            )
        if hasattr(handler, ACTION_MARK):
            raise RegistrationError(
                f"{name_place(handler)} is the handler of {getattr(handler, ACTION_MARK).name!r} already:"
                f" write a method for {name!r} that calls it"
            )
        setattr(handler, ACTION_MARK, given)
        return handler

    return mark


def mark_of(owner: type, attribute: str) -> Mark | None:
    """Return the mark of a method; None if it is no action.

    A method that overrides an action without a decorator of its own is that action, too.
    """
    mark: Mark | None = inherited(owner, attribute, ACTION_MARK)
    return mark


# Any: a subclass may leave out the last arguments, which no other type of a method allows.
def hook(method: Callable[..., Awaitable[object]]) -> Callable[..., Any]:
    """Make a method of a base class of rooms a hook: its subclasses may override it, with these arguments or fewer.

    The base class calls it, and the registration of a subclass checks it as it checks the hooks of `Room`. A name that
    begins with `on_` and is no hook of `Room` needs this. Raises `RegistrationError` for what is no coroutine function.

    >>> class Match(Room):
    ...     @hook
    ...     async def on_round(self, number: int) -> None: ...
    """
    if not inspect.iscoroutinefunction(method):
        raise RegistrationError(f"{name_place(method)} is no coroutine function: write `async def`")
    setattr(method, HOOK_MARK, len(inspect.signature(method).parameters) - 1)
    return method


def hook_arguments(owner: type, attribute: str) -> int | None:
    """Return how many arguments a hook of a base class is offered, without self; None for what is no such hook."""
    arguments: int | None = inherited(owner, attribute, HOOK_MARK)
    return arguments


class Actions:
    """A group of actions that `server.include(chat)` registers together.

    `prefix` is put before the name of each action: here the action is "chat.say".

    >>> chat = Actions(prefix="chat.")
    >>> @chat.action("say")
    ... async def say(client: Client, room: Room, body: Say) -> None: ...
    """

    def __init__(self, prefix: str = "") -> None:
        if not isinstance(prefix, str):
            raise RegistrationError(f"Actions(prefix={prefix!r}): give a string, such as 'chat.'")
        self.prefix = prefix
        self._handlers: list[tuple[Mark, Function]] = []
        self._wares: list[Middleware] = []
        self._is_included = False

    def action(
        self, name: str, *, turn: bool = True, cancel: bool = False, only: Predicate | None = None
    ) -> Callable[[Handler], Handler]:
        """Register a handler for the action `prefix + name`; the options are those of `Server.action`."""
        mark = Mark(self.prefix + name if isinstance(name, str) and name else name, turn, cancel, only)

        def register(handler: Handler) -> Handler:
            self._check_open(handler)
            self._handlers.append((mark, handler))
            return handler

        return register

    def middleware(self, ware: Ware) -> Ware:
        """Put middleware around the handlers of this group, inside the middleware of the server."""
        check_middleware(ware)
        self._check_open(ware)
        self._wares.append(ware)
        return ware

    def _check_open(self, function: Callable[..., object]) -> None:
        if self._is_included:
            raise RegistrationError(
                f"{name_place(function)} comes too late: these Actions are included already; include them last"
            )

    def take(self) -> tuple[list[tuple[Mark, Function]], tuple[Middleware, ...]]:
        """Return the handlers and the middleware to the server that includes the group, and close the group."""
        self._is_included = True
        return self._handlers, tuple(self._wares)


def _check_name(name: object) -> None:
    """Refuse an invalid name, and a decorator that is written without its parentheses."""
    if callable(name):
        raise RegistrationError(f'the decorator of {name_place(name)} needs the action\'s name: write `action("...")`')
    if not isinstance(name, str) or not 0 < len(name) <= ACTION_LENGTH:
        raise RegistrationError(f"an action's name is a string of 1 to {ACTION_LENGTH} characters, not {name!r}")
    if name in RESERVED_ACTIONS:
        raise RegistrationError(f"the action {name!r} is reserved for the protocol: take another name")
