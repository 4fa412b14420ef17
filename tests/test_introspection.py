"""Looking inside a server: the tree of its rooms, and the description of what is registered."""

import trio
from trio.testing import MockClock

from simplysocket import Client, Room, Server, action, middleware
from simplysocket.middleware import Next
from simplysocket.testing import open_server

from .harness.servers import make


async def test_the_tree_says_why_each_room_is_alive_and_what_runs_in_it(autojump_clock: MockClock) -> None:
    class Game(Room):
        empty_ttl = 60

        async def on_create(self) -> None:
            self.every(10, self.next_turn)
            self.start_soon(self.watch)

        async def next_turn(self) -> None: ...

        async def watch(self) -> None:
            await trio.sleep_forever()

        @action("think")
        async def think(self) -> None:
            await trio.sleep(1_000)

        @action("upload", turn=False)
        async def upload(self) -> None:
            await trio.sleep(1_000)

    server = make(("game-*", Game))
    async with open_server(server) as net:
        await server.open_room("game-0")
        ana = await net.connect("Ana")
        await ana.join("game-1")
        await ana.send("upload", target="game-1")
        await trio.sleep(60)
        await ana.send("think", target="game-1")
        await trio.sleep(65)
        ben = await net.connect("Ben")
        await ben.join("game-2")
        await ben.request("leave-room", {"roomname": "game-2"})
        await ana.send("next", target="game-1")
        await trio.sleep(20)
        tree = server.tree()
        lobby, empty, game, left = tree.rooms
        assert (tree.clients, lobby.name, lobby.reason) == (2, "mesh-global", "there as long as the server; 2 members")
        assert (empty.name, empty.reason) == ("game-0", "waits for its first member")
        assert (game.class_name, game.age, game.reason, game.members) == ("Game", 145, "1 member", 1)
        assert (game.handling, game.handling_age) == ("the handler of 'think'", 85)
        assert game.waiting == 2  # a message, and the timer
        names = {task.name.partition(" for ")[0].rpartition(".<locals>.")[2] for task in game.tasks}
        assert names == {"Game.next_turn", "Game.watch", "the handler of 'upload'"}
        assert [task.age for task in game.tasks] == [145, 145, 145]
        assert left.reason == "empty; it closes in 40 s"
        lines = str(tree).splitlines()
        assert lines[0] == "test: 2 clients, 4 rooms"
        assert "  'game-1' (Game, 2 min 25 s): 1 member" in lines
        assert "    in its turn: the handler of 'think', waiting for 1 min 25 s" in lines
        assert any(line.startswith("    every 10 s: ") and line.endswith("next_turn, 2 min 25 s") for line in lines)
        await trio.sleep(41)
        assert "game-2" not in str(server.tree())


async def test_the_tree_shows_a_room_that_is_closing(autojump_clock: MockClock) -> None:
    class Slow(Room):
        async def on_close(self, reason: str) -> None:
            await trio.sleep(1)

    server = make(("slow", Slow))
    async with open_server(server) as net:
        ana = await net.connect("Ana")
        await ana.join("slow")
        net.nursery.start_soon(server.rooms["slow"].close, "enough")
        await trio.sleep(0.5)
        (_, slow) = server.tree().rooms
        assert slow.reason == "closing: enough"
        assert [task.name for task in slow.tasks] == ["on_close"]


async def test_the_tree_shows_what_waits_in_the_global_room_and_no_age_of_another(autojump_clock: MockClock) -> None:
    server, seen = make(), list[float]()

    @server.action("slow")
    async def slow() -> None:
        await trio.sleep(60)

    @server.action("look")
    async def look() -> None:
        seen.append(server.tree().rooms[1].handling_age)

    async with open_server(server) as net:
        ana = await net.connect("Ana")
        await ana.send("slow")
        await trio.sleep(30)
        (task,) = server.tree().rooms[0].tasks
        assert (task.name, task.age) == (f"the handler of 'slow' for {ana.id}", 30)
        await ana.join("hall")
        await ana.send("slow", target="hall")
        await ana.request("look", target="hall")
        assert seen == [0]  # it does not wait, although the handler before it did


def test_a_server_describes_what_was_registered() -> None:
    origins, hosts = ["https://b.example", "https://a.example"], ["b.example", "*.a.example"]
    server = Server("demo", path=("/ws", "/old"), origins=origins, hosts=hosts, direct=True)

    @server.middleware
    async def log(call: object, next: Next) -> object: ...

    @server.action("time", turn=False)
    async def time(client: Client) -> float: ...

    @server.room("game-*")
    class Game(Room):
        capacity = 4

        @action("guess", cancel=True)
        async def guess(self, body: dict[str, int]) -> None: ...

        @middleware
        async def guard(self, call: object, next: Next) -> object: ...

    found = server.describe()
    assert (found.name, found.paths, found.direct, found.is_authenticated) == ("demo", ("/ws", "/old"), True, False)
    assert found.origins == ("https://a.example", "https://b.example")
    assert found.hosts == ("*.a.example", "b.example")
    assert [(each.name, each.room_class, each.body, each.turn, each.cancel) for each in found.actions] == [
        ("time", None, "", False, False),
        ("guess", "Game", "dict[str, int]", True, True),
    ]
    assert all(each.place.partition(":")[0].endswith("test_introspection.py") for each in found.actions)
    assert [(each.pattern, each.class_name, each.capacity) for each in found.rooms] == [("game-*", "Game", 4)]
    (ware,) = found.middleware
    assert "log" in ware
