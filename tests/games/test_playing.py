"""When a game starts and ends, who owns it, ready checks and rematches."""

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from simplysocket import ActionError, Client, EncodeError, action
from simplysocket.testing import TestClient

from ..harness.tables import NAME, Logged, come, log_of, names, open_table, table_of, told, told_all


class Full(Logged):
    """Three seats; two are needed."""

    seats = 3
    needed = 2


class ByReady(Full):
    starts = "ready"


class ByOwner(Full):
    starts = "owner"


class ByCode(Full):
    starts = "code"

    @action("go")
    async def go(self) -> None:
        await self.start()

    @action("ask")
    async def ask(self, body: Any) -> None:
        await self.ask_ready(body)


async def ask(client: TestClient, action: str, body: object = None) -> Any:
    return await client.request(action, body, target=NAME)


async def is_forbidden(client: TestClient, action: str, body: object = None) -> bool:
    with pytest.raises(ActionError) as refusal:
        await ask(client, action, body)
    return refusal.value.code == "forbidden"


# --- starts


async def test_a_game_starts_when_all_seats_are_taken(autojump_clock: MockClock) -> None:
    async with open_table(Full) as net:
        ana, _ = await come(net, "ana", "ben")
        assert table_of(net).phase == "waiting"
        await ana.settle()
        await come(net, "cat")
        assert table_of(net).phase == "playing"
        assert log_of(net)[-3:] == ["sit 2 cat", "start", "turn 0 ana"]
        assert await told_all(ana) == ["seats", "game-started", "turn"]


async def test_the_owner_may_start_a_game_that_is_not_full(autojump_clock: MockClock) -> None:
    async with open_table(Full) as net:
        (ana,) = await come(net, "ana")
        assert await is_forbidden(ana, "start-game")  # too few
        (ben,) = await come(net, "ben")
        (eve,) = await come(net, "eve", **{"as": "spectator"})
        assert await is_forbidden(ben, "start-game")
        assert await is_forbidden(eve, "start-game")
        await ask(ana, "start-game")
        assert table_of(net).phase == "playing"
        assert await is_forbidden(ana, "start-game")


async def test_a_game_starts_when_all_are_ready(autojump_clock: MockClock) -> None:
    async with open_table(ByReady) as net:
        (ana,) = await come(net, "ana")
        await ask(ana, "ready")
        assert table_of(net).phase == "waiting"  # alone
        ben, eve = await come(net, "ben", "eve")
        await ask(eve, "stand-up")
        assert await is_forbidden(eve, "ready")
        assert await is_forbidden(ana, "start-game")
        await ask(ana, "ready", {"ready": False})
        await ask(ben, "ready")
        assert table_of(net).phase == "waiting"
        await ana.settle()
        await ask(ana, "ready")
        (body, *_) = await told(ana, "seats")
        assert body["phase"] == "playing"
        assert "ready" in log_of(net)
        assert not any(seat.is_ready for seat in table_of(net).all_seats)  # for the next game, ask again
        assert await is_forbidden(ana, "ready")


async def test_all_are_told_who_is_ready(autojump_clock: MockClock) -> None:
    async with open_table(ByReady) as net:
        ana, ben = await come(net, "ana", "ben")
        await ana.settle()
        await ask(ben, "ready", {"ready": True})
        await ask(ben, "ready")  # nothing changes
        (body,) = await told(ana, "seats")
        assert [seat["ready"] for seat in body["seats"]] == [False, True, False]


async def test_only_the_owner_starts_a_game_of_its_own(autojump_clock: MockClock) -> None:
    async with open_table(ByOwner) as net:
        ana, ben, cat = await come(net, "ana", "ben", "cat")
        assert table_of(net).phase == "waiting"
        assert await is_forbidden(ben, "start-game")
        await ask(ana, "stand-up")
        assert await is_forbidden(ana, "start-game")
        assert table_of(net).owner is table_of(net).all_seats[1]
        await ask(ben, "start-game")
        await ask(cat, "finish", "over")
        await ask(ben, "start-game")
        assert table_of(net).phase == "playing"


async def test_a_game_may_be_started_by_its_code_alone(autojump_clock: MockClock) -> None:
    async with open_table(ByCode) as net:
        ana, ben, _ = await come(net, "ana", "ben", "cat")
        assert table_of(net).phase == "waiting"
        assert await is_forbidden(ana, "start-game")
        await ask(ben, "go")
        assert table_of(net).phase == "playing"
        assert await is_forbidden(ben, "go")


async def test_a_game_does_not_start_by_itself_while_a_player_is_away(autojump_clock: MockClock) -> None:
    async with open_table(Full) as net:
        ana = await net.connect("ana", resume=True)
        await ana.join(NAME)
        ana.drop()
        await trio.sleep(1)
        await come(net, "ben", "cat")
        assert table_of(net).phase == "waiting"
        await ana.come_back()
        await trio.sleep(1)
        assert table_of(net).phase == "playing"


# --- ends


async def test_a_game_ends_with_a_result(autojump_clock: MockClock) -> None:
    async with open_table(Full) as net:
        ana, *_ = await come(net, "ana", "ben", "cat")
        await ana.settle()
        await ask(ana, "finish", {"winner": 2})
        room = table_of(net)
        assert (room.phase, room.turn, room.seconds_left) == ("over", None, None)
        assert log_of(net)[-1] == "end {'winner': 2}"
        over, seats = [each for each in await ana.settle() if each["target"] == NAME]
        assert (over["action"], over["message_body"]) == ("game-over", {"result": {"winner": 2}})
        assert (seats["action"], seats["message_body"]["phase"]) == ("seats", "over")
        assert await is_forbidden(ana, "finish")
        for act in (room.end(), room.next_turn()):
            with pytest.raises(ActionError, match="no game is played"):
                await act


async def test_a_result_that_json_cannot_hold_ends_nothing(autojump_clock: MockClock) -> None:
    async with open_table(Full) as net:
        await come(net, "ana", "ben", "cat")
        with pytest.raises(EncodeError):
            await table_of(net).end(object())
        assert table_of(net).phase == "playing"


async def test_with_too_few_players_the_game_ends(autojump_clock: MockClock) -> None:
    async with open_table(Full) as net:
        ana, ben, cat = await come(net, "ana", "ben", "cat")
        await cat.close()
        assert table_of(net).phase == "playing"
        await ask(ben, "stand-up")
        assert await told(ana, "game-over") == [{"result": {"reason": "too-few"}}]
        assert table_of(net).phase == "over"


async def test_a_game_may_go_on_with_too_few(autojump_clock: MockClock) -> None:
    class Patient(Full):
        late_seats = True

        async def on_too_few(self) -> None:
            self.note("too few")

    async with open_table(Patient) as net:
        ana, ben, cat = await come(net, "ana", "ben", "cat")
        await cat.close()
        await ask(ana, "stand-up")
        told = ["stand 0 ana stood up", "owner 1 ben", "watch ana", "too few", "turn 1 ben"]
        assert log_of(net)[-5:] == told
        (dan,) = await come(net, "dan")
        assert await ask(ben, "move")
        assert table_of(net).turn is table_of(net).all_seats[0]
        assert await ask(dan, "move")


# --- the owner


async def test_the_owner_is_succeeded_by_who_has_sat_for_longest(autojump_clock: MockClock) -> None:
    async with open_table(ByOwner) as net:
        ana, ben = await come(net, "ana", "ben")
        (cat,) = await come(net, "cat")
        log_of(net)
        await ask(ana, "stand-up")
        await ask(ana, "take-seat")
        await ben.close()
        await trio.sleep(1)
        await cat.close()
        await trio.sleep(1)
        assert [line for line in log_of(net) if "owner" in line] == ["owner 1 ben", "owner 2 cat", "owner 0 ana"]
        await ask(ana, "stand-up")
        assert table_of(net).owner is None
        assert (await told(ana, "seats"))[-1]["owner"] is None


async def test_the_owner_stays_it_on_another_seat(autojump_clock: MockClock) -> None:
    async with open_table(ByOwner) as net:
        ana, _ = await come(net, "ana", "ben")
        log_of(net)
        await ask(ana, "take-seat", {"seat": 2})
        assert table_of(net).owner is table_of(net).all_seats[2]
        assert not [line for line in log_of(net) if "owner" in line]


# --- ready checks


async def test_who_is_not_ready_in_time_stands_up(autojump_clock: MockClock) -> None:
    async with open_table(ByCode) as net:
        ana, ben, _ = await come(net, "ana", "ben", "cat")
        await ask(ana, "ready")  # before the check: it asks again
        await ask(ana, "ask", 20)
        assert await told(ben, "ready-check") == [{"seconds": 20}]
        await ask(ana, "ready")
        await ask(ben, "ready")
        await trio.sleep(19)
        assert names(net) == ["ana", "ben", "cat"]
        log_of(net)
        await trio.sleep(2)
        assert names(net) == ["ana", "ben", None]
        assert log_of(net) == ["stand 2 cat not ready", "ready", "watch cat"]
        assert table_of(net).phase == "waiting"  # its code starts it


async def test_a_ready_check_starts_a_game_as_soon_as_all_are_ready(autojump_clock: MockClock) -> None:
    async with open_table(ByReady) as net:
        ana, ben = await come(net, "ana", "ben")
        await table_of(net).ask_ready(20)
        await ask(ana, "ready")
        await ask(ben, "ready")
        assert table_of(net).phase == "playing"
        await trio.sleep(30)
        assert names(net) == ["ana", "ben", None]
        with pytest.raises(ActionError, match="forbidden"):
            await table_of(net).ask_ready(20)


@pytest.mark.parametrize("seconds", [0, -1, float("inf"), float("nan"), "20", None])
async def test_a_ready_check_has_a_deadline(autojump_clock: MockClock, seconds: Any) -> None:
    async with open_table(ByCode) as net:
        await come(net, "ana")
        with pytest.raises(ValueError, match="give seconds above 0"):
            await table_of(net).ask_ready(seconds)


async def test_who_must_stand_up_and_has_no_place_to_watch_is_removed(autojump_clock: MockClock) -> None:
    class Alone(ByCode):
        spectators = 0

    async with open_table(Alone) as net:
        ana, ben = await come(net, "ana", "ben")
        with pytest.raises(ActionError, match="room-full"):
            await ask(ben, "stand-up")
        await table_of(net).stand_up(table_of(net).all_seats[1], "too slow")
        assert (await told(ben, "client-left-room"))[0]["reason"] == "too slow"
        assert list(table_of(net).members) == [ana.id]
        await table_of(net).stand_up(table_of(net).all_seats[1])  # it is free: nothing happens


# --- rematches


async def play(clients: list[TestClient]) -> None:
    await ask(clients[0], "finish", "over")
    for client in clients:
        await client.settle()


async def test_when_all_agree_they_play_again(autojump_clock: MockClock) -> None:
    async with open_table(Full) as net:
        clients = await come(net, "ana", "ben", "cat")
        ana, ben, cat = clients
        assert await is_forbidden(ana, "rematch")
        (eve,) = await come(net, "eve")
        await play(clients)
        assert await is_forbidden(eve, "rematch")
        assert await is_forbidden(ana, "start-game")
        await ask(cat, "rematch")
        await ask(ana, "rematch", {"agree": True})
        await ask(ana, "rematch", {"agree": False})
        await ask(ben, "rematch")
        assert table_of(net).phase == "over"
        await ask(ana, "rematch")
        assert table_of(net).phase == "playing"
        agreed = [body["agreed"] for body in await told(eve, "rematch")]
        assert agreed == [[2], [0, 2], [2], [1, 2], [0, 1, 2]]
        await play(clients)
        assert not any(seat.agrees for seat in table_of(net).all_seats)


async def test_who_leaves_takes_its_vote_along(autojump_clock: MockClock) -> None:
    async with open_table(Full) as net:
        ana, ben, cat = clients = await come(net, "ana", "ben", "cat")
        await play(clients)
        await ask(ana, "rematch")
        await ask(ana, "stand-up")
        assert not table_of(net).all_seats[0].agrees
        await ask(ben, "rematch")
        assert table_of(net).phase == "over"
        await cat.close()
        await trio.sleep(1)
        assert table_of(net).phase == "over"  # one is too few
        await ask(ana, "take-seat")  # it comes to play
        assert table_of(net).phase == "playing"


async def test_roles_move_on_with_each_game(autojump_clock: MockClock) -> None:
    class Rotating(Logged):
        roles = ("X", "O")
        rotates = True

    async with open_table(Rotating) as net:
        clients = await come(net, "ana", "ben")
        seen = []
        for _ in range(3):
            room = table_of(net)
            seen.append(([seat.role for seat in room.all_seats], room.turn and room.turn.name))
            await play(clients)
            for client in clients:
                await ask(client, "rematch")
        assert seen == [(["X", "O"], "ana"), (["O", "X"], "ben"), (["X", "O"], "ana")]


async def test_methods_may_be_called_from_handlers(autojump_clock: MockClock) -> None:
    class Own(Full):
        async def on_message(self, client: Client) -> str:
            await self.start()
            seen = f"{self.phase} {self.turn and self.turn.name} {self.log[-1]}"
            await self.end()
            return f"{seen}, {self.phase} {self.log[-1]}"

    async with open_table(Own) as net:
        ana, _ = await come(net, "ana", "ben")
        assert await ask(ana, "anything") == "playing ana turn 0 ana, over end None"
