"""Filters: what a client asks of the listings of rooms, checked against the fields of their class.

Laws:
- A filter holds if all its conditions do. A condition on null holds only for `eq`, `ne` and `in`.
- What a client may write is bounded, and each fault is `bad-body` with the path of its place.
- A machine: it knows no rooms.
"""

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, Protocol, TypeVar

import attrs

from ...errors import BadBody
from .listing import Field, Kind, Schema

LOOKS: Final = 1_000  # at listings, of one search
COMPARISONS: Final = 4_000  # of one search: about 0.4 ms
MOST_CONDITIONS: Final = 8  # of one filter
MOST_VALUES: Final = 50  # of all its conditions together, those in the lists of `in` included

_ORDERS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
}
_OPERATORS: Final = ("eq", "ne", *_ORDERS, "in")


class Listed(Protocol):
    """A room, as a filter sees it."""

    values: Mapping[str, Any]  # of its listing, as JSON has them


Room = TypeVar("Room", bound=Listed)


@attrs.frozen
class Condition:
    """One condition: the field, the operator, and the value to compare with; of `in`, a frozenset of values."""

    field: Field
    operator: str
    operand: Any  # text, number, bool or None

    def select(self, rooms: list[Room]) -> list[Room]:
        """Return the rooms for which it holds, in the same order.

        A comprehension for each operator: a search takes a call of a function for each room otherwise, twice the time.
        """
        name, operand = self.field.name, self.operand
        match self.operator:
            case "eq":
                return [each for each in rooms if each.values[name] == operand]
            case "ne":
                return [each for each in rooms if each.values[name] != operand]
            case "in":
                return [each for each in rooms if each.values[name] in operand]
            case order:
                compare = _ORDERS[order]
                if self.field.may_be_null:
                    rooms = [each for each in rooms if each.values[name] is not None]
                return [each for each in rooms if compare(each.values[name], operand)]


@attrs.frozen
class Filter:
    """The conditions on listings of one class, all of which must hold."""

    conditions: tuple[Condition, ...]

    @property
    def looks(self) -> int:
        """How many listings one search may look at."""
        return min(LOOKS, COMPARISONS // max(1, len(self.conditions)))

    def select(self, rooms: list[Room]) -> list[Room]:
        """Return the rooms that fit, in the same order."""
        for each in self.conditions:
            rooms = each.select(rooms)
        return rooms

    def by_indexed_field(self) -> dict[str, list[Condition]]:
        """Return {name of an indexed field: the conditions on it}."""
        found: dict[str, list[Condition]] = {}
        for each in self.conditions:
            if each.field.is_indexed:
                found.setdefault(each.field.name, []).append(each)
        return found


def read_filter(schema: Schema, wanted: Mapping[str, Any], path: str = "$.filter") -> Filter:
    """Read a filter as JSON has it; `BadBody` says what is wrong, and where."""
    conditions = []
    values = 0
    for name, asked in wanted.items():
        where = f"{path}.{name}"
        field = schema.fields.get(name)
        if field is None:
            raise BadBody(f"no listing has a field {name!r:.100} that may be asked for", path=where)
        for condition in _read_conditions(field, asked, where):
            conditions.append(condition)
            values += len(condition.operand) if condition.operator == "in" else 1
            if len(conditions) > MOST_CONDITIONS or values > MOST_VALUES:
                raise BadBody(
                    f"a filter has at most {MOST_CONDITIONS} conditions, with {MOST_VALUES} values together", path=path
                )
    return Filter(tuple(conditions))


def _read_conditions(field: Field, asked: Any, path: str) -> Iterator[Condition]:
    """Yield the conditions on one field: `asked` is its value, or {operator: value}."""
    if not isinstance(asked, Mapping):
        yield Condition(field, "eq", _checked(field, asked, path))
        return
    for name, operand in asked.items():
        where = f"{path}.{name}"
        if name not in _OPERATORS:
            raise BadBody(f"{name!r:.100} is no operator: there are {', '.join(_OPERATORS)}", path=where)
        if name == "in":
            yield Condition(field, name, _read_list(field, operand, where))
        else:
            if name in _ORDERS and (operand is None or field.kind is Kind.TRUTH):
                raise BadBody(f"{name} compares texts and numbers only", path=where)
            yield Condition(field, name, _checked(field, operand, where))


def _read_list(field: Field, operand: Any, path: str) -> frozenset[Any]:
    if isinstance(operand, str) or not isinstance(operand, (Sequence, set, frozenset)):
        raise BadBody("in takes a list of values", path=path)
    if len(operand) > MOST_VALUES:
        raise BadBody(f"a filter has at most {MOST_VALUES} values", path=path)
    for index, each in enumerate(operand):
        if not field.takes(each):
            _checked(field, each, f"{path}[{index}]")
    return frozenset(operand)


def _checked(field: Field, value: Any, path: str) -> Any:
    if not field.takes(value):
        null = ", or null" if field.may_be_null else ""
        raise BadBody(f"the values of {field.name!r} are {field.kind.value}{null}", path=path)
    return value
