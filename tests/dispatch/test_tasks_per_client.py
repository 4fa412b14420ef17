"""The limit `tasks_per_client`: how many handlers of one client may run outside the turns."""

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from simplysocket import Room, action
from simplysocket.testing import open_server

from ..harness.messages import answers_of, code_of
from ..harness.servers import make
from ..harness.work import IN_EACH_ROOM, is_at_rest, make_worker


@IN_EACH_ROOM
@pytest.mark.parametrize("how", ["wait", "bug", "cancel", "timeout", "swallow", "leave"])
async def test_a_client_has_at_most_so_many_handlers_outside_the_turns(
    autojump_clock: MockClock, room: str, how: str
) -> None:
    server = make_worker(turn=False, tasks_per_client=3)
    async with open_server(server) as net:
        ana, bob = await net.connect(), await net.connect()
        await ana.join("one")
        await bob.join("one")
        body = how if how in ("bug", "swallow") else "wait"
        for times in range(3):
            keys = {"timeout": 10} if how == "timeout" else {}
            for id in range(5):
                await ana.send("work", body, target=room, id=f"{times}-{id}", **keys)
            heard = await ana.settle()
            refused = [id for id in range(5) if answers_of(heard, f"{times}-{id}") == ["too-many"]]
            assert refused == [3, 4]
            await bob.send("work", "at once", target=room, id="bob")
            assert answers_of(await bob.settle(), "bob") == ["done"]
            if how in ("cancel", "swallow"):
                for id in range(3):
                    await ana.send("cancel", id=f"{times}-{id}")
            elif how == "leave":
                await ana.request("leave-room", {"roomname": "one"})
                await ana.join("one")
            await trio.sleep(150)
            answers = {
                "wait": "done",
                "leave": "done",
                "bug": "internal",
                "cancel": "cancelled",
                "timeout": "timeout",
                "swallow": "swallowed",
            }
            heard = await ana.settle()
            assert [answers_of(heard, f"{times}-{id}") for id in range(3)] == [[answers[how]]] * 3
            assert is_at_rest(server)


async def test_the_handlers_of_a_room_that_has_ended_no_longer_count(autojump_clock: MockClock) -> None:
    server = make_worker(turn=False, tasks_per_client=2)

    async def crash() -> None:
        raise ValueError("a task crashes")

    async with open_server(server) as net:
        ana = await net.connect()
        for how in ("close", "crash", "close"):
            await ana.join("one")
            for id in range(2):
                await ana.send("work", "wait", target="one", id=id)
            assert await code_of(ana, "work", "wait", target="one") == "too-many"
            if how == "close":
                await server.rooms["one"].close()
            else:
                server.rooms["one"].start_soon(crash)
            heard = await ana.settle()
            assert [answers_of(heard, id) for id in range(2)] == [["room-closed"]] * 2
            assert is_at_rest(server)


async def test_a_handler_that_has_been_answered_no_longer_counts(autojump_clock: MockClock) -> None:
    class Watched(Room):
        @action("bug", turn=False)
        async def bug(self) -> None:
            await trio.sleep(1)
            raise KeyError("a bug")

        @action("long")
        async def long(self) -> None:
            await trio.sleep(50)

        async def on_error(self, error: BaseException) -> None: ...

    server = make(("one", Watched))
    async with open_server(server) as net:
        ana = await net.connect()
        await ana.join("one")
        await ana.send("bug", target="one", id=1)
        await ana.send("long", target="one")
        await trio.sleep(5)
        assert answers_of(await ana.settle(), 1) == ["internal"]
        assert is_at_rest(server)
