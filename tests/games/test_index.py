"""The indexes and the search, beside a search that looks at every room."""

import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from simplysocket.games._lobby.filters import Filter, read_filter
from simplysocket.games._lobby.index import FieldIndex
from simplysocket.games._lobby.listing import Schema, read_schema
from simplysocket.games._lobby.openings import Openings
from simplysocket.games._lobby.records import Record

from ..harness.duels import Duelling

SCHEMA: Schema = read_schema(Duelling)
LEVELS = st.integers(0, 6)
CONDITIONS = st.one_of(
    LEVELS,
    st.dictionaries(st.sampled_from(["lt", "le", "gt", "ge", "eq", "ne"]), LEVELS, max_size=3),
    st.fixed_dictionaries({"in": st.lists(LEVELS, max_size=4)}),
)


class Made:
    """A runtime, as a record looks at it, and a room, as a filter does."""

    def __init__(self, name: str, values: dict[str, Any] | None = None) -> None:
        self.name = name
        self.values = values or {}


@given(st.lists(LEVELS, max_size=30), CONDITIONS, st.randoms(use_true_random=False))
@settings(deadline=None)
def test_an_index_gives_every_room_that_fits(levels: list[int], asked: Any, rng: random.Random) -> None:
    wanted: Filter = read_filter(SCHEMA, {"level": asked})
    index = FieldIndex()
    rooms = {f"r{n}": level for n, level in enumerate(levels)}
    for name, level in rooms.items():
        index.add(level, name)
    for name in rng.sample(sorted(rooms), len(rooms) // 3):
        index.remove(rooms.pop(name), name)
    candidates = index.find(wanted.conditions)
    fitting = {each.name for each in wanted.select([Made(name, {"level": level}) for name, level in rooms.items()])}
    if candidates is not None:
        assert fitting <= set(candidates)
        assert len(candidates) == len(list(candidates))


def test_null_is_found_by_equality_and_never_by_a_range() -> None:
    index = FieldIndex()
    index.add(None, "none")
    index.add(3, "three")
    conditions = read_filter(SCHEMA, {"best": {"in": [None, 3]}}).conditions
    found = index.find(conditions)
    assert found is not None
    assert sorted(found) == ["none", "three"]
    ranged = index.find(read_filter(SCHEMA, {"best": {"ge": 0}}).conditions)
    assert ranged is not None
    assert list(ranged) == ["three"]
    index.remove(None, "none")
    left = index.find(conditions)
    assert left is not None
    assert list(left) == ["three"]


def test_openings_are_given_the_oldest_first_however_they_came() -> None:
    openings = Openings()
    records = [Record(Made(f"r{n}"), n, None) for n in range(10)]  # type: ignore[arg-type]  # it looks at the name
    for n in (5, 2, 9, 2):
        openings.add(records[n])
    openings.discard(records[9])
    openings.discard(records[0])
    assert [record.number for record in openings.oldest(5)] == [2, 5]
    assert len(openings) == 2
    assert records[5] in openings
    assert records[9] not in openings
