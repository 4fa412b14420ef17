"""Members that speak all at once, vanish and are removed, on a live server with a bystander."""

import trio

from ..harness.attack import under_attack
from ..harness.frames import (
    close,
    message,
)


async def test_everyone_hears_one_order_however_tasks_are_scheduled() -> None:
    async with under_attack() as attack:
        peers = [await attack.join("hall") for _ in range(8)]
        async with trio.open_nursery() as nursery:
            for at, peer in enumerate(peers):
                nursery.start_soon(
                    peer.send, b"".join(message("say", [at, number], target="hall") for number in range(15))
                )
        heard = [[(await peer.receive())["message_body"] for _ in range(8 * 15)] for peer in peers]
        assert all(each == heard[0] for each in heard)
        for at in range(8):
            assert [number for who, number in heard[0] if who == at] == list(range(15))


async def test_two_clients_removed_in_a_row_and_a_room_that_is_deleted_before_they_disconnect() -> None:
    async with under_attack() as attack:
        for _ in range(5):
            peers = [await attack.join("hall") for _ in range(4)]
            await peers[0].send(message("leave-room", {"roomname": "hall"}) + close())
            await peers[1].reset()
            await peers[2].request("leave-room", {"roomname": "hall"})
            await attack.server.rooms["hall"].close()
            assert (await peers[3].receive())["action"] == "room-closed"
            await peers[2].close()
            assert await peers[0].end() == 1000


async def test_messages_in_one_segment_come_back_each_in_a_frame_of_its_own() -> None:
    async with under_attack() as attack:
        peer = await attack.join("hall")
        await peer.send(b"".join(message("say", "line\nline", target="hall") for _ in range(16)))
        for _ in range(16):
            assert (await peer.receive())["message_body"] == "line\nline"


async def test_members_that_vanish_while_everyone_speaks_hurt_nobody() -> None:
    async with under_attack() as attack:
        speaker = await attack.join("hall")
        for number in range(0, 60, 3):
            vanishing = [await attack.join("hall") for _ in range(2)]
            await vanishing[0].send(message("say", "bye", target="hall") * 10)
            await vanishing[0].reset()
            await vanishing[1].close()
            await speaker.send(b"".join(message("say", number + each, target="hall") for each in range(3)))
        heard = [(await speaker.receive())["message_body"] for _ in range(60)]
        while len(numbers := [each for each in heard if each != "bye"]) < 60:
            heard.append((await speaker.receive())["message_body"])
        assert numbers == list(range(60))
