"""Room classes: which class a name gets, and which attribute names are left to subclasses."""

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from simplysocket import Room, Server
from simplysocket._rooms.room_classes import NamePattern
from simplysocket.testing import open_server


def test_the_longest_literal_beginning_wins() -> None:
    class A(Room): ...

    class B(Room): ...

    class C(Room): ...

    class D(Room): ...

    server = Server()
    for pattern, room_class in (("*", A), ("game-*", B), ("game-*-x", C), ("game-1", D)):
        server.room(pattern)(room_class)
    find = server._assembly.hub.classes.find
    assert [find(name) for name in ("other", "game-2", "game-2-x", "game-1", "mesh-global")] == [A, B, C, D, None]


async def test_a_subclass_may_name_its_attributes_as_it_likes(autojump_clock: MockClock) -> None:
    class Rich(Room):
        async def on_create(self) -> None:
            names = [name for name in dir(self) if not name.startswith("_") and name not in dir(Room)]
            assert sorted(names) == ["creator", "name", "options", "server"], "a public name more in every user's way"
            self.life = self.turns = self.fanout = self.nursery = self.home = self.count = self.post = 3

    server = Server()
    server.room("*")(Rich)
    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        await ana.request("leave-room", {"roomname": "one"})


@settings(derandomize=True, deadline=None, max_examples=2_000)
@given(st.text("ab\n*", max_size=8), st.text("ab\n", max_size=10))
def test_a_star_stands_for_any_characters(pattern: str, name: str) -> None:
    expression = ".*".join(map(re.escape, pattern.split("*")))
    assert NamePattern(pattern).matches(name) == (re.fullmatch(expression, name, re.DOTALL) is not None)


PATTERNS = {  # pattern: whether it matches "ab" and so on, with a literal part between its stars
    "*": True,
    "a*": True,
    "*b": True,
    "a*a*b": True,
    "a*c*b": False,
    "*aa*aa*": True,
    "*ba*ba*": False,
    "ab*ba": False,
    "**": True,
}


@pytest.mark.parametrize(("pattern", "does_match"), PATTERNS.items())
def test_the_parts_of_a_pattern_are_found_in_order(pattern: str, does_match: bool) -> None:
    assert NamePattern(pattern).matches("aaaab") == does_match


class Counted(str):
    """A name that counts the characters that are searched in it."""

    read = 0

    def find(self, part: str, start: Any = 0, end: Any = None) -> int:
        found = super().find(part, start, end)
        Counted.read += (len(self) if end is None else end) - start if found < 0 else found + len(part) - start
        return found


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("match-*-*-*-*-lobby", "match" + "-" * 50_000),
        ("match-*-*-*-*-lobby", "match" + "-" * 50_000 + "-lobbx"),
        ("a" + "*-*-" * 20 + "*x*a", "a" + "-" * 50_000 + "a"),
        ("a" + "*ab" * 20 + "*", "a" * 50_000),
        ("*a*b*c*d", "abc" * 20_000 + "d"),
    ],
)
def test_each_character_of_a_name_is_searched_at_most_once(pattern: str, name: str) -> None:
    Counted.read = 0
    NamePattern(pattern).matches(Counted(name))
    assert Counted.read <= len(name)


def test_a_name_that_nearly_matches_many_patterns_is_looked_up() -> None:
    server = Server()
    for last in range(50):
        server.room("match-" + "*-" * 20 + str(last))(type(f"Match{last}", (Room,), {}))
    assert server._assembly.hub.classes.find("match" + "-" * 50_000) is None
