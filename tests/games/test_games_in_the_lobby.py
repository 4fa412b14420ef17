"""Games and the lobby: a seat is kept for who was sent to a game, and spectators count for nothing."""

from collections import Counter
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from simplysocket import ActionError
from simplysocket.games import GameRoom, Lobby
from simplysocket.testing import TestClient, open_server

from ..harness.servers import make


class Duel(GameRoom):
    """Two seats, many spectators."""

    empty_ttl = 5


async def find(client: TestClient) -> str:
    answer: dict[str, Any] = await client.request("join-or-create", {"pattern": "duel-*"})
    return str(answer["roomname"])


async def test_two_hundred_who_look_for_a_game_at_once_fill_a_hundred(autojump_clock: MockClock) -> None:
    server = make(("duel-*", Duel))
    Lobby(server)
    async with open_server(server) as net:
        clients = [await net.connect(f"c{number}") for number in range(200)]
        found: list[str] = []

        async def look(client: TestClient) -> None:
            found.append(await find(client))

        async with trio.open_nursery() as nursery:
            for client in clients:
                nursery.start_soon(look, client)
        assert set(Counter(found).values()) == {2}
        assert len(set(found)) == 100
        for name in set(found):
            room = server.rooms[name]
            assert isinstance(room, Duel)
            assert room.phase == "playing"
            assert room.free_seats == 0
            assert not room.watchers


async def test_who_looks_for_a_game_is_not_sent_to_watch(autojump_clock: MockClock) -> None:
    server = make(("duel-*", Duel))
    Lobby(server)
    async with open_server(server) as net:
        ana, ben, cat, dan, eve = [await net.connect(name) for name in ("ana", "ben", "cat", "dan", "eve")]
        first = await find(ana)
        await eve.join(first, **{"as": "spectator"})
        assert await find(ben) == first
        assert await find(cat) != first
        await ana.close()  # its seat is free, and the game is over
        await trio.sleep(1)
        assert await find(dan) in server.rooms
        games = [room for room in server.rooms.values() if isinstance(room, Duel)]
        names = [seat.name or "" for room in games for seat in room.all_seats]
        assert sorted(names) == ["", "ben", "cat", "dan"]


async def test_a_seat_that_is_kept_for_one_is_not_taken_by_another(autojump_clock: MockClock) -> None:
    class Slow(Duel):
        async def on_auth(self, client: Any) -> None:
            if client.name == "slow":
                await trio.sleep(2)

    server = make(("duel-*", Slow))
    Lobby(server)
    async with open_server(server) as net:
        ana, slow, eve = [await net.connect(name) for name in ("ana", "slow", "eve")]
        name = await find(ana)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(find, slow)
            await trio.sleep(1)
            with pytest.raises(ActionError, match="room-full"):
                await eve.join(name, **{"as": "player"})
        room = server.rooms[name]
        assert isinstance(room, Slow)
        assert [seat.name for seat in room.all_seats] == ["ana", "slow"]
