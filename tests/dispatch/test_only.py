"""`only=`: who may do an action is asked in the turn, before the body is read."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from simplysocket import ActionError, Actions, Call, Client, RegistrationError, Room, Server, action
from simplysocket.testing import open_server

from ..harness.servers import make


class Table(Room):
    """A room in which the creator may start, and one client at a time is on turn."""

    async def on_create(self) -> None:
        self.on_turn = "ana"
        self.noted: list[str] = []

    def is_owner(self, client: Client) -> bool:
        return client is self.creator

    def is_on_turn(self, client: Client) -> bool:
        self.noted.append(f"asked about {client.name}")
        return client.name == self.on_turn

    def explains(self, client: Client) -> bool:
        raise ActionError("busy", "come back later")

    def fails(self, client: Client) -> bool:
        raise KeyError("a bug in a predicate")

    @action("start", only=is_owner)
    async def start(self, body: int) -> int:
        return body

    @action("play", only=is_on_turn)
    async def play(self, client: Client) -> str:
        self.noted.append(f"{client.name} plays")
        await trio.sleep(1)
        self.on_turn = "ben" if self.on_turn == "ana" else "ana"
        return self.on_turn

    @action("think", turn=False, only=is_on_turn)
    async def think(self) -> str:
        await trio.sleep(5)
        return "thought"

    @action("explain", only=explains)
    async def explain(self) -> None: ...

    @action("fail", only=fails)
    async def fail(self) -> None: ...

    @action("lambda", only=lambda room, client: room.name == "one" and client.name)
    async def of_a_lambda(self) -> str:
        return "done"

    async def on_error(self, error: BaseException, client: Client | None) -> None:
        self.noted.append(f"error {type(error).__name__} for {client.name if client else None}")


async def refused(request: Awaitable[Any]) -> tuple[str, str]:
    with pytest.raises(ActionError) as error:
        await request
    return error.value.code, error.value.message


async def test_who_may_not_is_refused_before_the_body_is_read(autojump_clock: MockClock) -> None:
    async with open_server(make(("*", Table))) as net:
        ana, ben = await net.connect("ana"), await net.connect("ben")
        await ana.join("one")
        await ben.join("one")
        assert await ana.request("start", 3, target="one") == 3
        assert await refused(ben.request("start", 3, target="one")) == ("forbidden", "you may not do this now")
        assert (await refused(ben.request("start", "three", target="one")))[0] == "forbidden"
        assert (await refused(ana.request("start", "three", target="one")))[0] == "bad-body"


async def test_it_is_asked_in_the_turn(autojump_clock: MockClock) -> None:
    async with open_server(make(("*", Table))) as net:
        ana, ben = await net.connect("ana"), await net.connect("ben")
        await ana.join("one")
        await ben.join("one")
        await ana.send("play", target="one", id=1)
        await ana.settle()
        assert await ben.request("play", target="one") == "ana"  # asked after Ana's move
        room: Any = net.server.rooms["one"]
        assert room.noted == ["asked about ana", "ana plays", "asked about ben", "ben plays"]


async def test_a_handler_outside_the_turn_is_asked_about_in_the_turn(autojump_clock: MockClock) -> None:
    async with open_server(make(("*", Table))) as net:
        ana, ben = await net.connect("ana"), await net.connect("ben")
        await ana.join("one")
        await ben.join("one")
        await ana.send("play", target="one", id=1)
        await ana.settle()
        assert (await refused(ana.request("think", target="one")))[0] == "forbidden"  # it is Ben's turn by then
        assert await ben.request("think", target="one") == "thought"


async def test_its_own_refusal_is_the_answer_and_a_bug_is_a_bug(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_server(make(("*", Table))) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        assert await refused(ana.request("explain", target="one")) == ("busy", "come back later")
        assert (await refused(ana.request("fail", target="one")))[0] == "internal"
        room: Any = net.server.rooms["one"]
        assert room.noted == ["error KeyError for ana"]
        assert "a bug in a predicate" in caplog.text
        assert net.server.statistics()["handlers_failed"] == 1
        assert await ana.request("start", 1, target="one") == 1


async def test_what_counts_as_true_is_a_yes_and_a_coroutine_is_none(autojump_clock: MockClock) -> None:
    async def later(room: Room, client: Client) -> bool:
        return True

    server = make(("*", Table))
    hidden: Callable[..., Any] = lambda room, client: later(room, client)  # noqa: E731  # as a user may write it

    @server.action("hidden", only=hidden)
    async def never() -> str:
        return "done"

    async with open_server(server) as net:
        ana, nobody = await net.connect("ana"), await net.connect("x")
        for client, name in ((ana, "one"), (nobody, "two")):
            await client.join(name)
        assert await ana.request("lambda", target="one") == "done"
        assert (await refused(nobody.request("lambda", target="two")))[0] == "forbidden"
        assert (await refused(ana.request("hidden", target="one")))[0] == "internal"


async def test_a_subclass_overrides_the_predicate_and_the_handler(autojump_clock: MockClock) -> None:
    class Free(Table):
        def is_owner(self, client: Client) -> bool:
            return client.name == "ben"

    class Other(Table):
        async def start(self, body: int) -> int:
            return -body

    async with open_server(make(("free", Free), ("other", Other))) as net:
        ana, ben = await net.connect("ana"), await net.connect("ben")
        for name in ("free", "other"):
            await ana.join(name)
            await ben.join(name)
        assert (await refused(ana.request("start", 1, target="free")))[0] == "forbidden"
        assert await ben.request("start", 1, target="free") == 1
        assert await ana.request("start", 1, target="other") == -1
        assert (await refused(ben.request("start", 1, target="other")))[0] == "forbidden"


async def test_actions_of_the_server_and_of_groups_have_predicates(autojump_clock: MockClock) -> None:
    asked: list[tuple[str, str]] = []

    def is_ana(room: Room, client: Client) -> bool:
        asked.append((room.name, client.name))
        return client.name == "ana"

    server, group = make(("*", Table)), Actions("chat.")

    @server.action("global", only=is_ana)
    async def of_the_server() -> str:
        return "server"

    @group.action("say", only=is_ana, cancel=True)
    async def of_a_group() -> str:
        return "group"

    @server.middleware
    async def note(call: Call, next: Any) -> object:
        asked.append(("middleware", call.action))
        return await next(call)

    server.include(group)
    async with open_server(server) as net:
        ana, ben = await net.connect("ana"), await net.connect("ben")
        await ana.join("one")
        assert await ana.request("global") == "server"
        assert await ana.request("chat.say", target="one") == "group"
        assert (await refused(ben.request("global")))[0] == "forbidden"
        assert asked == [
            ("mesh-global", "ana"),
            ("middleware", "global"),
            ("one", "ana"),
            ("middleware", "chat.say"),
            ("mesh-global", "ben"),  # and no middleware
        ]
        only = {each.name: each.only for each in server.describe().actions}
        assert only["start"] == "Table.is_owner"
        assert only["chat.say"].endswith("is_ana")


async def _coroutine(room: Room, client: Client) -> bool:
    return True


@pytest.mark.parametrize(
    ("only", "text"),
    [
        (True, "only=True: give a plain `def"),
        ("owner", "only='owner': give a plain `def"),
        (_coroutine, "give a plain `def"),
        (lambda client: True, r"does not take `\(room, client\)`"),
        (lambda room, client, body: True, r"does not take `\(room, client\)`"),
    ],
)
def test_what_is_no_predicate_is_refused_where_it_is_written(only: Any, text: str) -> None:
    for register in (action, Server().action, Actions().action):
        with pytest.raises(RegistrationError, match=f"the action 'act' has .*{text}"):
            register("act", only=only)


def test_an_override_that_is_no_predicate_is_refused_at_registration() -> None:
    class Wrong(Table):
        async def is_owner(self, client: Client) -> bool:  # type: ignore[override]
            return True

    with pytest.raises(RegistrationError, match=r"the action 'start' has only=.*Wrong.is_owner.*give a plain `def"):
        Server().room("*")(Wrong)
