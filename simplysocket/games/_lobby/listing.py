"""A listing: what a room publishes about itself, and the fields of its class that a filter may ask for.

Laws:
- What is listed is what the value said when it was published: later changes of the object change nothing.
- A field that a filter may ask for holds texts, numbers, or true and false, and perhaps null. A value that is of
  another kind is refused when it is published, so that no comparison can fail later.
"""

import enum
import math
import typing
from collections.abc import Iterable
from typing import Any, Final

import attrs
import msgspec
from msgspec.inspect import (
    BoolType,
    DataclassType,
    EnumType,
    FloatType,
    IntType,
    LiteralType,
    Metadata,
    NoneType,
    StrType,
    StructType,
    UnionType,
)
from msgspec.inspect import (
    Field as TypeField,
)

from ..._protocol import codec
from ...errors import RegistrationError

MOST_BYTES: Final = 1_024  # of one listing as JSON: an answer holds up to a hundred


class _Indexed:
    """The class of `indexed`."""

    def __repr__(self) -> str:
        return "indexed"


indexed: Final = _Indexed()
"""Marks a field of a listing by which many rooms are searched: `Annotated[str, indexed]`.

A filter with such a field looks only at the rooms that have its value, or one in its range.
"""


class Kind(enum.Enum):
    """What the values of a field are."""

    TEXT = "text"
    NUMBER = "a number"
    TRUTH = "true or false"


@attrs.frozen
class Field:
    """A field of a listing that a filter may ask for."""

    name: str  # on the wire
    attribute: str
    kind: Kind
    may_be_null: bool
    is_indexed: bool

    def takes(self, value: object) -> bool:
        """Tell whether a value, as JSON has it, is one that this field may have."""
        return self.may_be_null if value is None else kind_of(value) is self.kind


@attrs.frozen
class Published:
    """A listing as it was when it was published."""

    values: dict[str, Any]  # {field that a filter may ask for: its value as JSON has it}
    encoded: codec.Raw


@attrs.frozen
class Schema:
    """The fields of one class of listings."""

    listing_class: type
    fields: dict[str, Field]  # those that a filter may ask for

    def read(self, listing: object) -> Published:
        """Return a listing as it is now; TypeError, ValueError or `EncodeError` if it cannot be listed."""
        values = {}
        for field in self.fields.values():
            value = getattr(listing, field.attribute)
            if isinstance(value, enum.Enum):
                value = value.value
            if not field.takes(value):
                raise TypeError(
                    f"{self.listing_class.__name__}.{field.attribute} is {value!r:.100}: give {field.kind.value}"
                )
            values[field.name] = value
        encoded = codec.encode_body(listing)
        size = memoryview(encoded).nbytes
        if size > MOST_BYTES:
            raise ValueError(
                f"a {self.listing_class.__name__} of {size} bytes: a listing has at most {MOST_BYTES}; cut its texts"
            )
        return Published(values, encoded)


_COMMON: Final[dict[type, Kind]] = {str: Kind.TEXT, int: Kind.NUMBER, bool: Kind.TRUTH}


def kind_of(value: object) -> Kind | None:
    """Return the kind of a value as JSON has it; None for a value that is not compared."""
    kind = _COMMON.get(value.__class__)
    if kind is not None:
        return kind
    if isinstance(value, str):
        return Kind.TEXT
    if isinstance(value, bool):
        return Kind.TRUTH
    if isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
        return Kind.NUMBER
    return None


def read_schema(listing_class: type) -> Schema:
    """Read the fields of a class of listings; `RegistrationError` for a class that cannot be listed."""
    name = listing_class.__qualname__
    try:
        info = msgspec.inspect.type_info(listing_class)
        hints = typing.get_type_hints(listing_class, include_extras=True)
    except Exception as exc:  # whatever the annotations raise
        raise RegistrationError(f"the listing {name} has a field whose type cannot be used: {exc}") from exc
    if not isinstance(info, (StructType, DataclassType)) or (isinstance(info, StructType) and info.array_like):
        raise RegistrationError(f"the listing {name} is not written as a JSON object: give an attrs class")
    fields = {}
    for each in info.fields:
        is_indexed = any(mark is indexed for mark in getattr(hints.get(each.name), "__metadata__", ()))
        kind, may_be_null = _kind_of_type(each)
        if kind is not None:
            fields[each.encode_name] = Field(each.encode_name, each.name, kind, may_be_null, is_indexed)
        elif is_indexed:
            raise RegistrationError(
                f"{name}.{each.name} cannot be indexed: only a text, a number or a bool can, or None"
            )
    return Schema(listing_class, fields)


def _kind_of_type(field: TypeField) -> tuple[Kind | None, bool]:
    """Return the kind of a field's values, and whether they may be null; None if they are of no kind, or of several."""
    kinds = set(_kinds(field.type))
    may_be_null = type(None) in kinds
    kinds.discard(type(None))
    only = kinds.pop() if len(kinds) == 1 else None
    return (only, may_be_null) if isinstance(only, Kind) else (None, False)


_KINDS: Final[dict[type, Kind]] = {
    StrType: Kind.TEXT,
    IntType: Kind.NUMBER,
    FloatType: Kind.NUMBER,
    BoolType: Kind.TRUTH,
}


def _kinds(info: object) -> Iterable[object]:
    """Yield the kinds of the values of a type: `Kind`, `type(None)` for null, None for what is not compared."""
    if isinstance(info, Metadata):
        yield from _kinds(info.type)
    elif isinstance(info, UnionType):
        for each in info.types:
            yield from _kinds(each)
    elif isinstance(info, EnumType):
        yield from (kind_of(each.value) for each in info.cls)
    elif isinstance(info, LiteralType):
        yield from (kind_of(each) for each in info.values)
    elif isinstance(info, NoneType):
        yield type(None)
    else:
        yield _KINDS.get(type(info))
