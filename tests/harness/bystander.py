"""A bystander: a well-behaved client that must not notice an attack on the server it is connected to."""

import trio

from simplysocket import Room, action

from .attacker import Peer

TICK_SECONDS = 0.015
QUESTION = -1  # the id of a ping; numbers that are echoed have their own


class Counting(Room):
    """The bystander's room: it broadcasts a count, and echoes numbers."""

    async def on_create(self) -> None:
        self.count = 0
        self.every(TICK_SECONDS, self.beat)

    async def beat(self) -> None:
        self.count += 1
        await self.broadcast("tick", self.count)

    @action("echo")
    async def echo(self, body: int) -> int:
        return body


class Bystander:
    """A client in a counting room: it sends each number back as a request, and misses none."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.heard = 0
        self.echoed = 0
        self.is_leaving = False
        self._progress = trio.lowlevel.ParkingLot()
        self._answered = trio.Event()
        self._sending = trio.Lock()  # a stream has one sender at a time

    async def watch(self) -> None:
        """Read until the server closes; AssertionError for anything missed, doubled or out of order."""
        peer = self.peer
        while True:
            received = await peer.receive()
            body = received["message_body"]
            if self.is_leaving:
                assert await peer.end() == 3001
                return
            if received["action"] == "tick":
                assert not self.heard or body == self.heard + 1, f"heard {body} after {self.heard}"
                self.heard = body
                await self._say("echo", body, id=body, target="watch")
            elif received["action"] == "listed":
                pass  # everyone is told of rooms that come and go
            elif received.get("id") == QUESTION:
                self._answered.set()
            else:
                assert received["action"] == "reply", received
                assert not self.echoed or body == received["id"] == self.echoed + 1, f"{body} after {self.echoed}"
                self.echoed = body
            self._progress.unpark_all()

    async def hear(self, more: int = 2) -> None:
        """Wait until `more` further numbers have been heard and echoed."""
        last = self.heard + more
        while self.echoed < last:
            await self._progress.park()

    async def ask(self) -> None:
        """Ask `ping`, and wait for the answer."""
        self._answered = trio.Event()
        await self._say("ping", id=QUESTION)
        await self._answered.wait()

    async def _say(self, action: str, body: object = None, **keys: object) -> None:
        async with self._sending:
            await self.peer.say(action, body, **keys)
