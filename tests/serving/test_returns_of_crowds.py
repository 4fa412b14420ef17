"""Many clients of one address that lose their connections: each keeps its place, and none takes a further one."""

from typing import Any

import pytest
import trio

from simplysocket import ActionError, Limits, Room, Server

from ..harness.attack import Attack, until
from ..harness.attacker import Peer
from ..harness.frames import head

CLIENTS = 60


class Comer:
    """A client on a real socket that may come back."""

    def __init__(self, peer: Peer, welcome: dict[str, Any]) -> None:
        self.peer = peer
        self.id: str = welcome["client"]
        self.resume: dict[str, Any] = welcome["resume"]


async def come(attack: Attack, entry: str = "simplysocket.resume") -> Comer:
    """Connect and read `welcome`; `ActionError` with the status of a refusal."""
    peer = await attack.dial()
    answer = await peer.ask(head(sec_websocket_protocol=f"simplysocket.json, {entry}"))
    if answer.status != 101:
        raise ActionError(str(answer.status))
    return Comer(peer, (await peer.receive())["message_body"])


async def back(attack: Attack, comer: Comer) -> Comer:
    """Come back as who has received one message, and sent one."""
    return await come(attack, f"simplysocket.resume.{comer.resume['token']}.1.1")


def make_server(**limits: Any) -> Server:
    server = Server("house", limits=Limits(**limits))
    server.room("hall")(Room)
    return server


@pytest.mark.parametrize("is_half_open", [True, False], ids=["half-open", "lost"])
async def test_all_clients_behind_one_address_come_back(is_half_open: bool) -> None:
    server = make_server(connections=CLIENTS, connections_per_address=CLIENTS, joins_burst=100, connects_burst=CLIENTS)
    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            await nursery.start(server.serve, "127.0.0.1", 0)
            attack = Attack(server)
            comers = []
            for _ in range(CLIENTS):
                comers.append(await come(attack))
                answer = await comers[-1].peer.request("join-room", {"roomname": "hall"})
                assert answer["action"] == "reply"
            if not is_half_open:
                for comer in comers:
                    await comer.peer.close()
                await until(lambda: server.statistics()["away"] == CLIENTS)
                with pytest.raises(ActionError, match="503"):
                    await come(attack)  # whoever is away has a place
            returned: dict[str, Comer] = {}

            async def bring_back(comer: Comer) -> None:
                returned[comer.id] = await back(attack, comer)

            async with trio.open_nursery() as comes:
                for comer in comers:
                    comes.start_soon(bring_back, comer)
            assert {each.id for each in returned.values()} == {each.id for each in comers}
            assert {each.resume["outcome"] for each in returned.values()} == {"resumed"}
            assert len(server.rooms["hall"].members) == CLIENTS
            assert server.statistics()["away"] == 0
            if is_half_open:
                for comer in comers:
                    assert await comer.peer.end() == 3502
            await until(lambda: server.statistics()["connections"] == CLIENTS)
            await attack.leave()
            await server.stop(1)


async def test_who_is_away_counts_for_its_address_until_the_grace_is_over() -> None:
    server = make_server(connections_per_address=2, resume_seconds=0.2)
    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            await nursery.start(server.serve, "127.0.0.1", 0)
            attack = Attack(server)
            for _ in range(2):
                comer = await come(attack)
                await comer.peer.request("join-room", {"roomname": "hall"})
                await comer.peer.close()
            with pytest.raises(ActionError, match="429"):
                await come(attack)
            await until(lambda: server.statistics()["away"] == 0)
            assert (await come(attack)).resume["outcome"] == "new"
            await attack.leave()
            await server.stop(1)
