"""Body types: what is inside the type of a handler's body, looked at once, at registration.

Laws: it only looks. A type is known through `msgspec.inspect`, and a validator through the fields of its class.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any, Final

import attrs
import msgspec
from msgspec.inspect import (
    AnyType,
    CustomType,
    DataclassType,
    DictType,
    Metadata,
    StrType,
    StructType,
    TypedDictType,
    UnionType,
)


def unknown_type(info: object) -> type | None:
    """Return a class inside a body's type that msgspec accepts now but would fail on at the first message."""
    return next((each.cls for each in inside(info) if isinstance(each, CustomType) and each.cls is not object), None)


def takes_object(info: object) -> bool:
    """Tell whether a body of this type may be a JSON object."""
    while isinstance(info, Metadata):
        info = info.type
    members = info.types if isinstance(info, UnionType) else (info,)
    return any(isinstance(each, _OBJECTS) for each in members)


_OBJECTS: Final = (AnyType, DictType, StructType, DataclassType, TypedDictType)


def is_listing_class(value: object) -> bool:
    """Tell whether a value of this class is written as a JSON object with known keys."""
    if not isinstance(value, type):
        return False
    return issubclass(value, msgspec.Struct) or attrs.has(value) or dataclasses.is_dataclass(value)


def unbounded_patterns(info: object) -> tuple[str, ...]:
    """Return the regular expressions inside a body's type that run over texts of any length.

    These are the patterns of `Meta(pattern=...)` without `max_length`, and those of
    `attrs.validators.matches_re` without a `max_length` or an earlier `max_len`.
    """
    found: list[str] = []
    for each in inside(info):
        if isinstance(each, StrType) and each.pattern is not None and each.max_length is None:
            found.append(each.pattern)
        elif isinstance(each, DataclassType) and attrs.has(each.cls):
            bounded = {field.name for field in each.fields if _is_bounded(field.type)}
            for attribute in attrs.fields(each.cls):
                if attribute.validator is not None and attribute.name not in bounded:
                    found += _unbounded_in(attribute.validator)
    return tuple(dict.fromkeys(found))


def _is_bounded(info: object) -> bool:
    return isinstance(info, StrType) and info.max_length is not None


def inside(info: object) -> Iterator[object]:
    """Yield a type and all types inside it, each once."""
    waiting, seen = [info], set[int]()
    while waiting:
        each = waiting.pop()
        if id(each) in seen:
            continue  # a type that contains itself
        seen.add(id(each))
        yield each
        for name in getattr(each, "__struct_fields__", ()):
            value = getattr(each, name)
            waiting += [
                inner
                for inner in (value if isinstance(value, tuple) else (value,))
                if isinstance(inner, (msgspec.inspect.Type, msgspec.inspect.Field))
            ]


def _unbounded_in(validator: object) -> Iterator[str]:
    """Yield the patterns of the validators inside a validator that come before any `max_len`."""
    for each in _parts(validator):
        if hasattr(each, "max_length"):
            return
        pattern = getattr(getattr(each, "pattern", None), "pattern", None)
        if isinstance(pattern, str):
            yield pattern


def _parts(validator: Any) -> Iterator[object]:  # Any: any function; those of attrs are instances of attrs classes
    """Yield a validator and those that it is made of, in the order in which they run."""
    yield validator
    if attrs.has(type(validator)):
        for field in attrs.fields(type(validator)):
            value = getattr(validator, field.name)
            for inner in value if isinstance(value, (tuple, list)) else (value,):
                if attrs.has(type(inner)):
                    yield from _parts(inner)
