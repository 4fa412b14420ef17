"""Actions: what a user writes to have a function handle a message.

Laws: nothing here runs. A name or an option that cannot be an action's is refused where it is written.
"""

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import attrs

from ._functions import name_place
from ._protocol.names import ACTION_LENGTH, RESERVED_ACTIONS
from .errors import RegistrationError
from .middleware import Middleware, Ware, check_middleware

ACTION_MARK: Final = "_simplysocket_action"  # on a method that `@action` has marked

Handler = TypeVar("Handler", bound=Callable[..., Awaitable[object]])


Function = Callable[..., Awaitable[object]]


@attrs.frozen
class Mark:
    """What `action(...)` says of a handler; refuses what cannot be said."""

    name: str
    turn: bool
    cancel: bool

    def __attrs_post_init__(self) -> None:
        _check_name(self.name)
        for option, value in (("turn", self.turn), ("cancel", self.cancel)):
            if not isinstance(value, bool):
                raise RegistrationError(f"the action {self.name!r} has {option}={value!r}: give True or False")


def action(name: str, *, turn: bool = True, cancel: bool = False) -> Callable[[Handler], Handler]:
    """Make a method of a Room class the handler of an action in rooms of that class.

    `turn=False`: it runs beside the turns, as a task of the room, for what takes long. `cancel=True`: it ends when
    its caller takes the request back, waits no longer or is gone, as one beside the turns always does.

    >>> class Game(Room):
    ...     @action("guess")
    ...     async def guess(self, client: Client, body: Guess) -> dict[str, bool]: ...
    """
    said = Mark(name, turn, cancel)

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
        setattr(handler, ACTION_MARK, said)
        return handler

    return mark


class Actions:
    """Actions that belong together, to be included in a server: `server.include(chat)`.

    `prefix` stands before each name.

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

    def action(self, name: str, *, turn: bool = True, cancel: bool = False) -> Callable[[Handler], Handler]:
        """Register a handler, as `Server.action` does, under the prefix and this name."""
        mark = Mark(self.prefix + name if isinstance(name, str) and name else name, turn, cancel)

        def register(handler: Handler) -> Handler:
            self._check_open(handler)
            self._handlers.append((mark, handler))
            return handler

        return register

    def middleware(self, ware: Ware) -> Ware:
        """Register middleware for the actions of this group."""
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
        """Return what was registered, for the server that includes it; from now on nothing can be."""
        self._is_included = True
        return self._handlers, tuple(self._wares)


def _check_name(name: object) -> None:
    """Refuse what cannot name an action; a decorator without its parentheses, too."""
    if callable(name):
        raise RegistrationError(f'the decorator of {name_place(name)} needs the action\'s name: write `action("...")`')
    if not isinstance(name, str) or not 0 < len(name) <= ACTION_LENGTH:
        raise RegistrationError(f"an action's name is a string of 1 to {ACTION_LENGTH} characters, not {name!r}")
    if name in RESERVED_ACTIONS:
        raise RegistrationError(f"the action {name!r} is reserved for the protocol: take another name")
