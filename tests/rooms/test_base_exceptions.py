"""A bug is a bug whatever its class: a BaseException of one's own, `GeneratorExit`, asyncio's `CancelledError`.

So is one that cannot be shown, and a refusal that lacks what it is answered with.
"""

from typing import Any, ClassVar

import pytest
import trio
from trio.testing import MockClock

from simplysocket import Call, Client, Identity, Message, Request, Room, Server, action, from_thread
from simplysocket.brokers import Batch, MemoryBroker
from simplysocket.middleware import Next, middleware
from simplysocket.testing import TestClient, open_server

from ..harness.bugs import BUGS, IS_ANY_BUG, Unshowable, UnshowableGroup, name_seen
from ..harness.messages import actions_of, bodies_of, code_of
from ..harness.servers import make

HANDLERS = ("at once", "later", "group", "outside", "cancelled", "thread", "middleware", "exception handler", "unknown")
_NO_REPR = (Unshowable, UnshowableGroup)
HOOKS = ("on_create", "on_auth", "on_join", "on_leave", "on_close")


class Fragile(Room):
    """A room that raises a bug where it is told to."""

    bug: ClassVar[type[BaseException]] = KeyError
    where: ClassVar[str] = ""
    noted: ClassVar[list[BaseException]] = []

    async def fail(self, where: str) -> None:
        if self.where == where:
            raise self.bug

    async def on_create(self) -> None:
        await self.fail("on_create")

    async def on_auth(self, client: Client, options: dict[str, Any]) -> None:
        await trio.sleep(0.1)
        await self.fail("on_auth")

    async def on_join(self, client: Client) -> None:
        await self.fail("on_join")

    async def on_leave(self, client: Client) -> None:
        await self.fail("on_leave")

    async def on_close(self) -> None:
        await self.fail("on_close")

    async def on_error(self, error: BaseException, client: Client | None) -> None:
        self.noted.append(error)
        raise self.bug

    async def on_message(self) -> None:
        raise self.bug

    @middleware
    async def ware(self, call: Call, next: Next) -> object:
        if call.action == "middleware":
            raise self.bug
        return await next(call)

    @action("at once")
    async def at_once(self) -> None:
        raise self.bug

    @action("later")
    async def later(self) -> None:
        await trio.sleep(1)
        raise self.bug

    @action("group")
    async def group(self) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.later)
            await trio.sleep(5)

    @action("outside", turn=False)
    async def outside(self) -> None:
        await self.later()

    @action("cancelled", cancel=True)
    async def cancelled(self) -> None:
        await self.later()

    @action("thread")
    async def thread(self) -> None:
        def call() -> None:
            from_thread.run(self.server, self.later)

        await trio.to_thread.run_sync(call)

    @action("exception handler")
    async def exception_handler(self) -> None:
        raise LookupError

    @action("start")
    async def start(self, body: str) -> None:
        if body == "task":
            self.start_soon(self.later)
        else:
            self.after(1, self.later) if body == "after" else self.every(1, self.later)

    @action("ping-room")
    async def ping_room(self) -> str:
        return "here"


def make_fragile(bug: type[BaseException], where: str = "", **options: Any) -> Server:
    class Here(Fragile):
        noted: ClassVar[list[BaseException]] = []

    Here.bug, Here.where = bug, where
    server = make(("one", Here), ("*", Room), **options)

    @server.exception_handler(LookupError)
    async def handle(call: Call, error: LookupError) -> None:
        raise bug

    @server.action("noted")
    async def noted() -> list[str]:
        return [type(each).__name__ for each in Here.noted]

    return server


async def is_served(client: TestClient) -> bool:
    return bool(await client.request("list-rooms") is not None)


@pytest.mark.parametrize(
    ("name", "bug"),
    # Of a nursery of one's own trio asks for the repr before any code of ours sees the exception.
    [(name, bug) for name in HANDLERS for bug in BUGS if name != "group" or not issubclass(bug, _NO_REPR)],
)
async def test_of_a_handler_it_costs_one_message(
    autojump_clock: MockClock, bug: type[BaseException], name: str
) -> None:
    if name == "thread":
        autojump_clock.autojump_threshold = 0.5  # real seconds: the clock does not see that a thread works
    server = make_fragile(bug)
    async with open_server(server) as net:
        ana, ben = await net.connect("ana"), await net.connect("ben")
        await ana.join("one")
        await ben.join("one")
        assert await code_of(ana, name, target="one") == "internal"
        assert await ben.request("ping-room", target="one") == "here"
        assert await ana.request("noted") == [name_seen(bug)]
        assert server.metrics.handlers_failed == 2  # the handler, and the room's on_error


@IS_ANY_BUG
@pytest.mark.parametrize("kind", ["after", "every"])
async def test_of_a_timer_it_costs_one_call(autojump_clock: MockClock, bug: type[BaseException], kind: str) -> None:
    async with open_server(make_fragile(bug)) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        await ana.request("start", kind, target="one")
        await trio.sleep(4.5)
        assert await ana.request("ping-room", target="one") == "here"
        noted = await ana.request("noted")
        assert set(noted) == {name_seen(bug)}
        assert (len(noted) > 1) == (kind == "every")


@IS_ANY_BUG
async def test_of_a_task_it_costs_the_room(autojump_clock: MockClock, bug: type[BaseException]) -> None:
    async with open_server(make_fragile(bug)) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        await ana.request("start", "task", target="one")
        await trio.sleep(2)
        (closed,) = bodies_of(await ana.settle(), "room-closed")
        assert closed["reason"] == "crashed"
        await ana.join("one")
        assert await ana.request("ping-room", target="one") == "here"


@IS_ANY_BUG
@pytest.mark.parametrize("where", HOOKS)
async def test_of_a_hook_of_a_room_it_costs_what_the_hook_is_for(
    autojump_clock: MockClock, bug: type[BaseException], where: str
) -> None:
    server = make_fragile(bug, where)
    async with open_server(server) as net:
        ana, ben = await net.connect("ana"), await net.connect("ben")
        await ben.join("other")
        if where in ("on_create", "on_auth", "on_join"):
            assert await code_of(ana, "join-room", {"roomname": "one"}) == "internal"
        else:
            await ana.join("one")
            await ana.request("leave-room", {"roomname": "one"})
        await trio.sleep(1)
        assert "one" not in server.rooms
        assert await is_served(ana)
        assert await is_served(ben)


@IS_ANY_BUG
async def test_of_a_hook_of_the_server_it_costs_one_client(autojump_clock: MockClock, bug: type[BaseException]) -> None:
    server, called = make_fragile(bug), list[str]()

    @server.authenticate
    async def authenticate(request: Request) -> Identity:
        if request.query["name"] == "authenticate":
            raise bug
        return Identity(request.query["name"], name=request.query["name"])

    @server.on_connect
    async def on_connect(client: Client) -> None:
        if client.name == "on_connect":
            raise bug

    @server.on_disconnect
    async def on_disconnect(client: Client) -> None:
        called.append(client.name)
        raise bug

    @server.outbound
    def outbound(message: Message) -> Message:
        if message.action == "said":
            raise bug
        return message

    async with open_server(server) as net:
        ben = await net.connect("ben")
        with pytest.raises(Exception, match="500"):
            await net.connect("authenticate")
        await net.connect("on_connect")
        await trio.sleep(5)
        eve = await net.connect("eve")
        await server.broadcast("said")
        await eve.stream.aclose()
        await trio.sleep(5)
        assert called == ["on_connect", "eve"]
        assert await is_served(ben)
        assert server.metrics.messages_stopped == 1


@IS_ANY_BUG
async def test_of_a_clients_state_it_costs_one_client(autojump_clock: MockClock, bug: type[BaseException]) -> None:
    made = 0

    def state() -> dict[str, Any]:
        nonlocal made
        made += 1
        if made == 2:
            raise bug
        return {}

    async with open_server(make(state=state)) as net:
        ben = await net.connect("ben")
        await net.connect("unlucky", greet=False)
        await trio.sleep(5)
        assert await is_served(ben)


@IS_ANY_BUG
async def test_of_a_broker_it_costs_the_room(autojump_clock: MockClock, bug: type[BaseException]) -> None:
    class Channel:
        def __init__(self, inner: Any) -> None:
            self.inner = inner

        def publish(self, batch: Batch) -> None:
            raise Unshowable if bug is UnshowableGroup else bug

        def close(self) -> None:
            raise bug

    class Broken(MemoryBroker):
        def open(self, room: str, deliver: Any) -> Any:
            if room == "no-channel":
                raise bug
            channel = super().open(room, deliver)
            return Channel(channel) if room == "bad-channel" else channel

    server = make(relay=True, broker=Broken())
    async with open_server(server) as net:
        ana = await net.connect("ana")
        assert await code_of(ana, "join-room", {"roomname": "no-channel"}) == "internal"
        await ana.join("bad-channel")
        await ana.send("hello", target="bad-channel")
        await trio.sleep(1)
        assert "room-closed" in actions_of(await ana.settle())
        assert await is_served(ana)
