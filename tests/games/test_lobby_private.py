"""Private rooms: nobody sees them, and whoever knows the code may join."""

import pytest
import trio
from trio.testing import MockClock

from simplysocket import ActionError
from simplysocket.games._lobby.codes import BITS, Codes, make_code, read_code
from simplysocket.testing import TestClient, open_server

from ..harness.duels import Hall, make_lobby


async def create(client: TestClient, pattern: str = "duel-*") -> dict[str, str]:
    answer: dict[str, str] = await client.request("create-private", {"pattern": pattern})
    return answer


def test_a_code_has_three_groups_of_two_syllables_and_enough_chance() -> None:
    codes = {make_code(f"duel-{number}") for number in range(1_000)}
    assert len(codes) == 1_000
    assert len({code[:4] for code in codes}) > 700  # each group may be any of 1,600
    assert all(len(code) == 14 and code.count("-") == 2 for code in codes)
    assert BITS > 30


def test_of_two_rooms_that_would_have_the_same_code_the_second_has_another() -> None:
    codes = Codes()
    codes._names[make_code("duel-1")] = "duel-2"
    assert codes.add("duel-1") == make_code("duel-1", 1)
    assert codes.name_of(make_code("duel-1")) == "duel-2"


@pytest.mark.parametrize(
    "typed",
    [
        "balo-mitu-dora",
        "BALO MITU DORA",
        "balomitudora",
        " Balo - Mitu - Dora ",
        "bal0-m1tu-d0ra",
        "ba1o\u2013mitu\u2011dora",
    ],
)
def test_a_code_is_read_however_it_is_typed(typed: str) -> None:
    assert read_code(typed) == "balo-mitu-dora"


@pytest.mark.parametrize("typed", ["", "balo", "balo-mitu-dorx", "balo-mitu-dora-balo", "b" * 10_000, "ablo-mitu-dora"])
def test_what_cannot_be_a_code_is_none(typed: str) -> None:
    assert read_code(typed) == ""
    assert Codes().name_of(typed) is None


async def test_a_private_room_is_joined_by_its_code_and_not_listed(autojump_clock: MockClock) -> None:
    server, lobby = make_lobby()
    async with open_server(server) as net:
        ana, ben, cem = [await net.connect(name) for name in ("ana", "ben", "cem")]
        await cem.join("lobby")
        await cem.settle()
        made = await create(ana)
        assert made["created"] is True
        joined = await ben.request("join-by-code", {"code": made["code"].upper().replace("-", " ")})
        assert joined["roomname"] == made["roomname"]
        assert joined["code"] == made["code"]
        assert lobby.code_of(server.rooms[made["roomname"]]) == made["code"]
        await trio.sleep(1)
        assert await cem.settle() == []
        assert (await cem.request("list-rooms"))["rooms"] == []
        assert (await cem.request("list-rooms", {"filter": {"mode": "casual"}}))["rooms"] == []


async def test_nobody_is_put_into_a_private_room(autojump_clock: MockClock) -> None:
    async with open_server(make_lobby()[0]) as net:
        ana, ben = await net.connect("ana"), await net.connect("ben")
        made = await create(ana)
        found = await ben.request("join-or-create", {"pattern": "duel-*"})
        assert found["roomname"] != made["roomname"]


async def test_a_code_dies_with_its_room(autojump_clock: MockClock) -> None:
    server, _ = make_lobby()
    async with open_server(server) as net:
        ana, ben = await net.connect("ana"), await net.connect("ben")
        made = await create(ana)
        await ana.request("leave-room", {"roomname": made["roomname"]})
        with pytest.raises(ActionError, match="unknown-target"):
            await ben.request("join-by-code", {"code": made["code"]})


async def test_a_private_room_that_cannot_be_made_leaves_no_code(autojump_clock: MockClock) -> None:
    server, lobby = make_lobby(rooms=1)
    async with open_server(server) as net:
        ana = await net.connect("ana")
        with pytest.raises(ActionError, match="too-many"):
            await create(ana)
        assert lobby._overview.codes._codes == {}


async def test_code_of_a_room_that_is_not_private_is_none(autojump_clock: MockClock) -> None:
    server, lobby = make_lobby(("hall-*", Hall))
    async with open_server(server) as net:
        ana, ben = await net.connect("ana"), await net.connect("ben")
        await ana.join("hall-1")
        assert lobby.code_of(server.rooms["hall-1"]) is None
        made = await lobby.create_private(server.clients[ana.id], "hall-*", options={"colour": "red"})
        assert server.rooms[made["roomname"]].options == {"colour": "red"}
        joined = await lobby.join_by_code(server.clients[ben.id], made["code"])
        assert joined["total"] == 2


async def test_who_guesses_codes_is_told_to_wait_also_for_those_that_are_right(autojump_clock: MockClock) -> None:
    server, _ = make_lobby(wrong_codes_burst=3, wrong_codes_per_second=0.1, trusted_proxies=["unix"])
    async with open_server(server) as net:
        ana = await net.connect("ana", headers={"X-Forwarded-For": "192.0.2.1"})
        made = await create(ana)
        for number in range(3):
            ben = await net.connect(f"ben{number}", headers={"X-Forwarded-For": "192.0.2.2"})
            with pytest.raises(ActionError, match="unknown-target"):
                await ben.request("join-by-code", {"code": "dada-dada-dada"})
        for code in ("dada-dada-dada", made["code"]):
            with pytest.raises(ActionError, match="rate-limited") as refused:
                await ben.request("join-by-code", {"code": code})
        assert refused.value.retry_after == pytest.approx(10)
        cem = await net.connect("cem", headers={"X-Forwarded-For": "192.0.2.3"})
        await cem.request("join-by-code", {"code": made["code"]})
        await trio.sleep(11)
        with pytest.raises(ActionError, match="room-full"):
            await ben.request("join-by-code", {"code": made["code"]})


async def test_a_code_is_a_text(autojump_clock: MockClock) -> None:
    async with open_server(make_lobby()[0]) as net:
        ana = await net.connect("ana")
        for body in ({"code": 3}, {}, []):
            with pytest.raises(ActionError, match="bad-body"):
                await ana.request("join-by-code", body)


@pytest.mark.parametrize("waits", [True, False])
async def test_a_private_room_that_a_member_makes_again_by_its_name_is_hidden_and_has_its_code(
    autojump_clock: MockClock, waits: bool
) -> None:
    server, lobby = make_lobby()
    async with open_server(server) as net:
        ana, ben = await net.connect("ana"), await net.connect("ben")
        made = await create(ana)
        name = made["roomname"]
        if waits:
            await ana.request("leave-room", {"roomname": name})
            await trio.sleep(1)
        else:
            await ana.send("close", target=name)
        await ana.request("join-room", {"roomname": name})
        assert (await ben.request("list-rooms"))["rooms"] == []
        assert (await ben.request("join-or-create", {"pattern": "duel-*"}))["roomname"] != name
        assert (await ben.request("join-by-code", {"code": made["code"]}))["roomname"] == name
        server.rooms[name].unhide()
        assert name in [room.name for room in lobby.find()]
