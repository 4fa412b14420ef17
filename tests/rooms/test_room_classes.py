"""Room classes: which class a name gets, and which attribute names are left to subclasses."""

from trio.testing import MockClock

from simplysocket import Room, Server
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
            names += {"options"} & set(dir(Room))  # decoded when it is looked at
            assert sorted(names) == ["creator", "name", "options", "server"], "a public name more in every user's way"
            self.life = self.turns = self.fanout = self.nursery = self.home = self.count = self.post = 3

    server = Server()
    server.room("*")(Rich)
    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        await ana.request("leave-room", {"roomname": "one"})
