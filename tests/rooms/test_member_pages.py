"""Who is in a room: no answer grows with the room, and pages of `who` reach every member."""

from typing import Any

import pytest
import trio.testing
from trio.testing import MockClock

from simplysocket import GLOBAL_ROOM
from simplysocket._rooms.member_order import PAGE, MemberOrder
from simplysocket.testing import TestClient, open_server

from ..harness.crowd import connect_many
from ..harness.messages import code_of
from ..harness.rooms import Talk
from ..harness.servers import make
from ..harness.socketless import enter_many


@pytest.mark.parametrize("action", ["join-room", "who"])
async def test_a_crowd_in_one_room_costs_bytes_that_grow_with_the_crowd_and_no_faster(
    autojump_clock: MockClock, action: str
) -> None:
    taken = []
    for count in (1_000, 2_000):
        server = make(("*", Talk), inbox_messages=None)
        async with open_server(server):
            crowd = enter_many(server, count)
            for client in crowd:
                client.send("join-room", {"roomname": "big"}, id=1)
            await trio.testing.wait_all_tasks_blocked()
            assert len(server.rooms["big"].members) == count
            if action == "who":
                for client in crowd:
                    client.take()
                    client.send("who", {"roomname": "big"}, id=2)
                await trio.testing.wait_all_tasks_blocked()
            taken.append([client.take() for client in crowd])
            for client in crowd:
                client.disconnect()
    half, whole = taken
    assert min(whole) > 0
    assert sum(whole) < 2.1 * sum(half)
    assert max(whole) < 10_000


async def test_a_join_answers_the_first_hundred_members_and_their_number(autojump_clock: MockClock) -> None:
    async with open_server(make(("*", Talk))) as net:
        clients = await connect_many(net, PAGE + 5, room="big")
        last = await net.connect("last")
        answer = await last.join("big")
        assert [member["client"] for member in answer["members"]] == [client.id for client in clients[:PAGE]]
        assert answer["total"] == PAGE + 6
        by_code = await net.server.clients[last.id].join("big")
        assert by_code == {**answer, "created": False}
        await clients[0].request("leave-room", {"roomname": "big"})
        answer = await last.join("big")
        assert [member["client"] for member in answer["members"]] == [client.id for client in clients[1 : PAGE + 1]]
        assert answer["total"] == PAGE + 5


async def test_the_global_room_answers_the_first_hundred_clients_and_their_number(autojump_clock: MockClock) -> None:
    async with open_server(make()) as net:
        clients = await connect_many(net, PAGE + 5)
        for answer in (await clients[0].join(GLOBAL_ROOM), await clients[0].request("who", target=GLOBAL_ROOM)):
            assert [member["client"] for member in answer["members"]] == [client.id for client in clients[:PAGE]]
            assert answer["total"] == PAGE + 5
            assert "next" not in answer
        assert await code_of(clients[0], "who", {"after": "1"}, target=GLOBAL_ROOM) == "bad-body"


async def pages_of(client: TestClient, between: Any = None) -> list[list[str]]:  # Any: a function, or None
    """Ask for all members of the room "big", page by page; return the names on each page."""
    pages, body = [], {"roomname": "big"}
    while True:
        answer = await client.request("who", body)
        pages.append([member["name"] for member in answer["members"]])
        if "next" not in answer:
            return pages
        body = {"roomname": "big", "after": answer["next"]}
        if between is not None:
            await between(len(pages))


async def test_pages_reach_every_member_once_while_members_leave_and_join_between_them(
    autojump_clock: MockClock,
) -> None:
    async with open_server(make(("*", Talk))) as net:
        clients = await connect_many(net, 350, room="big")
        gone: set[int] = set()

        async def change(pages: int) -> None:
            # The member that the cursor names leaves, the next one, and some that were or will be listed.
            for n in {100 * pages - 1, 100 * pages, 7 * pages, 349 - pages} - gone:
                gone.add(n)
                await clients[n].request("leave-room", {"roomname": "big"})
            await (await net.connect(f"late{pages}")).join("big")

        pages = await pages_of(clients[1], change)
        listed = [name for page in pages for name in page]
        assert len(listed) == len(set(listed))
        assert {f"c{n}" for n in range(350) if n not in gone} <= set(listed)
        assert max(map(len, pages)) <= PAGE
        assert len(pages) == 4


async def test_whoever_leaves_and_joins_again_is_last(autojump_clock: MockClock) -> None:
    async with open_server(make(("*", Talk))) as net:
        clients = await connect_many(net, 3, room="big")
        await clients[0].request("leave-room", {"roomname": "big"})
        assert [each["name"] for each in (await clients[0].join("big"))["members"]] == ["c1", "c2", "c0"]
        assert await pages_of(clients[0]) == [["c1", "c2", "c0"]]


@pytest.mark.parametrize("after", ["", "x", "-1", "1.5", "\u0661", "9" * 5_000, 5, ["1"]])
async def test_a_text_that_is_no_cursor_is_refused_with_its_path(autojump_clock: MockClock, after: object) -> None:
    async with open_server(make(("*", Talk))) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        await ana.send("who", {"roomname": "one", "after": after}, id=1)
        body = (await ana.receive())["message_body"]
        assert (body["code"], body["path"]) == ("bad-body", "$.after")


async def test_a_cursor_of_an_earlier_room_of_the_name_begins_at_the_first_member(autojump_clock: MockClock) -> None:
    async with open_server(make(("*", Talk))) as net:
        clients = await connect_many(net, 101, room="big")
        cursor = (await clients[0].request("who", {"roomname": "big"}))["next"]
        await net.server.rooms["big"].close()
        await clients[5].join("big")
        answer = await clients[5].request("who", {"roomname": "big", "after": cursor})
        assert [member["name"] for member in answer["members"]] == ["c5"]


class Number(int):
    """An integer that counts its comparisons."""

    compared = 0

    def __lt__(self, other: int) -> bool:
        Number.compared += 1
        return int(self) < int(other)

    __gt__ = __lt__  # only their number counts here


def test_the_place_of_a_page_is_found_without_looking_at_all_members() -> None:
    order = MemberOrder()
    order._numbers = [Number(each) for each in range(10_000)]
    order._sessions = list(range(10_000))  # type: ignore[arg-type]
    Number.compared = 0
    order.page("5000")
    assert 0 < Number.compared < 30
