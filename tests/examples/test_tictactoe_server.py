"""The tic-tac-toe example's server, in memory."""

import pytest
import trio
from trio.testing import MockClock

from examples.tictactoe.server import THINKING, TURN_SECONDS, TicTacToe, server
from simplysocket import ActionError
from simplysocket.testing import Net, TestClient, open_server

ROOM = "tictactoe-abcde"


async def come(net: Net, *names: str, resume: bool = False) -> list[TestClient]:
    """Connect clients of these names, and let them join."""
    clients = [await net.connect(name, resume=resume) for name in names]
    for client in clients:
        await client.join(ROOM)
    return clients


async def place(client: TestClient, cell: object) -> None:
    await client.request("place", cell, target=ROOM)


async def over(client: TestClient) -> object:
    """Return the result of the game that is over."""
    return (await client.expect("game-over"))["message_body"]["result"]


def game() -> TicTacToe:
    room = server.rooms[ROOM]
    assert isinstance(room, TicTacToe)
    return room


async def test_three_in_a_row_win(autojump_clock: MockClock) -> None:
    async with open_server(server) as net:
        ana, ben, zoe = await come(net, "Ana", "Ben", "Zoë")
        for player, cell in ((ana, 0), (ben, 3), (ana, 1), (ben, 4), (ana, 2)):
            await place(player, cell)
        assert await over(zoe) == {"winner": 0, "why": "line"}
        assert game().line == (0, 1, 2)
        assert list(game().wins.values()) == [1, 0]


async def test_a_full_board_is_a_draw(autojump_clock: MockClock) -> None:
    async with open_server(server) as net:
        ana, ben = await come(net, "Ana", "Ben")
        for turn, cell in enumerate((0, 1, 2, 4, 3, 5, 7, 6, 8)):
            await place(ben if turn % 2 else ana, cell)
        assert await over(ana) == {"winner": None, "why": "full"}


@pytest.mark.parametrize("cell", [9, -1, 4, "4", 1.5, None, {}])
async def test_a_wrong_move_is_refused_and_the_game_goes_on(autojump_clock: MockClock, cell: object) -> None:
    async with open_server(server) as net:
        ana, ben = await come(net, "Ana", "Ben")
        await place(ana, 4)
        with pytest.raises(ActionError, match="bad-body"):
            await place(ben, cell)
        await place(ben, 0)


async def test_only_who_has_the_turn_moves(autojump_clock: MockClock) -> None:
    async with open_server(server) as net:
        ana, ben, zoe = await come(net, "Ana", "Ben", "Zoë")
        for client in (ben, zoe):
            with pytest.raises(ActionError, match="forbidden"):
                await place(client, 0)
        await place(ana, 0)
        with pytest.raises(ActionError, match="forbidden"):
            await place(ana, 1)


async def test_who_takes_too_long_has_lost(autojump_clock: MockClock) -> None:
    async with open_server(server) as net:
        ana, ben = await come(net, "Ana", "Ben")
        await place(ana, 0)
        await trio.sleep(TURN_SECONDS + 1)
        assert await over(ben) == {"winner": 0, "why": "time"}


async def test_in_the_next_game_the_other_one_begins(autojump_clock: MockClock) -> None:
    async with open_server(server) as net:
        ana, ben = await come(net, "Ana", "Ben")
        await trio.sleep(TURN_SECONDS + 1)
        for client in (ana, ben):
            await client.request("rematch", target=ROOM)
        await place(ben, 4)
        assert game().cells[4] == "X"
        assert list(game().wins.values()) == [0, 1]


async def test_a_lost_connection_keeps_its_seat(autojump_clock: MockClock) -> None:
    async with open_server(server) as net:
        ana, ben = await come(net, "Ana", "Ben", resume=True)
        await place(ana, 0)
        ana.drop()
        await trio.sleep(5)
        await ana.come_back()
        await place(ben, 1)
        await place(ana, 4)
        assert game().cells[:5] == ["X", "O", None, None, "X"]


async def test_who_leaves_ends_the_game(autojump_clock: MockClock) -> None:
    async with open_server(server) as net:
        ana, ben = await come(net, "Ana", "Ben")
        await ana.close()
        assert await over(ben) == {"winner": None, "why": "left"}


async def test_the_computer_plays_to_the_end_and_makes_room_for_a_person(autojump_clock: MockClock) -> None:
    async with open_server(server) as net:
        (ana,) = await come(net, "Ana")
        await ana.request("add-computer", target=ROOM)
        while game().phase == "playing":
            await place(ana, game().free_cells[0])
            await trio.sleep(THINKING + 0.1)
        assert await over(ana)
        (ben,) = await come(net, "Ben")
        assert [seat.name for seat in game().all_seats] == ["Ana", "Ben"]
        with pytest.raises(ActionError, match="forbidden"):
            await ben.request("add-computer", target=ROOM)  # only the owner may


async def test_the_computer_keeps_a_player_from_winning(autojump_clock: MockClock) -> None:
    async with open_server(server) as net:
        (ana,) = await come(net, "Ana")
        await ana.request("add-computer", target=ROOM)
        for cell in (0, 1):
            await place(ana, cell)
            await trio.sleep(THINKING + 0.1)
        assert game().cells[:5] == ["X", "X", "O", None, "O"]


async def test_the_lobby_puts_strangers_together_and_leaves_friends_alone(autojump_clock: MockClock) -> None:
    async with open_server(server) as net:
        friend = await net.connect("Friend")
        await friend.join("tictactoe-friends", private=True)
        found = []
        for name in ("Ana", "Ben", "Zoë"):
            client = await net.connect(name)
            found.append((await client.request("join-or-create", {"pattern": "tictactoe-*"}))["roomname"])
        assert found[0] == found[1] != found[2]
        assert "tictactoe-friends" not in found
