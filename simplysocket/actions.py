"""Actions: what a message asks for, and the function of the user's that does it.

Laws: signatures are read once, at registration, and a wrong one fails there. A
handler gets what its annotations ask for, in any order: `Client`, `Room` or a
subclass, `Message`, `Server`; the one remaining parameter is the body.
"""

import inspect
import typing
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

import attrs
import msgspec
import trio

from . import codec
from .client import Client
from .codec import Envelope
from .errors import ActionError, RegistrationError
from .life import Life
from .message import ACTION_LENGTH, RESERVED_ACTIONS, Message
from .room import Room

Handler = TypeVar("Handler", bound=Callable[..., Awaitable[object]])

_MARK: Final = "_simplysocket_action"  # on a method: the action's name


def action(name: str) -> Callable[[Handler], Handler]:
    """Make a method of a Room class the handler of an action in rooms of that class.

    >>> class Game(Room):
    ...     @action("guess")
    ...     async def guess(self, client: Client, body: Guess) -> dict[str, bool]: ...
    """
    check_name(name)

    def mark(handler: Handler) -> Handler:
        setattr(handler, _MARK, name)
        return handler

    return mark


@attrs.frozen
class Action:
    """A handler, ready to be called: `call(server, room, client, envelope)` returns its coroutine."""

    name: str
    room_class: type[Room]  # rooms of this class only
    call: Callable[[Any, Room, Client, Envelope], Awaitable[object]]  # Any: the server, of which it knows nothing


Table = dict[str, Action]


class Registry:
    """The actions of a server and of its room classes; `find` is the work of every message."""

    def __init__(self, server: object, *, relay: bool) -> None:
        self._server = server
        self._relay = relay
        self._actions: Table = {}  # {name: action}, for every room that has none of its own
        self._tables: dict[type[Room], Table] = {}  # {room class: its own}

    def add(self, name: str, handler: Callable[..., Awaitable[object]]) -> None:
        """Register a handler for every room."""
        check_name(name)
        if name in self._actions:
            raise RegistrationError(f"the action {name!r} is registered twice: {_place(handler)} is the second")
        self._actions[name] = _compile(name, handler, type(self._server), None)

    def add_class(self, room_class: type[Room]) -> None:
        """Read the `@action` methods of a room class."""
        if room_class in self._tables:
            return
        if room_class.__init__ is not Room.__init__:
            raise RegistrationError(
                f"{room_class.__qualname__} has an __init__: set up a room in `async def on_create(self)`"
            )
        _check_class(room_class)
        table: Table = {}
        for attribute in dir(room_class):
            handler = getattr(room_class, attribute)
            name = getattr(handler, _MARK, None)
            if name is None:
                continue
            if name in table:
                raise RegistrationError(f"the action {name!r} is registered twice in {room_class.__qualname__}")
            table[name] = _compile(name, handler, type(self._server), room_class)
        self._tables[room_class] = table

    def overrides(self, name: str, life: Life | None = None) -> bool:
        """Tell whether a built-in action has been replaced, for all rooms or for this one."""
        return name in self._actions or (life is not None and name in self._tables.get(type(life.room), ()))

    def find(self, life: Life, client: Client, envelope: Envelope) -> Awaitable[object]:
        """Return the handler's call for a message whose turn it is; `ActionError` when there is none."""
        # The hot path of every message: a plain def, so that the handler's is the only coroutine.
        if client.id not in life.members and not life.is_global:
            raise ActionError("not-a-member", f"you are not in room {life.name!r}: join it first")
        if envelope.timeout is not None and trio.current_time() > envelope.timeout:
            raise ActionError("timeout", "its turn came too late")
        call = life.calls.get(envelope.action)
        if call is not None:
            return call(self._server, life.room, client, envelope)
        return self._find(life, client, envelope)

    def _find(self, life: Life, client: Client, envelope: Envelope) -> Awaitable[object]:
        """Look for a handler that this room has not called before."""
        room: Room = life.room
        table = self._tables.get(type(room))
        found = (table.get(envelope.action) if table else None) or self._actions.get(envelope.action)
        if found is not None and isinstance(room, found.room_class):
            life.calls[found.name] = found.call
            return found.call(self._server, room, client, envelope)
        if (self._relay if room.relay is None else room.relay) and envelope.action not in RESERVED_ACTIONS:
            return life.relay(client, envelope)
        raise ActionError("unknown-action", f"room {room.name!r} has no action {envelope.action!r}")


_HOOKS: Final = {  # {hook: how many arguments it is offered beside self}
    "on_create": 0,
    "on_auth": 2,
    "on_join": 1,
    "on_leave": 2,
    "on_close": 1,
}
_OPTIONS: Final = ("capacity", "relay", "announce", "open", "empty_ttl")


def _check_class(room_class: type[Room]) -> None:
    """Refuse hooks, options and names in a room class that cannot work."""
    own = {name for each in room_class.__mro__[: room_class.__mro__.index(Room)] for name in vars(each)}
    for name in sorted(own):
        value = getattr(room_class, name)
        if name in _HOOKS:
            _check_hook(room_class, name, value)
        elif name.startswith("on_") and inspect.iscoroutinefunction(value) and not hasattr(value, _MARK):
            raise RegistrationError(f"{room_class.__qualname__}.{name} is no hook: there are {', '.join(_HOOKS)}")
        elif name not in _OPTIONS and not name.startswith("__") and (hasattr(Room, name) or name in _TAKEN):
            raise RegistrationError(
                f"{room_class.__qualname__}.{name} hides Room.{name}: name it otherwise; an action's name is"
                " what stands in @action(...), not the method's"
            )
    capacity, seconds = room_class.capacity, room_class.empty_ttl
    if capacity is not None and not (isinstance(capacity, int) and capacity > 0):
        raise RegistrationError(f"{room_class.__qualname__}.capacity is {capacity!r}: give a number above 0, or None")
    if seconds is not None and not (isinstance(seconds, (int, float)) and seconds >= 0):
        raise RegistrationError(f"{room_class.__qualname__}.empty_ttl is {seconds!r}: give seconds, or None for ever")


_TAKEN: Final = ("name", "creator", "options", "server", "_life")


def _check_hook(room_class: type[Room], name: str, hook: Any) -> None:  # Any: what a user put there
    place = f"{room_class.__qualname__}.{name}"
    if not inspect.iscoroutinefunction(hook) or hasattr(hook, _MARK):
        raise RegistrationError(f"{place} is no hook: write `async def {name}`, without @action")
    parameters = list(inspect.signature(hook).parameters.values())[1:]
    needed = [each for each in parameters if each.default is each.empty and each.kind is each.POSITIONAL_OR_KEYWORD]
    if len(needed) > _HOOKS[name]:
        raise RegistrationError(f"{place} takes {len(needed)} arguments beside self, and is offered {_HOOKS[name]}")


def check_name(name: object) -> None:
    """Refuse what cannot name an action; a decorator without its parentheses, too."""
    if callable(name):
        raise RegistrationError(f'the decorator of {_place(name)} needs the action\'s name: write `action("...")`')
    if not isinstance(name, str) or not 0 < len(name) <= ACTION_LENGTH:
        raise RegistrationError(f"an action's name is a string of 1 to {ACTION_LENGTH} characters, not {name!r}")
    if name in RESERVED_ACTIONS:
        raise RegistrationError(f"the action {name!r} is reserved for the protocol: take another name")


def _place(handler: Callable[..., object]) -> str:
    code = getattr(handler, "__code__", None)
    where = f" ({code.co_filename}:{code.co_firstlineno})" if code is not None else ""
    return f"{getattr(handler, '__qualname__', handler)!s}{where}"


def _compile(
    name: str, handler: Callable[..., Awaitable[object]], server_class: type, room_class: type[Room] | None
) -> Action:
    """Read a handler's signature and build the call that hands it what it asks for."""
    place = f"the handler of {name!r}, {_place(handler)},"
    if not inspect.iscoroutinefunction(handler):
        raise RegistrationError(f"{place} is no coroutine function: write `async def`")
    try:
        hints = typing.get_type_hints(handler, include_extras=True)
    except Exception as exc:
        raise RegistrationError(f"{place} has an annotation that cannot be resolved: {exc}") from exc
    parameters = list(inspect.signature(handler).parameters.values())
    words: list[str] = []
    if room_class is not None:
        if not parameters:
            raise RegistrationError(f"{place} is a method without self")
        if parameters.pop(0).name in hints:
            raise RegistrationError(f"{place} is a method without self: its first parameter is annotated")
        words.append("room")
    asked_class: type[Room] = room_class or Room
    read_body: Callable[[codec.Raw], Any] | None = None
    body_name = ""
    for parameter in parameters:
        hint = hints.get(parameter.name, Any)
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise RegistrationError(f"{place} takes *{parameter.name}: name what it needs, one parameter each")
        if hint is Client:
            word = "client"
        elif hint is Message:
            word = "to_message(envelope, client.id)"
        elif isinstance(hint, type) and issubclass(hint, Room):
            word = "room"
            if not issubclass(asked_class, hint):
                if room_class is not None:
                    raise RegistrationError(
                        f"{place} wants a {hint.__name__}, but is an action of {room_class.__name__}"
                    )
                asked_class = hint
        elif isinstance(hint, type) and issubclass(server_class, hint) and hint is not object:
            word = "server"
        elif read_body is None:
            word = "read_body(envelope.message_body)"
            read_body, body_name = _body_decoder(hint, place), parameter.name
        else:
            raise RegistrationError(
                f"{place} has two parameters that could be the body, {body_name!r} and {parameter.name!r}:"
                " annotate what is none with Client, Room, Message or Server, or take one class with all fields"
            )
        words.append(f"{parameter.name}={word}" if parameter.kind is parameter.KEYWORD_ONLY else word)
    # One call without a loop over parameters: built from the fixed words above, a third of the time of a generic one.
    source = f"lambda server, room, client, envelope: handler({', '.join(words)})"
    names = {"handler": handler, "read_body": read_body, "to_message": codec.to_message}
    return Action(name, asked_class, eval(source, names))


def _body_decoder(hint: Any, place: str) -> Callable[[codec.Raw], Any]:  # Any: any annotation
    """Return the reader of a body of this type; RegistrationError for one that cannot be read from JSON."""
    try:
        unknown = _unknown_type(msgspec.inspect.type_info(hint))
        reader = codec.body_decoder(hint)
    except (TypeError, ValueError, NameError) as exc:
        raise RegistrationError(f"{place} takes a body of {hint!r}, which cannot be read from JSON: {exc}") from exc
    if unknown is not None:
        raise RegistrationError(
            f"{place} takes a body of {hint!r}; {unknown!r} cannot be read from JSON:"
            " make it an attrs class, or take a dict"
        )
    return reader


def _unknown_type(info: object) -> type | None:
    """Return a class inside a body's type that msgspec would accept now and fail on at the first message."""
    if isinstance(info, msgspec.inspect.CustomType):
        return None if info.cls is object else info.cls
    for name in getattr(info, "__struct_fields__", ()):
        value = getattr(info, name)
        for each in value if isinstance(value, tuple) else (value,):
            if isinstance(each, (msgspec.inspect.Type, msgspec.inspect.Field)):
                found = _unknown_type(each)
                if found is not None:
                    return found
    return None
