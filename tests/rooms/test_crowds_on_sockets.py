"""A crowd on sockets: two thousand clients, each from an address of its own, in one room at the same moment."""

import resource
import sys
from functools import partial

import pytest
import trio

from simplysocket import Client, Room, Server, action

from ..harness.attack import until
from ..harness.attacker import Peer
from ..harness.frames import head, message

COUNT = 2_000
MOST_SECONDS = 100  # 4 as measured


class Quiz(Room):
    """A room in which everyone answers."""

    answers = 0

    @action("answer")
    async def answer(self, client: Client, body: int) -> int:
        self.answers += 1
        return body


async def dial(port: int, number: int) -> Peer:
    """Connect from 127.1.y.z."""
    stream = await trio.open_tcp_stream("127.0.0.1", port, local_address=f"127.1.{number // 250}.{number % 250 + 1}")
    peer = Peer(stream)
    await peer.shake_hands(head())
    return peer


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere 127.0.0.1 is the only address of its kind")
async def test_two_thousand_clients_join_at_once_and_answer_at_once_and_none_is_refused() -> None:
    needed = 2 * COUNT + 200  # both ends of each connection
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if resource.RLIM_INFINITY != most < needed:
        pytest.skip(f"this machine lets a process have {most} descriptors: {needed} are needed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(needed, resource.getrlimit(resource.RLIMIT_NOFILE)[0]), most))
    server = Server("crowd")
    server.room("quiz")(Quiz)
    with trio.fail_after(MOST_SECONDS):
        async with trio.open_nursery() as nursery:
            await nursery.start(partial(server.serve, "127.0.0.1", 0))
            peers = [await dial(server.port, number) for number in range(COUNT)]
            joined = await everyone(peers, "join-room", {"roomname": "quiz"}, 1)
            assert joined == ["reply"] * COUNT
            answered = await everyone(peers, "answer", 7, 2)
            assert answered == ["reply"] * COUNT
            room = server.rooms["quiz"]
            assert isinstance(room, Quiz)
            assert room.answers == COUNT
            for peer in peers:
                await peer.close()
            await until(lambda: not server.clients)
            nursery.cancel_scope.cancel()


async def everyone(peers: list[Peer], name: str, body: object, id: int) -> list[str]:
    """Let all say the same in the same moment; return what each is answered with."""
    for peer in peers:
        await peer.send(message(name, body, target="quiz", id=id))
    answers = []
    for peer in peers:
        while (received := await peer.receive()).get("id") != id:
            pass
        answers.append(str(received["action"]))
    return answers
