"""Signatures: the arguments that a handler asks for by its annotations, read once, at registration.

Law: a signature that cannot work is refused here, with the handler's place and what to write instead.
"""

import inspect
import typing
from collections.abc import Awaitable, Callable
from typing import Any, Final

import attrs
import msgspec

from .._functions import name_place, source_of
from .._protocol import codec
from .._protocol.codec import Envelope
from ..client import Client
from ..errors import BadBody, RegistrationError
from ..message import Message
from ..middleware import Call
from ..request import Identity, Request
from ..room import Room
from . import collisions
from .body_types import takes_object, unbounded_patterns, unknown_type

CallHandler = Callable[[Any, Room[Any], Client[Any], Envelope], Awaitable[object]]
"""A handler as the registry calls it, with `(server, room, client, envelope)`. It returns the coroutine."""

Answer = Callable[[Call], Awaitable[object]]
"""The same handler as middleware calls it, with a `Call`."""

# The source of each argument, in a `CallHandler` and in an `Answer`. `read` compiles them into one call, which
# takes a third of the time of a loop over the parameters.
_ROOM: Final = ("room", "call.room")
_SERVER: Final = ("server", "call.server")
_BODY: Final = ("read_body(envelope.message_body)", "read_body(call.envelope.message_body)")
_WORDS: Final = {
    Client: ("client", "call.client"),
    Message: ("to_message(envelope, client.id)", "call.message"),
    Call: ("Call(server, room, client, envelope)", "call"),
}


@attrs.frozen
class Signature:
    """A handler with the arguments that it asks for."""

    call: CallHandler
    answer: Answer
    room_class: type[Room[Any]]  # the handler can be called only in rooms of this class
    body: str  # the annotation of its body as text; "" if it takes no body
    place: str  # where it is defined: "file.py:12"
    unbounded_patterns: tuple[str, ...]  # the regular expressions in its body's type that run over texts of any length


def read(
    what: str,
    handler: Callable[..., Awaitable[object]],
    server_class: type,
    room_class: type[Room[Any]] | None,
    *,
    is_hook: bool = False,
) -> Signature:
    """Read the signature of a handler, which is a method of `room_class` if that is given.

    `what` names the handler in errors. In a hook, a parameter without an annotation is given
    by its name, as in other hooks. `RegistrationError` if the signature cannot work.
    """
    place = f"{what}, {name_place(handler)},"
    if isinstance(handler, (staticmethod, classmethod)):
        raise RegistrationError(f"{place} is a {type(handler).__name__}: write a plain method with self")
    if inspect.isasyncgenfunction(handler):
        raise RegistrationError(f"{place} has a yield: return the reply, and send all else with broadcast or send")
    if not inspect.iscoroutinefunction(handler):
        raise RegistrationError(f"{place} is no coroutine function: write `async def`")
    try:
        hints = typing.get_type_hints(handler, include_extras=True)
    except Exception as exc:
        raise RegistrationError(
            f"{place} has an annotation that cannot be resolved: {exc}; is it imported only under TYPE_CHECKING, or"
            " defined inside of a function?"
        ) from exc
    parameters = list(inspect.signature(handler).parameters.values())
    words: list[tuple[str, str]] = []
    if room_class is not None:
        if not parameters or parameters[0].name in hints:
            raise RegistrationError(f"{place} is a method without self: write self as its first parameter")
        parameters.pop(0)
        words.append(_ROOM)
    asked_class: type[Room[Any]] = room_class or Room
    read_body: Callable[[codec.Raw], Any] | None = None
    body = body_name = ""
    info: object = None
    for parameter in parameters:
        hint = hints.get(parameter.name, _USUAL_TYPES.get(parameter.name, Any) if is_hook else Any)
        asked = typing.get_origin(hint) or hint  # Client[Player] asks for a Client
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            stars = "*" if parameter.kind is parameter.VAR_POSITIONAL else "**"
            raise RegistrationError(f"{place} takes {stars}{parameter.name}: name what it needs, one parameter each")
        if parameter.name == "self" and room_class is None:
            raise RegistrationError(f"{place} is a method: mark it with `@action(...)` in a Room class instead")
        is_class = isinstance(asked, type)
        if is_class and asked in _WORDS:
            word = _WORDS[asked]
        elif is_class and issubclass(asked, Room):
            word = _ROOM
            if not issubclass(asked_class, asked):
                if room_class is not None:
                    raise RegistrationError(
                        f"{place} wants a {asked.__name__}, but belongs to {room_class.__name__}: take `self`, which is"
                        " the room"
                    )
                asked_class = asked
        elif is_class and asked in server_class.__mro__ and asked is not object:  # a TypedDict refuses issubclass
            word = _SERVER
        elif read_body is None:
            word = _BODY
            _check_body_hint(hint, parameter, place)
            read_body, info = _body_decoder(hint, place)
            body_name = parameter.name
            if parameter.default is not parameter.empty:
                read_body = _or_default(read_body, parameter.default, info)
            elif hint not in (Any, object) and _reads_null(read_body):
                read_body = _or_default(read_body, None, info)
            body = inspect.formatannotation(hint)
        else:
            raise RegistrationError(
                f"{place} has two parameters that could be the body, {body_name!r} and {parameter.name!r}:"
                " annotate one of them with Client, Room, Message, Call or Server, or take one class with all fields"
            )
        name = f"{parameter.name}=" if parameter.kind is parameter.KEYWORD_ONLY else ""
        words.append((name + word[0], name + word[1]))
    names = {"handler": handler, "read_body": read_body, "to_message": codec.to_message, "Call": Call}
    call = eval(f"lambda server, room, client, envelope: handler({', '.join(each for each, _ in words)})", names)
    answer = eval(f"lambda call: handler({', '.join(each for _, each in words)})", names)
    return Signature(call, answer, asked_class, body, source_of(handler), unbounded_patterns(info))


def _check_body_hint(hint: Any, parameter: inspect.Parameter, place: str) -> None:  # Any: any annotation
    """Refuse a parameter that is meant to be a Client, a Room and so on, but would be read from the body."""
    text = repr(hint)
    for each in typing.get_args(hint):
        origin = typing.get_origin(each) or each
        if isinstance(origin, type) and (origin in _WORDS or issubclass(origin, Room)):
            raise RegistrationError(
                f"{place} takes {parameter.name}: {text}: write `{parameter.name}: {origin.__name__}`"
            )
    if isinstance(hint, type) and hint in _NOT_FOR_HANDLERS:
        raise RegistrationError(
            f"{place} takes {parameter.name}: {hint.__name__}, which would be read from the body, as the client likes:"
            f" {_NOT_FOR_HANDLERS[hint]}"
        )
    if hint is Any and parameter.name in _USUAL_NAMES:
        raise RegistrationError(
            f"{place} takes {parameter.name!r} without an annotation, which makes it the body: write"
            f" `{parameter.name}: {_USUAL_NAMES[parameter.name]}`"
        )


_NOT_FOR_HANDLERS: Final[dict[Any, str]] = {  # {annotation: what to do instead}
    Identity: "take the client, and look at client.identity",
    Request: "keep what you need of it in client.state, in on_connect(client, request)",
}
# {the usual name of a parameter: its type}
_USUAL_TYPES: Final[dict[str, Any]] = {"client": Client, "room": Room, "message": Message, "call": Call}
_USUAL_NAMES: Final = {"server": "Server", **{name: each.__name__ for name, each in _USUAL_TYPES.items()}}


def _body_decoder(hint: Any, place: str) -> tuple[Callable[[codec.Raw], Any], object]:  # Any: any annotation
    """Return the reader of a body of this type, and what `msgspec.inspect` tells of the type.

    `RegistrationError` if the type cannot be read from JSON.
    """
    try:
        info = msgspec.inspect.type_info(hint)
        reader = codec.body_decoder(hint)
    except (TypeError, ValueError, NameError) as exc:
        mend = ""
        if "more than one" in str(exc) or "union" in str(exc).lower():
            mend = "; for one of several classes make them msgspec.Struct classes with tag=True"
        raise RegistrationError(
            f"{place} takes a body of {hint!r}, which cannot be read from JSON: {exc}{mend}"
        ) from exc
    unknown = unknown_type(info)
    if unknown is not None:
        raise RegistrationError(
            f"{place} takes a body of {hint!r}; {unknown!r} cannot be read from JSON:"
            " make it an attrs class, or take a dict"
        )
    return collisions.guarded(reader, info), info


def _reads_null(read_body: Callable[[codec.Raw], Any]) -> bool:
    try:
        return read_body(codec.Raw(b"null")) is None
    except BadBody:
        return False


def _or_default(read_body: Callable[[codec.Raw], Any], default: object, info: object) -> Callable[[codec.Raw], Any]:
    """Return a reader that returns `default` for a message without a body.

    Clients in Go write `{}` into every message, so this counts as none where the type takes no object.
    """
    if takes_object(info):
        return lambda body: default if body is codec.EMPTY else read_body(body)

    def read(body: codec.Raw) -> Any:
        return default if body is codec.EMPTY or bytes(body) == b"{}" else read_body(body)

    return read
