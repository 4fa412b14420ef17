"""The server: starting, stopping, cancelling, signals, and what a wrong registration is told."""

import signal
import socket
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
import trio.testing
from trio.testing import MockClock

from simplysocket import ActionError, Client, Limits, RegistrationError, Room, RoomClosed, Server, action
from simplysocket.testing import TestClient, open_server

from ..harness.servers import in_cancel_scope


class Game(Room):
    log: list[str]

    async def on_create(self) -> None:
        self.log = []
        self.start_soon(self.background)

    async def background(self) -> None:
        try:
            await trio.sleep_forever()
        finally:
            self.log.append("background ended")

    async def on_close(self, reason: str) -> None:
        self.log.append(f"closing: {reason}, {len(self.members)} members")
        await trio.sleep(1)
        self.log.append("closed")

    async def on_leave(self) -> None:
        self.log.append("left")

    @action("stop")
    async def stop(self) -> str:
        await self.server.stop(20)
        return "stopping"


def make(**limits: Any) -> Server:
    server = Server("test", limits=Limits(**limits))
    server.room("*")(Game)
    return server


# --- stopping


async def test_stop_closes_rooms_with_their_hooks_then_clients_with_3001(autojump_clock: MockClock) -> None:
    server = make()
    async with open_server(server) as net:
        ana, bob = await net.connect("ana"), await net.connect("bob")
        await ana.join("one")
        room: Any = server.rooms["one"]
        await server.stop(10)
        assert room.log == ["background ended", "closing: shutdown, 1 members", "closed"]
        for client in (ana, bob):
            assert (await client.wait_ended()).code == 3001
        assert (await ana.receive())["action"] == "room-closed"
        assert not server.clients
        assert not server.rooms


async def test_stop_from_a_handler_returns_at_once_and_the_reply_is_sent(autojump_clock: MockClock) -> None:
    server = make()
    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        assert await ana.request("stop", target="one") == "stopping"
        assert (await ana.wait_ended()).code == 3001


async def test_while_stopping_new_connections_are_refused(autojump_clock: MockClock) -> None:
    server = make()
    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        stream = await net.open_stream()
        await trio.testing.wait_all_tasks_blocked()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.stop, 10)
            await trio.testing.wait_all_tasks_blocked()
            with pytest.raises(ActionError, match="503"):
                await net.connect("late")
            await stream.send_all(b"GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\n")
            await stream.send_all(b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
            assert (await stream.receive_some()).startswith(b"HTTP/1.1 503 ")


async def test_a_client_that_never_answers_does_not_hold_up_a_stop(autojump_clock: MockClock) -> None:
    server = make()
    async with open_server(server) as net:
        deaf = await net.connect("deaf", reads=False, greet=False)
        await deaf.send("join-room", {"roomname": "one"})
        await trio.testing.wait_all_tasks_blocked()
        started = trio.current_time()
        await server.stop(30)
        assert trio.current_time() - started < 5  # on_close takes 1, close_seconds is 2


async def test_a_stop_is_cut_at_its_grace(autojump_clock: MockClock) -> None:
    class Endless(Room):
        async def on_close(self) -> None:
            await trio.sleep_forever()

    server = Server("test", limits=Limits(close_seconds=100))
    server.room("*")(Endless)
    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        started = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.stop, 50)
            await trio.sleep(1)
            nursery.start_soon(server.stop, 5)  # a second one may shorten it
        assert (await ana.wait_ended()).code == 3001
        assert trio.current_time() - started < 110


async def test_cancelling_serve_says_close_3001_and_runs_on_close_within_its_time(autojump_clock: MockClock) -> None:
    server = make()
    async with in_cancel_scope(server) as (net, scope):
        ana = await net.connect("ana")
        await ana.join("one")
        room: Any = server.rooms["one"]
        scope.cancel()
        assert (await ana.wait_ended()).code == 3001
        await trio.sleep(3)
        assert "closing: shutdown, 1 members" in room.log
        assert room.log[-1] == "closed"
        assert not server.clients


async def test_a_thousand_clients_and_a_hundred_rooms_stop_under_load(autojump_clock: MockClock) -> None:
    server = Server("test", limits=Limits(messages_per_second=None, joins_per_second=None))
    server.room("*")(Game)

    @server.action("say")
    async def say(client: Client, room: Room) -> None:
        await trio.sleep(0.01)
        await room.broadcast("said", {}, sender=client)

    async with open_server(server) as net:
        clients = [await net.connect(f"c{n}") for n in range(300)]
        for n, client in enumerate(clients):
            await client.send("join-room", {"roomname": f"r{n % 50}"})
        for client in clients:
            for _ in range(3):
                await client.send("say", target="mesh-global")
        await server.stop(30)
        for client in clients:
            assert (await client.wait_ended()).code == 3001
        assert not server.clients
        assert trio.lowlevel.current_statistics().tasks_living < 30 + 300


async def test_a_server_may_serve_again_after_it_has_stopped(autojump_clock: MockClock) -> None:
    server = make()
    for _ in range(2):
        async with open_server(server) as net:
            ana = await net.connect("ana")
            await ana.join("one")
            with pytest.raises(RuntimeError, match="serving already"):
                await server.serve(port=0)


async def test_serve_needs_something_to_serve_on() -> None:
    with pytest.raises(ValueError, match="port=, unix= or listeners="):
        await Server().serve()


async def test_a_port_in_use_is_said_so() -> None:
    async with trio.open_nursery() as nursery:
        first = await nursery.start(Server("one").serve, "127.0.0.1", 0)
        with pytest.raises(OSError, match=f"port {first.port} of 127.0.0.1 is in use"):
            await Server("two").serve("127.0.0.1", first.port)
        nursery.cancel_scope.cancel()


RUNNING = """
import trio
from simplysocket import Limits, Room, Server
server = Server("signalled", limits=Limits(drain_seconds=20))
@server.room("*")
class Game(Room):
    async def on_close(self):
        print("closing", flush=True)
        await trio.sleep({seconds})
        print("closed", flush=True)
server.run("127.0.0.1", 0)
print("ended", flush=True)
"""


async def run_and_signal(tmp_path: Path, seconds: float, *signals: signal.Signals) -> tuple[int, str, int]:
    """Run a server with one client, send it signals, and return its exit code, its output, and the client's Close."""
    script = tmp_path / "running.py"
    script.write_text(RUNNING.format(seconds=seconds))
    process = await trio.lowlevel.open_process(
        [sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        line = b""
        while not line.endswith(b"\n"):
            line += await process.stderr.receive_some(1_000)
        port = int(line.split(b"127.0.0.1:")[1].split()[0])
        stream = await trio.open_tcp_stream("127.0.0.1", port)
        client = TestClient(stream)
        await client.shake_hands("ana", path="/ws", greet=True, headers={})
        await client.join("one")
        output = b""
        for each in signals:
            process.send_signal(each)
            if seconds > 5 and not output:
                output += await process.stdout.receive_some(1_000)  # it is closing now
        code = (await client.wait_ended()).code
        with trio.fail_after(20):
            while received := await process.stdout.receive_some(1_000):
                output += received
            await process.wait()
        await stream.aclose()
        return process.returncode, output.decode(), code
    finally:
        process.kill()
        await process.stdout.aclose()
        await process.stderr.aclose()
        await process.wait()


@pytest.mark.parametrize("which", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_drains(tmp_path: Path, which: signal.Signals) -> None:
    assert await run_and_signal(tmp_path, 0.1, which) == (0, "closing\nclosed\nended\n", 3001)


async def test_a_second_signal_stops_at_once(tmp_path: Path) -> None:
    exit_code, output, close_code = await run_and_signal(tmp_path, 10, signal.SIGTERM, signal.SIGTERM)
    assert (exit_code, close_code) == (0, 3001)
    assert output.startswith("closing\n")
    assert output.endswith("ended\n")


# --- what a wrong registration is told


@attrs.frozen
class Body:
    word: str


class Unknown:
    """A class that JSON cannot become."""


def wrong_registrations() -> dict[str, Any]:
    """Return what a newcomer may get wrong, by the words of the answer."""
    server = Server()

    async def fine(client: Client) -> None: ...

    def plain(client: Client) -> None: ...

    async def two_bodies(a: Body, b: Body) -> None: ...

    async def any_number(*bodies: Body) -> None: ...

    async def unknown(body: Unknown) -> None: ...

    async def nested(body: list[Unknown]) -> None: ...

    async def unresolved(body: "Nowhere") -> None: ...  # type: ignore[name-defined]  # noqa: F821

    class WithInit(Room):
        def __init__(self) -> None: ...

    class PlainHook(Room):
        def on_join(self, client: Client) -> None: ...  # type: ignore[override]

    class Twice(Room):
        @action("a")
        async def one(self) -> None: ...

        @action("a")
        async def two(self) -> None: ...

    class Other(Room):
        @action("a")
        async def one(self, room: Game) -> None: ...

    class Misspelt(Room):
        async def on_joined(self, client: Client) -> None: ...

    class Greedy(Room):
        async def on_join(self, client: Client, options: dict[str, Any]) -> None: ...  # type: ignore[override]

    class Hiding(Room):
        @action("close")
        async def close(self) -> None: ...  # type: ignore[override]

    class NoPlaces(Room):
        capacity = 0

    class WithoutSelf(Room):
        @action("a")
        async def one(client: Client) -> None: ...  # type: ignore[misc]

    server.action("taken")(fine)
    server.room("taken-*")(Room)
    return {
        "registered twice": lambda: server.action("taken")(fine),
        "used twice": lambda: server.room("taken-*")(Game),
        "write `async def`": lambda: server.action("a")(plain),  # type: ignore[type-var]
        "two parameters that could be the body": lambda: server.action("b")(two_bodies),
        "name what it needs": lambda: server.action("c")(any_number),
        "make it an attrs class": lambda: server.action("d")(unknown),
        "'Nowhere' is not defined": lambda: server.action("e")(unresolved),
        "list.*Unknown.*cannot be read": lambda: server.action("f")(nested),
        "reserved for the protocol": lambda: server.action("reply"),
        "1 to 64 characters": lambda: action(""),
        "on_create": lambda: server.room("g")(WithInit),
        "async def on_join": lambda: server.room("h")(PlainHook),
        "registered twice in": lambda: server.room("i")(Twice),
        "wants a Game": lambda: server.room("j")(Other),
        "is no hook: there are on_create": lambda: server.room("l")(Misspelt),
        "takes 2 arguments beside self, and is offered 1": lambda: server.room("m")(Greedy),
        "hides Room.close": lambda: server.room("n")(Hiding),
        "capacity is 0": lambda: server.room("o")(NoPlaces),
        "without self": lambda: server.room("p")(WithoutSelf),
        "needs the action's name": lambda: server.action(fine),  # type: ignore[arg-type]
        "needs the action's name: write": lambda: action(fine),  # type: ignore[arg-type]
        "is no pattern": lambda: server.room(Game),  # type: ignore[arg-type]
        "give Limits": lambda: Server(limits={}),  # type: ignore[arg-type]
        "a path, or several": lambda: Server(path=[]),
        "subclasses of Room": lambda: server.room("k")(Body),  # type: ignore[type-var]
        "must begin with '/'": lambda: Server(path="ws"),
        "is no directory": lambda: server.static("/", "nowhere"),
    }


WRONG = wrong_registrations()


@pytest.mark.parametrize("words", WRONG)
def test_a_wrong_registration_fails_at_once_and_says_what_to_do(words: str) -> None:
    if words in ("reserved for the protocol",):
        with pytest.raises(RegistrationError, match=words):
            WRONG[words]()(partial)
        return
    with pytest.raises(RegistrationError, match=words):
        WRONG[words]()


def test_wrong_origins_are_said_so() -> None:
    with pytest.raises(ValueError, match="is one string"):
        Server(origins="https://example.com")
    with pytest.raises(ValueError, match="is no origin"):
        Server(origins=["example.com"])


def test_the_longest_literal_beginning_wins() -> None:
    class A(Room): ...

    class B(Room): ...

    class C(Room): ...

    class D(Room): ...

    server = Server()
    for pattern, room_class in (("*", A), ("game-*", B), ("game-*-x", C), ("game-1", D)):
        server.room(pattern)(room_class)
    find = server._hub.classes.find
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


async def test_what_was_counted_can_be_read(autojump_clock: MockClock) -> None:
    server = make()
    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        with pytest.raises(ActionError):
            await ana.request("nothing", target="one")
        statistics = server.statistics()
        assert statistics["clients"] == 1
        assert statistics["rooms"] == 2
        assert statistics["messages_received"] == 2
        assert statistics["messages_refused"] == {"unknown-action": 1}
        await ana.close()
        await trio.testing.wait_all_tasks_blocked()
        assert server.statistics()["connections_closed"] == {1000: 1}


@pytest.mark.parametrize("port", [-1, 65_536, "8080"])
async def test_a_port_that_is_none_is_said_so(port: Any) -> None:
    with pytest.raises(ValueError, match="give a number from 0 to 65535"):
        await Server().serve("127.0.0.1", port)


def test_run_ends_with_one_line_where_it_cannot_listen() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(SystemExit, match=f"^test: port {port} of 127.0.0.1 is in use: take another one$"):
            Server("test").run("127.0.0.1", port)


async def test_what_cannot_be_said_is_the_callers_error(autojump_clock: MockClock) -> None:
    server = make()
    async with open_server(server) as net:
        ana, bob = await net.connect("ana"), await net.connect("bob")
        await ana.join("one")
        room, here, elsewhere = server.rooms["one"], server.clients[ana.id], server.clients[bob.id]
        wrong: Any = here.id
        with pytest.raises(TypeError, match="not the id"):
            await room.send(wrong, "hello")
        with pytest.raises(TypeError, match="not the id"):
            await room.kick(wrong)
        with pytest.raises(TypeError, match="not their ids"):
            await room.broadcast("hello", exclude=wrong)
        with pytest.raises(ActionError, match="not-a-member"):
            await room.send(elsewhere, "hello")
        for action_name in (5, "reply", "room-closed"):
            with pytest.raises(ValueError, match="cannot be said"):
                await room.broadcast(action_name)  # type: ignore[arg-type]
        await room.close()
        with pytest.raises(RoomClosed):
            await room.send(here, "late")
        assert [message["action"] for message in await ana.settle()] == ["room-closed"]


async def test_a_join_that_names_no_room_is_told_so(autojump_clock: MockClock) -> None:
    async with open_server(make()) as net:
        ana = await net.connect("ana")
        for body in ({}, {"room": "one"}, {"roomname": ""}):
            with pytest.raises(ActionError, match="bad-body: which room"):
                await ana.request("join-room", body)


async def test_a_handler_of_one_server_stops_another_and_waits_for_it(autojump_clock: MockClock) -> None:
    ours, theirs = Server("ours"), Server("theirs")

    @ours.action("stop")
    async def stop() -> bool:
        await theirs.stop(1)
        return theirs.trio_token is None

    async with open_server(theirs), open_server(ours) as net:
        ana = await net.connect("Ana")
        await ana.join("hall")
        assert await ana.request("stop", target="hall") is True
        assert "hall" in ours.rooms


async def test_a_wait_for_what_never_comes_ends(autojump_clock: MockClock) -> None:
    async with open_server(Server("test")) as net:
        ana = await net.connect("Ana")
        with pytest.raises(trio.TooSlowError, match=r"Ana waited 6 hours.*settle"):
            await ana.receive()
        with pytest.raises(trio.TooSlowError):
            await ana.wait_ended()
