"""Listings: the rooms that others may see, in the order of their names, with an index for each indexed field.

Laws:
- A search looks at 1,000 listings at most (`Filter.looks`), however many there are, and says where it has stopped.
- A page is in the order of the names, so a cursor is a name: the room need not be there any more.
- A plain machine.
"""

from collections.abc import Iterable, Mapping
from heapq import nsmallest
from typing import Any, Final

import attrs

from ..._rooms.sorted_names import SortedNames
from ...errors import BadBody
from .filters import Filter, read_filter
from .index import Candidates, FieldIndex, smallest
from .listing import Schema
from .records import Record

PAGE: Final = 100  # rooms in one answer
_AT_A_TIME: Final = 128  # rooms that are looked at in one step, so that a search may stop early


@attrs.frozen
class Page:
    """Some rooms in the order of their names."""

    records: list[Record]
    next: str | None  # the name after which the search goes on; None: there is nothing more


class Table:
    """The rooms whose listings are of one class."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self._names = SortedNames()
        self._records: dict[str, Record] = {}
        self._indexes = {field.name: FieldIndex() for field in schema.fields.values() if field.is_indexed}

    def add(self, record: Record, values: Mapping[str, Any]) -> None:
        """Add a room with the values of its listing."""
        self._names.add(record.name)
        self._records[record.name] = record
        for name, index in self._indexes.items():
            index.add(values[name], record.name)

    def remove(self, record: Record, values: Mapping[str, Any]) -> None:
        """Remove a room that was added with these values."""
        self._names.remove(record.name)
        del self._records[record.name]
        for name, index in self._indexes.items():
            index.remove(values[name], record.name)

    def change(self, record: Record, before: Mapping[str, Any], values: Mapping[str, Any]) -> None:
        """Give a room other values."""
        for name, index in self._indexes.items():
            if before[name] != values[name]:
                index.remove(before[name], record.name)
                index.add(values[name], record.name)

    def candidates(self, wanted: Filter) -> Candidates | None:
        """Return the fewest rooms among which all that fit are; None if that may be nearly all."""
        by_field = wanted.by_indexed_field()
        return smallest((self._indexes[name], conditions) for name, conditions in by_field.items())

    def few(self, wanted: Filter, most: int) -> list[Record] | None:
        """Return the rooms among which all that fit are, if they are `most` at most."""
        candidates = self.candidates(wanted)
        if candidates is None or len(candidates) > most:
            return None
        return [self._records[name] for name in candidates]

    def search(self, wanted: Filter, after: str, looks: int) -> Page:
        """Return the first rooms after a name that fit; looks at `looks` at most."""
        candidates = self.candidates(wanted)
        if candidates is not None and len(candidates) <= looks:
            names = sorted(name for name in candidates if name > after)
            stopped = None
        else:
            names = self._names.after(after, looks)
            stopped = names[-1] if len(names) == looks else None
        found: list[Record] = []
        for at in range(0, len(names), _AT_A_TIME):
            found += wanted.select([self._records[name] for name in names[at : at + _AT_A_TIME]])
            if len(found) > PAGE:
                break
        return cut(found, stopped)


class Listings:
    """All rooms that others may see."""

    def __init__(self) -> None:
        self._names = SortedNames()
        self._records: dict[str, Record] = {}
        self.tables: dict[type, Table] = {}  # {class of listings: the rooms that have one}

    def __len__(self) -> int:
        return len(self._names)

    def add(self, record: Record) -> None:
        """Show a room."""
        self._names.add(record.name)
        self._records[record.name] = record
        if record.published is not None:
            self._table_of(record).add(record, record.published.values)

    def remove(self, record: Record) -> None:
        """Show a room no longer."""
        self._names.remove(record.name)
        del self._records[record.name]
        if record.published is not None:
            self._table_of(record).remove(record, record.published.values)

    def change(self, record: Record, before: Mapping[str, Any], values: Mapping[str, Any]) -> None:
        """Note that a room that has a listing has another one."""
        self._table_of(record).change(record, before, values)

    def _table_of(self, record: Record) -> Table:
        return self.tables[type(record.runtime.room).listing]

    def page(self, after: str) -> Page:
        """Return the first rooms after a name."""
        names = self._names.after(after, PAGE + 1)
        return cut([self._records[name] for name in names], None)

    def search(self, wanted: Mapping[str, Any], after: str, classes: Iterable[type]) -> Page:
        """Return the first rooms after a name whose listings fit; `BadBody` if none of the classes has such fields.

        Rooms of a class that lacks one of the fields do not fit.
        """
        filters: list[tuple[Table, Filter]] = []
        faults: list[BadBody] = []
        for each in classes:
            try:
                filters.append((self.tables[each], read_filter(self.tables[each].schema, wanted)))
            except BadBody as fault:
                faults.append(fault)
        if not filters:
            raise faults[0] if faults else BadBody("no room has a listing", path="$.filter")
        pages = [table.search(each, after, each.looks // len(filters)) for table, each in filters]
        if len(pages) == 1:
            return pages[0]
        ends = [page.next for page in pages if page.next is not None]
        stopped = min(ends, default=None)  # beyond it not all have been looked at
        found = [each for page in pages for each in page.records if stopped is None or each.name <= stopped]
        return cut(nsmallest(PAGE + 1, found, key=_name_of), stopped)


def cut(found: list[Record], stopped: str | None) -> Page:
    """Return a page of the first of these rooms; `stopped`: the name after which nobody has looked."""
    if len(found) > PAGE:
        return Page(found[:PAGE], found[PAGE - 1].name)
    return Page(found, stopped)


def _name_of(record: Record) -> str:
    return record.name
