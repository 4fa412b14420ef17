"""Devices of a few users that log in, renew, expire, lose their connections and come back, at random."""

import contextlib
import math
import time
from collections import Counter
from random import Random
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from simplysocket import ActionError, Client, Identity, Limits, Refuse, Request, Room, Server
from simplysocket.testing import ConnectionEnded, Net, TestClient

from ..harness.admission import open_checked_in_scope

USERS = ("ana", "bob", "eve")
MOST = 2  # Server(connections_per_user=)
LATE = 5.0  # seconds for which an expired client may still be connected: Expiry looks that seldom


class House:
    """A server that checks what it is told, and what has come of each client."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.came, self.gone = Counter[str](), Counter[str]()
        self.inside: Counter[str] = Counter()  # {client id: rooms that it has joined and not left}
        self.resuming: Counter[str] = Counter()  # {client id: calls of on_resume that run}
        self.met: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.is_ending = False  # the rooms close with the server, without on_leave
        limits = Limits(
            resume_seconds=8,
            resumes_per_second=None,
            connects_per_second=None,
            failed_logins_per_second=None,
            http_requests_per_second=None,
            silence_seconds=6,
            ping_seconds=3,
        )
        self.server = server = Server("house", connections_per_user=MOST, limits=limits, trusted_proxies=["unix"])
        server.authenticate(self.authenticate)
        server.on_connect(self.connected)
        server.on_resume(self.resumed)
        server.on_disconnect(self.disconnected)
        house = self

        @server.room("hall")
        class Hall(Room):
            async def on_join(self, client: Client) -> None:
                house.inside[client.id] += 1

            async def on_leave(self, client: Client, reason: str) -> None:
                await house.take_time()
                house.inside[client.id] -= 1
                house.expect(not house.gone[client.id], "on_leave after on_disconnect")

    def expect(self, fact: bool, otherwise: str) -> None:
        """Note what is wrong: an error of a hook would only be logged."""
        if not fact:
            self.wrong.append(otherwise)

    async def take_time(self) -> None:
        await trio.sleep(self.random.choice((0, 0, 0.1, 1.5)))

    async def authenticate(self, request: Request) -> Identity:
        await self.take_time()
        user, _, seconds = (request.token or "").partition(" ")
        if self.random.random() < 0.1:
            raise Refuse(401, expired=self.random.random() < 0.5)
        return identity(user, float(seconds)) if seconds else Identity(user)

    async def connected(self, client: Client) -> None:
        self.came[client.id] += 1
        await self.take_time()
        if self.random.random() < 0.1:
            raise ActionError("forbidden")

    async def resumed(self, client: Client) -> None:
        self.expect(self.came[client.id] == 1, "on_resume without on_connect")
        self.expect(not self.gone[client.id], "on_resume after on_disconnect")
        self.resuming[client.id] += 1
        try:
            await self.take_time()
            chance = self.random.random()
            if chance < 0.1:
                raise ActionError("forbidden")
            if chance < 0.2:
                await client.renew(identity(str(client.user), 3))
        finally:
            self.resuming[client.id] -= 1

    async def disconnected(self, client: Client) -> None:
        self.expect(not self.resuming[client.id], "on_disconnect while on_resume runs")
        self.expect(self.is_ending or self.inside[client.id] == 0, "on_disconnect before on_leave")
        self.gone[client.id] += 1

    def check(self) -> None:
        """Check what holds at any time."""
        clients = list(self.server.clients.values())
        for user, number in Counter(client.user for client in clients).items():
            assert number <= MOST, f"{user} has {number} clients"
        for client in clients:
            assert client.identity is not None
            end = client.identity.claims.get("end", math.inf)
            assert not client.is_connected or trio.current_time() < end + LATE, "it has expired, and is connected"
        assert not self.wrong

    def check_the_end(self) -> None:
        """Check that nothing is left."""
        assert not self.wrong
        assert self.came == self.gone
        assert set(self.gone.values()) <= {1}
        assembly = self.server._assembly
        left: list[Any] = [
            assembly.returns._sessions,
            assembly.returns._away,
            assembly.expiry._ends,
            assembly.hub.renewal._requests,
            assembly.hub.renewal._running,
            assembly.users._sessions,
            assembly.admission._greetings,
            assembly.front_door.arrivals.away,
            +assembly.front_door.arrivals._away_by_account,
            assembly.outboxes._holders,
        ]
        assert not any(left), left


def identity(user: str, seconds: float) -> Identity:
    """Return an identity that expires after this time by the test's clock, too."""
    return Identity(user, claims={"end": trio.current_time() + seconds}, expires_at=time.time() + seconds)


class Device:
    """A device of one user, which does one thing after the other."""

    def __init__(self, house: House, net: Net) -> None:
        self.house, self.net, self.random = house, net, house.random
        self.user = house.random.choice(USERS)

    def token(self) -> str:
        return f"{self.user} {self.random.choice((1, 3, 20))}" if self.random.random() < 0.8 else self.user

    async def live(self) -> None:
        client: TestClient | None = None
        for _ in range(12):
            await self.house.take_time()
            with contextlib.suppress(ConnectionEnded, ActionError, OSError):
                if client is None:
                    client = await self.net.connect(token=self.token(), resume=True)
                    await self.ask(client, "join-room", {"roomname": "hall"})
                else:
                    await self.act(client)

    async def act(self, client: TestClient) -> None:
        match self.random.choice(("drop", "drop", "silent", "back", "back", "renew", "wait", "throw out", "rush")):
            case "drop":
                client.drop()
                await trio.sleep(self.random.choice((0, 1, 5, 10)))
                await self.come_back(client)
            case "silent":
                client.go_silent()
                await trio.sleep(self.random.choice((0, 1, 10)))
                await self.come_back(client)
            case "back":
                await self.come_back(client)
            case "renew":
                await self.ask(client, "renew", {"token": self.token()})
            case "wait":
                await trio.sleep(4)
            case "throw out":
                served = self.net.server.clients.get(client.id)
                if self.random.random() < 0.5:
                    client.go_silent()  # it answers no Close
                if served is not None:
                    await served.close(self.random.choice((3000, 3503, 4500)))
                    resume = await self.come_back(client)
                    self.house.expect(resume is None or resume["outcome"] == "new", "thrown out, and back")
            case "rush":
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self.ask, client, "renew", {"token": self.token()})
                    nursery.start_soon(self.come_back, client)

    async def ask(self, client: TestClient, action: str, body: dict[str, str]) -> None:
        with trio.move_on_after(5), contextlib.suppress(ConnectionEnded, ActionError):
            await client.request(action, body)
            self.house.met[action] += 1

    async def come_back(self, client: TestClient) -> dict[str, Any] | None:
        with trio.move_on_after(15):
            try:
                resume = await client.come_back(token=self.token(), forgets=self.random.random() < 0.1)
                self.house.met[resume["outcome"]] += 1
                return resume
            except ConnectionEnded as ended:
                self.house.met[str(ended.code)] += 1
            except ActionError as error:
                self.house.met[error.code] += 1
        return None


async def run(seed: int) -> Counter[str]:
    house = House(seed)
    async with open_checked_in_scope(house.server) as (net, scope), trio.open_nursery() as nursery:

        async def look() -> None:
            while True:
                house.check()
                await trio.sleep(0.1)

        nursery.start_soon(look)
        async with trio.open_nursery() as devices:
            for _ in range(10):
                devices.start_soon(Device(house, net).live)
        if house.random.random() < 0.5:
            await trio.sleep(60)
        house.is_ending = True
        if house.random.random() < 0.3:
            scope.cancel()
        nursery.cancel_scope.cancel()
    house.check_the_end()
    return house.met


@pytest.mark.parametrize("seed", range(8))
async def test_whatever_happens_each_client_is_seen_off_once_and_nothing_is_left(
    seed: int, autojump_clock: MockClock
) -> None:
    await run(seed)


async def test_much_is_met(autojump_clock: MockClock) -> None:
    met = Counter[str]()
    for seed in range(100, 102):
        met += await run(seed)
    assert {"resumed", "gap", "new", "renew", "3005", "3500", "3504", "1008"} <= met.keys(), met
