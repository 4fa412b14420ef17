"""The sorted names of rooms: a page of `list-rooms` looks at its own names and no others."""

import random

from trio.testing import MockClock

from simplysocket._rooms.sorted_names import SortedNames
from simplysocket.testing import open_server

from ..harness.rooms import Talk
from ..harness.servers import make

COUNT = 10_000


class Name(str):
    """A name that counts how often it is compared."""

    __slots__ = ()
    compared = 0

    def __lt__(self, other: str) -> bool:
        Name.compared += 1
        return str(self) < str(other)


def test_a_page_among_ten_thousand_names_compares_few_of_them() -> None:
    names = SortedNames()
    for number in range(COUNT):
        names.add(Name(f"r{number:05}"))
    Name.compared = 0
    page = names.after(Name("r04999"), 100)
    assert page == [f"r{number:05}" for number in range(5_000, 5_100)]
    assert 0 < Name.compared < 30


def test_a_name_comes_and_goes_with_few_comparisons() -> None:
    names = SortedNames()
    for number in range(COUNT):
        names.add(Name(f"r{number:05}"))
    Name.compared = 0
    names.add(Name("r05000x"))
    names.remove(Name("r05000x"))
    assert 0 < Name.compared < 60
    assert len(names) == COUNT


def test_the_names_are_in_order_however_they_came() -> None:
    draw, names, expected = random.Random(4), SortedNames(), set[str]()
    for _ in range(2_000):
        name = f"r{draw.randrange(300)}"
        if name in expected:
            names.remove(name)
            expected.remove(name)
        else:
            names.add(name)
            expected.add(name)
        after = draw.choice(["", name, "r2", "s"])
        assert names.after(after, 10) == sorted(each for each in expected if each > after)[:10]
    assert len(names) == len(expected)


async def test_list_rooms_knows_the_rooms_as_they_come_and_go(autojump_clock: MockClock) -> None:
    server = make(("*", Talk))
    async with open_server(server) as net:
        ana = await net.connect("ana")

        async def listed() -> tuple[list[str], int]:
            answer = await ana.request("list-rooms")
            return [room["roomname"] for room in answer["rooms"]], answer["total"]

        for name in ("pear", "apple", "fig"):
            await ana.join(name)
        assert await listed() == (["apple", "fig", "pear"], 3)
        await ana.request("leave-room", {"roomname": "fig"})
        await ana.settle()
        assert await listed() == (["apple", "pear"], 2)
        await server.rooms["pear"].close()
        await ana.join("pear")
        assert await listed() == (["apple", "pear"], 2)
        assert len(server._assembly.hub.listing) == len(server.rooms) - 1
    assert len(server._assembly.hub.listing) == 0
