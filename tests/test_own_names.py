"""Own names: what the package needs on a room, a client or a server cannot be set; the error says what to write."""

import inspect
from typing import Any

import pytest
from trio.testing import MockClock

from simplysocket import ActionError, Client, RegistrationError, Room, Server, action
from simplysocket.testing import open_server

from .harness.servers import make

FREE = {"capacity", "announce", "relay", "empty_ttl", "unjoined_ttl", "hold_seconds", "rejoin", "on_crash", "listing"}
PUBLIC_OF_ROOM = ({name for name in dir(Room) if not name.startswith("_")} | {"name", "creator", "server"}) - FREE
PUBLIC_OF_CLIENT = {name for name in dir(Client) if not name.startswith("_")} - {"name", "state"}
PUBLIC_OF_SERVER = {name for name in dir(Server) if not name.startswith("_")} | set(
    inspect.signature(Server).parameters
)


class Plain(Room):
    """A room of which every name is set by a handler."""

    @action("set")
    async def set(self, body: str) -> str:
        try:
            setattr(self, body, None)
        except AttributeError as error:
            return str(error)
        return "set"

    @action("delete")
    async def delete(self, body: str) -> str:
        try:
            delattr(self, body)
        except AttributeError as error:
            return str(error)
        return "deleted"

    @action("say")
    async def say(self) -> str:
        await self.broadcast("said", self.options)
        return self.name


async def test_a_room_refuses_each_of_its_own_names(autojump_clock: MockClock) -> None:
    said = {}
    async with open_server(make(("*", Plain))) as net:
        ana = await net.connect("ana")
        await ana.join("one", size=3)
        for name in (*PUBLIC_OF_ROOM, "_runtime", "anything_else"):
            said[name] = await ana.request("set", name, target="one")
        assert await ana.request("say", target="one") == "one"
        assert net.server.rooms["one"].options == {"size": 3}
    assert said.pop("anything_else") == "set"
    assert all(f"Plain.{name} cannot be set: " in text for name, text in said.items())
    assert said["name"] == "Plain.name cannot be set: it is the package's own; give your attribute another name"
    assert "it is a method of the package's; give your attribute another name" in said["broadcast"]
    assert "it is a hook; write `async def on_join` in the class" in said["on_join"]
    assert "it is an option of the class" in said["open"]


async def test_a_room_keeps_its_own_names(autojump_clock: MockClock) -> None:
    async with open_server(make(("*", Plain))) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        for name in (*PUBLIC_OF_ROOM, "_runtime"):
            answer = await ana.request("delete", name, target="one")
            assert answer == f"Plain.{name} cannot be deleted: it is the package's own"
        assert await ana.request("set", "mine", target="one") == "set"
        assert await ana.request("delete", "mine", target="one") == "deleted"
        assert await ana.request("say", target="one") == "one"


async def test_a_client_keeps_its_names(autojump_clock: MockClock) -> None:
    async with open_server(make()) as net:
        await net.connect("ana")
        (client,) = net.server.clients.values()
        for name in (*PUBLIC_OF_CLIENT, "name", "state", "_session"):
            with pytest.raises(AttributeError, match=f"Client.{name} cannot be deleted"):
                delattr(client, name)


def test_a_server_keeps_its_names() -> None:
    server = Server("test")
    for name in ("name", "limits", "metrics", "_lifecycle"):
        with pytest.raises(AttributeError, match=rf"Server\.{name} cannot be deleted"):
            delattr(server, name)


@pytest.mark.parametrize(
    "name", sorted({name for name in PUBLIC_OF_ROOM if not name.startswith("on_")} - {"open", "run"})
)
def test_a_room_class_refuses_each_of_its_own_names(name: str) -> None:
    for value in (3, "text", property(lambda self: 3), lambda self: None):
        with pytest.raises(RegistrationError, match=rf"Game\.{name} .*hides Room\.{name}: name it otherwise"):
            Server().room("*")(type("Game", (Room,), {name: value}))


async def test_an_option_may_be_set_for_one_room(autojump_clock: MockClock) -> None:
    class Sized(Room):
        async def on_create(self) -> None:
            self.capacity = self.options["size"]  # type: ignore[misc]
            self.announce = True  # type: ignore[misc]

    async with open_server(make(("*", Sized))) as net:
        ana, ben = await net.connect("ana"), await net.connect("ben")
        await ana.join("one", size=1)
        with pytest.raises(ActionError, match="room-full"):
            await ben.join("one")


async def test_a_client_takes_a_name_and_a_state_and_nothing_else(autojump_clock: MockClock) -> None:
    async with open_server(make()) as net:
        ana = await net.connect("ana")
        client: Any = net.server.clients[ana.id]
        for name in (*PUBLIC_OF_CLIENT, "_session", "score"):
            with pytest.raises(AttributeError, match=rf"Client\.{name} cannot be set.*client\.state"):
                setattr(client, name, None)
        client.name, client.state = "Ana", 3
        assert (client.name, client.state, client.id) == ("Ana", 3, ana.id)


@pytest.mark.parametrize("name", sorted(PUBLIC_OF_SERVER))
def test_a_server_refuses_each_of_its_own_names_and_options(name: str) -> None:
    class Mine(Server):
        def __init__(self) -> None:
            super().__init__("mine")
            self.database = "data"

    for server in (Server(), Mine()):
        with pytest.raises(AttributeError, match=rf"\.{name} cannot be set: \w+"):
            setattr(server, name, None)
    with pytest.raises(RegistrationError, match=rf"Other\.{name} cannot be set"):
        type("Other", (Server,), {name: 3})


def test_what_is_set_on_a_server_by_mistake_is_written_otherwise() -> None:
    server: Any = Server()
    with pytest.raises(AttributeError, match=r"write `@server.on_connect` above the function"):
        server.on_connect = print
    with pytest.raises(AttributeError, match=r"give it as Server\(limits=\.\.\.\)"):
        server.limits = None


def test_a_hook_in_a_subclass_of_server_is_refused_and_a_method_is_not() -> None:
    with pytest.raises(RegistrationError, match=r"Mine.on_connect cannot be set: write `@server.on_connect`"):

        class Mine(Server):
            async def on_connect(self, client: Client) -> None:  # type: ignore[override]
                """It would never be called."""

    class Stopping(Server):
        async def stop(self, grace: float = 30.0) -> None:
            await super().stop(grace)
