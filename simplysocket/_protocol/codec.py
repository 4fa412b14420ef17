"""The codec: reads messages from JSON, and writes them as JSON.

Laws:
- A body stays raw until the type that its handler wants is known.
- An outgoing message is encoded once, inside the error boundary of the code that sends it.
- The keys and their order are those of docs/protocol.md, "The envelope".

Knows nothing of sockets.
"""

import enum
import inspect
import math
import re
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Annotated, Any, Final

import attrs
import msgspec
from msgspec import Meta, Raw, Struct

from ..errors import BadBody, BadMessage, EncodeError
from ..message import GLOBAL_ROOM, Message
from . import depth
from .error_texts import explain
from .names import ACTION_LENGTH

_Action = Annotated[str, Meta(min_length=1, max_length=ACTION_LENGTH)]
# JavaScript cannot represent every integer beyond 2^53.
_Id = Annotated[str, Meta(min_length=1, max_length=ACTION_LENGTH)] | Annotated[int, Meta(ge=-(2**53), le=2**53)]

__all__ = [
    "EMPTY",
    "NO_BODY",
    "Envelope",
    "Raw",
    "Struct",
    "body_decoder",
    "decode",
    "decode_body",
    "encode",
    "encode_body",
    "to_message",
]

EMPTY: Final = Raw(b"{}")


class _NoBody(Struct, frozen=True):
    """What is written as `{}`, and shown so as a default in `help` and in the reference."""

    def __repr__(self) -> str:
        return "{}"


NO_BODY: Final = _NoBody()


class Envelope(Struct, gc=False):
    """A message as received. It has no sender: the server knows the sender from the connection."""

    action: _Action
    message_body: Raw = EMPTY
    IsTargetClient: bool | None = False
    target: str | None = GLOBAL_ROOM  # JSON null counts as absent, as it does in Go
    id: _Id | None = None
    timeout: Annotated[float, Meta(ge=0)] | None = None  # seconds


class _Outgoing(Struct, omit_defaults=True, gc=False):
    """A message as sent. The first five fields have no defaults, so they are always written, in this order."""

    action: str
    message_body: Any  # a Raw, or any value that msgspec can write
    IsTargetClient: bool
    target: str
    sender: str
    id: str | int | None = None
    timeout: float | None = None
    room: str | None = None


class _OnlyId(Struct):
    """The id alone, read from a message that is not valid as a whole."""

    id: _Id | None = None


_decode_envelope = msgspec.json.Decoder(Envelope).decode
_decode_id = msgspec.json.Decoder(_OnlyId).decode
_decode_any = msgspec.json.Decoder().decode


def _write_text(value: object) -> str:
    """Write an object of a class derived from `str`, such as a `Reason`; msgspec writes only those of `str` itself."""
    if isinstance(value, str):
        return str.__str__(value)
    raise TypeError(f"Encoding objects of type {type(value).__name__} is unsupported")


_write = msgspec.json.Encoder(enc_hook=_write_text).encode
_write_sorted = msgspec.json.Encoder(enc_hook=_write_text, order="deterministic").encode

# A number near the ends of the range of floats takes msgspec 6 to 10 us: 64 KiB of `1e308,` are 98 ms, of others 1 ms.
_DEAR: Final = re.compile(rb"\d[eE][+-]?0*[23]\d\d")
_MOST_DEAR: Final = 1_000  # of one message: 10 ms

# msgspec raises all of these on bad input.
_DECODE_FAILURES: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def decode(payload: bytes) -> Envelope:
    """Read one message; `BadMessage` if it is not valid."""
    try:
        if not payload.isascii():
            payload.decode()  # msgspec does not check a raw body, which may be relayed unchanged
        if len(payload) > 2 * depth.MOST and depth.is_too_deep(payload):
            raise RecursionError
        envelope = _decode_envelope(payload)
    except _DECODE_FAILURES as exc:
        text, path = explain(exc)
        try:
            id = _decode_id(payload).id
        except _DECODE_FAILURES:
            id = None
        raise BadMessage(text, path=path, id=id) from None
    if len(payload) > _MOST_DEAR and _is_dear(payload):
        raise BadMessage(f"over {_MOST_DEAR} numbers with exponents from 200 on", path="$.message_body", id=envelope.id)
    return envelope


def _is_dear(payload: bytes) -> bool:
    """Tell whether there are so many dear numbers that to decode them would hold up the loop."""
    if payload.count(b"e") + payload.count(b"E") <= _MOST_DEAR:
        return False
    return next(islice(_DEAR.finditer(payload), _MOST_DEAR, None), None) is not None


def to_message(envelope: Envelope, sender: str) -> Message:
    """Return the message as handlers see it, with its body decoded; `BadBody` if that fails."""
    return Message(
        action=envelope.action,
        body=decode_body(envelope.message_body),
        target=envelope.target or GLOBAL_ROOM,
        target_client=bool(envelope.IsTargetClient),
        sender=sender,
        id=envelope.id,
    )


def body_decoder(type_: Any) -> Callable[[Raw], Any]:  # Any: any type that msgspec can build from JSON
    """Return a function that reads a raw body as `type_`; its `BadBody` has the JSON path of the error."""
    decode_typed = msgspec.json.Decoder(type_).decode

    def read(body: Raw) -> Any:
        try:
            return decode_typed(body)
        except (*_DECODE_FAILURES, TypeError) as exc:  # TypeError: a list for an element of `set[Any]`
            text, path = explain(exc)
            raise BadBody(text, path=path) from None

    return read


decode_body: Final = body_decoder(Any)


def encode_body(body: object, *, may_hold_floats: bool = True) -> Raw:
    """Write a body as JSON once, for several messages; `EncodeError` if JSON cannot hold it.

    `may_hold_floats=False` is for bodies of the package's own, which hold none: they are not
    searched for NaN.
    """
    try:
        encoded = _write(body)
    except _ENCODE_FAILURES as exc:
        raise EncodeError(
            f"a body of type {type(body).__name__} cannot be written as JSON: {exc}{_mend(body)}"
        ) from exc
    if may_hold_floats:
        _check(encoded, body)
    return Raw(encoded)


def encode_sorted(value: object) -> bytes:
    """Write a value as JSON with the keys in order, so that equal values are written alike; the same errors."""
    try:
        return _write_sorted(value)
    except _ENCODE_FAILURES as exc:
        raise EncodeError(f"a value of type {type(value).__name__} cannot be written as JSON: {exc}") from exc


def encode(
    action: str,
    body: object,
    target: str,
    sender: str,
    *,
    target_client: bool = False,
    id: str | int | None = None,
    timeout: float | None = None,
    room: str | None = None,
) -> bytes:
    """Write one message; `EncodeError` for a body that JSON cannot hold.

    It cannot hold an unknown type, NaN, Infinity or a lone surrogate. `timeout` is in seconds.
    """
    try:
        encoded = _write(_Outgoing(action, body, target_client, target, sender, id, timeout, room))
    except _ENCODE_FAILURES as exc:
        what = f"the message {action!r} to {target!r}, with a body of type {type(body).__name__},"
        raise EncodeError(f"{what} cannot be written as JSON: {exc}{_mend(body)}") from exc
    if b"null" in encoded or body.__class__ is Raw:
        _check(encoded, body)
    return encoded


_ENCODE_FAILURES: Final = (TypeError, ValueError, RecursionError, OverflowError)


def _mend(body: object) -> str:
    """Say how to repair a body that cannot be written as JSON."""
    if inspect.iscoroutine(body):
        name = body.__qualname__
        return f"; it is the coroutine {name}(...): write `return await ...`, in middleware `return await next(call)`"
    if isinstance(body, BaseException):
        return "; an exception is not returned: write `raise`"
    if isinstance(body, (dict, list, tuple, set)) or attrs.has(type(body)):
        return "; it is inside the body: make that an attrs class, or leave it out"
    return "; give a dict, a list, or an attrs class"


def _check(encoded: bytes, body: object) -> None:
    """Refuse what msgspec accepts: NaN and Infinity, which it writes as null, and an empty Raw."""
    if isinstance(body, Raw):
        if not memoryview(body).nbytes:
            raise EncodeError("an empty Raw is no JSON: leave the body out, or send {}")
    elif b"null" in encoded and _has_non_finite(body):  # a null is rare, so this second look costs little
        raise EncodeError("a body holds NaN or Infinity, which JSON has not: send None or a string instead")


# Most values of most bodies. `Raw` is JSON already.
_HOLD_NO_FLOATS: Final = frozenset({str, int, bool, type(None), bytes, Raw})


def _has_non_finite(body: object) -> bool:
    """Tell whether a body holds NaN or Infinity.

    Without recursion, since a body may be nested more deeply than Python can recurse. By exact
    classes first: a client may have chosen the body, and 64 KiB of digits take 0.6 ms, where a
    chain of `isinstance` took 23 ms.
    """
    waiting: list[Iterable[object]] = [(body,)]
    while waiting:
        for value in waiting.pop():
            kind = value.__class__
            if kind in _HOLD_NO_FLOATS:
                continue
            if kind is dict:
                waiting.append(value.values())  # type: ignore[attr-defined]  # the class is checked
            elif kind is list:
                waiting.append(value)  # type: ignore[arg-type]  # the class is checked
            elif not isinstance(value, float):
                waiting.append(_inside(value))
            elif not math.isfinite(value):
                return True
    return False


def _inside(value: object) -> Iterable[object]:
    """Return the values that msgspec writes for a value that is no plain dict or list."""
    if isinstance(value, Mapping):
        return value.values()
    if isinstance(value, (list, tuple, set, frozenset)):
        return value
    if isinstance(value, enum.Enum):
        return (value.value,)
    if isinstance(value, Struct):
        return [getattr(value, name) for name in value.__struct_fields__]
    # an attrs class or a dataclass, if it has any fields
    fields = getattr(value, "__attrs_attrs__", None) or getattr(value, "__dataclass_fields__", {}).values()
    return [getattr(value, field.name, None) for field in fields]
