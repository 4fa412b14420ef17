"""A game with hidden hands: each player sees its own cards, and nobody another's, whatever becomes of connections."""

from typing import Any

import trio
from trio.testing import MockClock

from simplysocket import Client, action
from simplysocket.games import GameRoom, Seat
from simplysocket.testing import TestClient

from ..harness.tables import NAME, open_table, told


class Cards(GameRoom):
    """Each player has two cards; all see how many the others have."""

    seats = 2

    async def on_create(self) -> None:
        self.hands: dict[Seat, list[str]] = {}

    async def on_start(self) -> None:
        self.hands = {seat: [f"{seat.name} {number}" for number in range(2)] for seat in self.order}
        await self.send_view(self.table, "table")

    def table(self, client: Client) -> dict[str, Any]:
        seat = self.seat_of(client)
        counts = [len(self.hands.get(each, ())) for each in self.all_seats]
        return {"hand": [] if seat is None else self.hands.get(seat, []), "counts": counts}

    async def on_snapshot(self, client: Client) -> None:
        await self.send(client, "table", self.table(client))

    @action("play", only=GameRoom.is_turn)
    async def play(self, client: Client, body: str) -> None:
        seat = self.turn
        assert seat is not None
        self.hands[seat].remove(body)
        await self.broadcast("played", {"seat": seat.index, "card": body})
        await self.send_view(self.table, "table")
        await self.next_turn()


async def seen(client: TestClient) -> list[tuple[list[str], list[int]]]:
    """Return what a client was shown of the table: its hand, and how many cards each has."""
    bodies = await told(client, "table")
    return [(body["hand"], body["counts"]) for body in bodies]


async def test_each_sees_its_own_hand_and_nobody_anothers(autojump_clock: MockClock) -> None:
    async with open_table(Cards, has_users=True) as net:
        ana = await net.connect("ana", token="ana", resume=True)
        ben = await net.connect("ben", token="ben")
        eve = await net.connect("eve", token="eve")
        await eve.join(NAME, **{"as": "spectator"})
        for client in (ana, ben):
            await client.join(NAME)
        assert (await seen(ana))[-1] == (["ana 0", "ana 1"], [2, 2])
        assert (await seen(ben))[-1] == (["ben 0", "ben 1"], [2, 2])
        assert (await seen(eve))[-1] == ([], [2, 2])

        await ana.request("play", "ana 0", target=NAME)
        ana.drop()
        await trio.sleep(1)
        await ben.request("play", "ben 1", target=NAME)
        assert (await seen(eve))[-1] == ([], [1, 1])
        await ana.settle()
        await ana.come_back()  # what was shown meanwhile comes to it
        assert (await seen(ana))[-1] == (["ana 1"], [1, 1])
        ana.drop()
        await trio.sleep(1)
        await ana.come_back(forgets=True)  # a page that was loaded anew
        assert (await seen(ana))[-1] == (["ana 1"], [1, 1])

        phone = await net.connect("ana", token="ana")
        await phone.join(NAME)  # the same person, from another device
        assert (await seen(phone))[-1] == (["ana 1"], [1, 1])
        await phone.request("play", "ana 1", target=NAME)
        assert (await seen(ana))[-1] == ([], [0, 1])  # it watches now
        for client in (ana, ben, eve, phone):
            assert client.id in net.server.rooms[NAME].members


async def test_no_message_holds_a_card_of_another_player(autojump_clock: MockClock) -> None:
    async with open_table(Cards) as net:
        clients = {name: await net.connect(name) for name in ("ana", "ben", "eve")}
        for client in clients.values():
            await client.join(NAME)
        for name, client in clients.items():
            for message in await client.settle():
                cards = [f"{other} {number}" for other in clients if other != name for number in range(2)]
                assert not [card for card in cards if card in str(message["message_body"])]
