"""`run` and `events`: a loop in a room that is handed messages, joins and leaves, one at a time, in the turn."""

from typing import Any

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from simplysocket import ActionError, Call, Client, Event, Message, Room, action
from simplysocket.testing import open_server

from ..harness.messages import actions_of, bodies_of
from ..harness.servers import make


class Loop(Room):
    """A room with a loop, as one that is ported from Go."""

    empty_ttl = None

    async def on_create(self) -> None:
        self.noted: list[Any] = []
        self.timeouts = 0

    async def run(self) -> None:
        async for event in self.events():
            await self.handle(event)

    async def handle(self, event: Event) -> None:
        assert event.kind != "message" or event.message is not None
        self.noted.append((event.kind, event.client.name, event.message and event.message.action))
        match event:
            case Event(kind="message", message=Message(action="say", body=body)):
                await self.broadcast("said", body, sender=event.client)
            case Event(kind="message", message=Message(action="ask", body=body)):
                await event.reply({"you said": body})
            case Event(kind="message", message=Message(action="slow", body=body)):
                before = len(self.noted)
                await trio.sleep(body)
                assert len(self.noted) == before
                await event.reply("slept")
            case Event(kind="message", message=Message(action="crash")):
                raise RuntimeError("a crash")
            case Event(kind="message", message=Message(action="kick", body=name)):
                await self.kick(next(each for each in self.members.values() if each.name == name))
                self.noted.append("kicked")
            case Event(kind="message", message=Message(action="close")):
                await self.close("over")
                await trio.sleep(1)
                await event.reply("closed")
            case Event(kind="join"):
                await self.send(event.client, "welcome-you")

    @action("act")
    async def act(self) -> str:
        self.noted.append("act")
        return "done"


async def test_messages_joins_and_leaves_come_in_order(autojump_clock: MockClock) -> None:
    async with open_server(make(("*", Loop))) as net:
        ana, ben = await net.connect("ana"), await net.connect("ben")
        await ana.join("one")
        await ben.join("one")
        assert actions_of(await ben.settle()) == ["welcome-you"]
        await ana.send("say", "hello", target="one")
        assert await ana.request("act", target="one") == "done"
        assert await ana.request("ask", "why", target="one") == {"you said": "why"}
        assert await ana.request("unanswered", target="one") is None
        await ben.request("leave-room", {"roomname": "one"})
        room: Any = net.server.rooms["one"]
        assert room.noted == [
            ("join", "ana", None),
            ("join", "ben", None),
            ("message", "ana", "say"),
            "act",
            ("message", "ana", "ask"),
            ("message", "ana", "unanswered"),
            ("leave", "ben", None),
        ]
        heard = await ana.settle()
        assert actions_of(heard) == ["welcome-you", "said"]
        assert heard[1]["sender"] == ana.id


async def test_the_loop_has_the_turn_until_it_asks_for_the_next_event(autojump_clock: MockClock) -> None:
    async with open_server(make(("*", Loop))) as net:
        ana, ben = await net.connect("ana"), await net.connect("ben")
        await ana.join("one")
        await ben.join("one")
        await ana.send("slow", 5, target="one", id=1)
        await ana.settle()
        began = trio.current_time()
        assert await ben.request("act", target="one") == "done"
        assert trio.current_time() - began == 5
        assert bodies_of(await ana.settle(), "reply") == ["slept"]


async def test_a_leave_has_its_reason_and_a_lost_client_leaves(autojump_clock: MockClock) -> None:
    reasons: list[Any] = []

    class Leaving(Loop):
        async def handle(self, event: Event) -> None:
            if event.kind == "leave":
                reasons.append((event.client.name, str(event.reason)))

    async with open_server(make(("*", Leaving))) as net:
        ana, ben = await net.connect("ana"), await net.connect("ben")
        await ana.join("one")
        await ben.join("one")
        await net.server.rooms["one"].kick(net.server.clients[ben.id], "rude")
        ana.drop()
        await trio.testing.wait_all_tasks_blocked()
        assert reasons == [("ben", "rude"), ("ana", "disconnected")]


async def test_the_loop_kicks_and_closes_as_a_handler_does(autojump_clock: MockClock) -> None:
    async with open_server(make(("*", Loop))) as net:
        ana, ben = await net.connect("ana"), await net.connect("ben")
        await ana.join("one")
        await ben.join("one")
        await ana.request("kick", "ben", target="one")
        await ana.settle()
        room: Any = net.server.rooms["one"]
        assert room.noted[-3:] == [("message", "ana", "kick"), "kicked", ("leave", "ben", None)]
        assert actions_of(await ben.settle())[-1] == "client-left-room"
        assert await ana.request("close", target="one") == "closed"
        assert bodies_of(await ana.settle(), "room-closed") == [{"roomname": "one", "reason": "over"}]


@pytest.mark.parametrize(("on_crash", "code"), [("close", "room-closed"), ("keep", ""), ("restart", "")])
async def test_a_loop_that_raises_follows_on_crash(autojump_clock: MockClock, on_crash: str, code: str) -> None:
    class Failing(Loop):
        async def on_message(self, client: Client, message: Message) -> str:
            return "without the loop"

    Failing.on_crash = on_crash
    async with open_server(make(("*", Failing))) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        with pytest.raises(ActionError) as refused:
            await ana.request("crash", target="one")
        assert refused.value.code == "internal"
        await ana.settle()
        if on_crash == "close":
            assert "one" not in net.server.rooms
        elif on_crash == "keep":
            assert await ana.request("ask", 1, target="one") == "without the loop"
        else:
            assert await ana.request("ask", 1, target="one") == {"you said": 1}
            room: Any = net.server.rooms["one"]
            assert room.noted == [("message", "ana", "ask")]  # and no join: the members were there


async def test_a_run_that_returns_or_breaks_leaves_messages_to_the_others(autojump_clock: MockClock) -> None:
    class Once(Loop):
        relay = True

        async def run(self) -> None:
            async for event in self.events():
                if event.message is not None:
                    break
            if self.name == "slow":
                await trio.sleep_forever()

    async with open_server(make(("*", Once))) as net:
        ana = await net.connect("ana")
        for name in ("slow", "done"):
            await ana.join(name)
            assert await ana.request("first", target=name) is None
            await ana.send("relayed", target=name)
        assert actions_of(await ana.settle()) == ["relayed"] * 2


async def test_a_run_without_events_is_a_task(autojump_clock: MockClock) -> None:
    class Plain(Room):
        relay = True

        async def run(self) -> None:
            while True:
                await trio.sleep(10)
                await self.broadcast("beat")

    async with open_server(make(("*", Plain))) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        await ana.send("hello", target="one")
        await trio.sleep(25)
        assert actions_of(await ana.settle()) == ["hello", "beat", "beat"]
        assert "Plain.run" in str(net.server.tree())


async def test_a_loop_with_a_timeout_loses_nothing_and_waits_for_no_turn(autojump_clock: MockClock) -> None:
    refused: list[str] = []

    class Ticking(Loop):
        async def run(self) -> None:
            events = self.events()
            while True:
                event = None
                with trio.move_on_after(1):
                    event = await anext(events)
                if event is not None:
                    await self.handle(event)
                    continue
                self.timeouts += 1
                if self.timeouts == 2:
                    try:
                        await self.kick(next(iter(self.members.values())))
                    except RuntimeError as error:
                        refused.append(str(error))

    async with open_server(make(("*", Ticking))) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        for number in range(20):
            await trio.sleep(0.3 + number / 10)
            assert await ana.request("ask", number, target="one") == {"you said": number}
        assert net.server.rooms["one"].timeouts > 5
        assert len(refused) == 1
        assert "self.after(0, ...)" in refused[0]


async def test_a_loop_that_takes_too_long_is_cancelled(autojump_clock: MockClock) -> None:
    async with open_server(make(("*", Loop), handler_seconds=2)) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        with pytest.raises(ActionError) as refused:
            await ana.request("slow", 60, target="one")
        assert refused.value.code == "timeout"
        assert bodies_of(await ana.settle(), "room-closed") == [{"roomname": "one", "reason": "crashed"}]


async def test_a_flood_waits_in_the_inbox_and_nowhere_else(autojump_clock: MockClock) -> None:
    async with open_server(make(("*", Loop))) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        await ana.send("slow", 3, target="one")
        for number in range(300):
            await ana.send("ask", number, target="one", id=number)
        await trio.sleep(4)
        heard = [each for each in await ana.settle() if "id" in each]
        assert [each["message_body"] for each in heard] == [{"you said": number} for number in range(300)]


async def test_the_room_closes_while_the_loop_has_an_event(autojump_clock: MockClock) -> None:
    async with open_server(make(("*", Loop))) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        await ana.send("slow", 60, target="one", id=1)
        await ana.send("ask", 60, target="one", id=2)
        await ana.settle()
        await net.server.rooms["one"].close()
        heard = await ana.settle()
        assert [each["code"] for each in bodies_of(heard, "error")] == ["room-closed"] * 2
        assert "one" not in net.server.rooms


async def test_a_client_that_goes_while_the_loop_has_its_event_leaves_afterwards(autojump_clock: MockClock) -> None:
    async with open_server(make(("*", Loop))) as net:
        ana, ben = await net.connect("ana"), await net.connect("ben")
        await ana.join("one")
        await ben.join("one")
        await ben.send("slow", 5, target="one", id=1)
        await ben.settle()
        ben.drop()
        await trio.sleep(6)
        room: Any = net.server.rooms["one"]
        assert room.noted[-2:] == [("message", "ben", "slow"), ("leave", "ben", None)]


async def test_a_second_answer_or_a_late_one_is_a_mistake(autojump_clock: MockClock) -> None:
    kept: list[Event] = []
    said: list[str] = []

    class Twice(Loop):
        async def handle(self, event: Event) -> None:
            for each in (*kept, event, event) if event.message else ():
                try:
                    await each.reply(1)
                except RuntimeError as error:
                    said.append(str(error))
            kept.append(event)

    async with open_server(make(("*", Twice))) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        assert await ana.request("a", target="one") == 1
        assert await ana.request("b", target="one") == 1
        await ana.send("c", target="one")
        assert await ana.settle() == []
        assert [each[:3] for each in said] == ["'a'", "'a'", "'b'", "'a'", "'b'"]


async def test_middleware_is_around_what_the_loop_is_handed(autojump_clock: MockClock) -> None:
    server = make(("*", Loop))

    @server.middleware
    async def refuse(call: Call, next: Any) -> object:
        if call.action == "refused":
            raise ActionError("forbidden", "no")
        return await next(call)

    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        assert await ana.request("ask", 1, target="one") == {"you said": 1}
        with pytest.raises(ActionError, match="forbidden"):
            await ana.request("refused", target="one")
        assert ("message", "ana", "refused") not in server.rooms["one"].noted  # type: ignore[attr-defined]


async def test_events_elsewhere_are_refused(autojump_clock: MockClock) -> None:
    class Wrong(Loop):
        @action("handler")
        async def handler(self) -> None:
            self.events()

        @action("second")
        async def second(self) -> str:
            try:
                self.start_soon(self.take)
                await trio.sleep(1)
            finally:
                self.noted.append("second")
            return self.said

        async def take(self) -> None:
            try:
                await anext(self.events())
            except RuntimeError as error:
                self.said = str(error)

    async with open_server(make(("*", Wrong))) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        with pytest.raises(ActionError, match="internal"):
            await ana.request("handler", target="one")
        assert "one loop at a time" in await ana.request("second", target="one")
        assert await ana.request("ask", 1, target="one") == {"you said": 1}
        with pytest.raises(ValueError, match="turns of its own"):
            net.server.rooms["mesh-global"].events()
        with pytest.raises(RuntimeError, match="for a loop in"):
            net.server.rooms["one"].events()
