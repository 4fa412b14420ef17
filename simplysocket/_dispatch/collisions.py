"""Collisions: values of a body that all have the same hash, found before they are put into a set or a dict.

Python's hash of a number is its remainder by 2^61 - 1, without a secret, and the hash of a tuple or a frozen class is
made of the hashes inside it. So a client can find thousands of values with the same hash. Each of them would be
compared with all before it: 50 to 150 ms for 64 KiB. Hashes of which only some bits are the same cost 0.4 ms.

Laws:
- A body is looked through in a time that grows with its length, also if it is refused in the end.
- Nothing is hashed before what is inside it was looked at.
- What else is wrong with a body is left to the decoder to say.
"""

import contextlib
import datetime
import decimal
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Final, Literal, Union

import msgspec
from msgspec import inspect

from .._protocol.codec import Raw
from ..errors import BadBody
from .body_types import inside

MOST_ALIKE: Final = 64  # different values with one hash: all powers of two that are floats make 35

_Place = tuple["_Place | None", int | str]  # of a value: that of the one that holds it, and the index or name there

_Item = tuple[object, Any, _Place | None]  # the type of a value, the value as JSON has it, its place
_Look = Callable[[Any, "_Place | None"], Sequence[_Item]]

_DICTS: Final = (inspect.DictType, inspect.FrozenDictType)
_SETS: Final = (inspect.SetType, inspect.FrozenSetType)
_ARRAYS: Final = (*_SETS, inspect.ListType, inspect.VarTupleType, inspect.CollectionType)
_OBJECTS: Final = (inspect.StructType, inspect.DataclassType, inspect.NamedTupleType, inspect.TypedDictType)

# {what msgspec tells of a type: the type}, for values whose hashes have a secret or of which there are few
_HARMLESS: Final[dict[type, Any]] = {
    inspect.StrType: str,
    inspect.BytesType: bytes,
    inspect.DateTimeType: datetime.datetime,
    inspect.DateType: datetime.date,
    inspect.TimeType: datetime.time,
    inspect.BoolType: bool,
    inspect.NoneType: None,
}
_NUMBERS: Final[dict[type, Any]] = {
    inspect.IntType: int,
    inspect.FloatType: float,
    inspect.DecimalType: decimal.Decimal,
    inspect.UUIDType: uuid.UUID,
    inspect.TimeDeltaType: datetime.timedelta,
}

_read_any: Final = msgspec.json.Decoder(float_hook=decimal.Decimal).decode  # a float would lose digits of a Decimal


def guarded(read: Callable[[Raw], Any], info: object) -> Callable[[Raw], Any]:
    """Return a reader like `read`, of a type that `info` tells of, which refuses collisions with `BadBody`.

    It is `read` itself if the type has no sets or dicts of what can collide.
    """
    hashed = {id(each): hint for each in inside(info) if (hint := _hashed_type(each)) is not None}
    if not hashed:
        return read
    leading = {id(each) for each in inside(info) if any(id(inner) in hashed for inner in inside(each))}
    looks = {id(each): _look_into(each, leading) for each in inside(info) if id(each) in leading}

    def read_guarded(body: Raw) -> Any:
        if bytes(body).count(b",") >= MOST_ALIKE:  # with fewer there are not so many values
            _refuse_collisions(body, info, hashed, looks)
        return read(body)

    return read_guarded


def _refuse_collisions(body: Raw, info: object, hashed: dict[int, Any], looks: dict[int, _Look]) -> None:
    """Look through a body; `hashed` has the types of what sets and dicts hash, `looks` how to come there."""
    try:
        value = _read_any(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return
    found: list[_Item] = []
    waiting: list[_Item] = [(info, value, None)]
    while waiting:
        item = info, value, place = waiting.pop()
        if value.__class__ is list or value.__class__ is dict:
            if len(value) > MOST_ALIKE and id(info) in hashed:
                found.append(item)
            waiting += looks[id(info)](value, place)
    for info, value, place in reversed(found):  # what is inside first
        values = [*value] if isinstance(value, dict) else value
        if _has_collisions(values, hashed[id(info)], is_strict=value is values):
            raise BadBody(f"more than {MOST_ALIKE} different values have the same hash", path=_path(place))


def _look_into(info: Any, leading: set[int]) -> _Look:
    """Return a function that lists what is inside a value of this type and may lead to a set or dict.

    It takes a list or a dict. About 0.5 us for each value, since a body can hold 20,000 sets.
    """
    if isinstance(info, inspect.UnionType):
        kinds = [each for each in info.types if id(each) in leading]
        return lambda value, place: [(kind, value, place) for kind in kinds if _has_tag(value, kind)]
    if isinstance(info, _OBJECTS):
        fields = [(each.encode_name, each.type, f".{each.encode_name}") for each in info.fields]
        first = 0 if getattr(info, "tag", None) is None else 1  # in an array the tag comes first

        def look_into_object(value: Any, place: _Place | None) -> list[_Item]:
            if value.__class__ is list:
                value = {name: each for (name, _, _), each in zip(fields, value[first:], strict=False)}
            return [
                (inner, value[name], (place, step))
                for name, inner, step in fields
                if name in value and id(inner) in leading
            ]

        return look_into_object
    if isinstance(info, _DICTS) and id(info.value_type) in leading:
        inner = info.value_type
        return lambda value, place: (
            [(inner, each, (place, "[...]")) for each in value.values() if each] if value.__class__ is dict else []
        )
    if isinstance(info, inspect.TupleType):
        return lambda value, place: [
            (inner, each, (place, at))
            for at, (inner, each) in enumerate(zip(info.item_types, value, strict=False))
            if id(inner) in leading
        ]
    if isinstance(info, _ARRAYS) and id(info.item_type) in leading:
        inner = info.item_type
        return lambda value, place: [(inner, each, (place, at)) for at, each in enumerate(value) if each]
    return lambda value, place: ()


def _has_tag(value: Any, info: object) -> bool:
    """Tell whether a value can be the Struct of a union; so each value is looked at as one of them at most."""
    if not isinstance(info, inspect.StructType) or info.tag is None:
        return True
    if isinstance(value, list):
        return bool(value) and value[0] == info.tag
    return isinstance(value, dict) and value.get(info.tag_field) == info.tag


def _has_collisions(values: list[Any], hint: Any, *, is_strict: bool) -> bool:
    """Tell whether more than `MOST_ALIKE` different values have one hash."""
    elements: list[Any] = []
    counts = Counter[int]()
    with contextlib.suppress(msgspec.ValidationError, TypeError, RecursionError):  # the decoder ends there, too
        for at in range(0, len(values), MOST_ALIKE):
            some = msgspec.convert(values[at : at + MOST_ALIKE], list[hint], strict=is_strict)
            elements += some
            counts.update(map(hash, some))
    alike = {each: set[str]() for each, count in counts.items() if count > MOST_ALIKE}
    if alike:  # The same value may come any number of times.
        for element in elements:
            if (texts := alike.get(hash(element))) is not None:
                texts.add(repr(element))
    return any(len(texts) > MOST_ALIKE for texts in alike.values())


def _path(place: _Place | None) -> str:
    """Return the JSON path of a place, as the decoder writes it."""
    names: list[str] = []
    while place is not None:
        place, name = place
        names.append(f"[{name}]" if isinstance(name, int) else name)
    return "$" + "".join(reversed(names))


def _hashed_type(info: object) -> Any:
    """Return the type of the elements or keys that a set or dict hashes; None if they cannot collide."""
    if isinstance(info, _SETS):
        inner: object = info.item_type
    elif isinstance(info, _DICTS):
        inner = info.key_type
        if isinstance(inner, inspect.AnyType):
            return None  # the keys are texts
    else:
        return None
    kinds = inner.types if isinstance(inner, inspect.UnionType) else (inner,)
    return None if all(map(_is_harmless, kinds)) else _type_of(inner)


def _is_harmless(info: object) -> bool:
    if isinstance(info, inspect.IntType):  # `Meta` takes 64 bits, which have nine numbers of each hash
        return (info.ge is not None or info.gt is not None) and (info.le is not None or info.lt is not None)
    return type(info) in _HARMLESS or isinstance(info, (inspect.FloatType, inspect.LiteralType, inspect.EnumType))


def _type_of(info: Any) -> Any:
    """Return a type whose values hash as those of the type that `info` tells of; its bounds are left out."""
    kind = type(info)
    if kind in _HARMLESS or kind in _NUMBERS:
        return _HARMLESS[kind] if kind in _HARMLESS else _NUMBERS[kind]
    if kind is inspect.UnionType:
        return Union[tuple(map(_type_of, info.types))]  # noqa: UP007  # of a tuple
    if kind is inspect.LiteralType:
        return Literal[tuple(info.values)]
    if kind is inspect.TupleType:
        return tuple[tuple(map(_type_of, info.item_types))]  # type: ignore[misc]  # made at run time
    if kind is inspect.VarTupleType:
        return tuple[_type_of(info.item_type), ...]  # type: ignore[misc]  # made at run time
    if kind is inspect.FrozenSetType:
        return frozenset[_type_of(info.item_type)]  # type: ignore[misc]  # made at run time
    return getattr(info, "cls", Any)
