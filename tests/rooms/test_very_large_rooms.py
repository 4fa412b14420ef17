"""Very large rooms: served in slices, one a pass of the scheduler."""

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from simplysocket import Client, Room, action
from simplysocket.testing import open_server

from ..harness.messages import bodies_of
from ..harness.servers import make


class Hall(Room):
    @action("say")
    async def say(self, client: Client, body: list[int]) -> None:
        for number in body:
            await self.broadcast("said", number)


class Pass(trio.abc.Instrument):
    """Counts the passes of the scheduler: between two of them trio waits for I/O."""

    def __init__(self) -> None:
        self.number = 0

    def after_io_wait(self, timeout: float) -> None:
        self.number += 1


async def test_a_very_large_room_is_served_one_slice_a_pass_whatever_is_said(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simplysocket._rooms.fanout.SLICE", 4)
    passes, server = Pass(), make(("*", Hall))
    async with open_server(server) as net:
        clients = [await net.connect(str(number)) for number in range(20)]
        for client in clients:
            await client.join("hall")
        served: dict[int, set[str]] = {}  # {pass: the members that were served in it}
        for session in server._assembly.hub.clients.values():
            watch_deliveries(session, passes, served)
        trio.lowlevel.add_instrument(passes)
        for client in clients[:10]:
            for number in range(10):
                await client.send("say", [number, number], target="hall")
        heard = await clients[-1].settle()
        trio.lowlevel.remove_instrument(passes)
        assert len(bodies_of(heard, "said")) == 200
        assert max(map(len, served.values())) <= 4


def watch_deliveries(session: Any, passes: Pass, served: dict[int, set[str]]) -> None:
    deliver = session.deliver

    def deliver_noted(data: bytes, frames: list[bytes], start: int = 0, /) -> None:
        if any(b'"said"' in frame for frame in frames[start:]):
            served.setdefault(passes.number, set()).add(session.id)
        deliver(data, frames, start)

    session.deliver = deliver_noted
