"""How many rooms there may be: in all, and of one creator, whether it is still connected or not."""

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from simplysocket import Client, Identity, Request, Room, Server, action
from simplysocket._rooms.census import Census
from simplysocket.limits import Limits
from simplysocket.testing import Net, TestClient, open_server

from ..harness.messages import code_of
from ..harness.rooms import Talk
from ..harness.servers import make


class Lasting(Talk):
    """A room that stays when it is empty."""

    empty_ttl = None

    @action("end")
    async def end(self) -> None:
        await self.close()


async def connect_from(net: Net, address: str) -> TestClient:
    """Connect by a trusted proxy that names this address."""
    return await net.connect(headers={"X-Forwarded-For": address})


def make_proxied(**limits: int | None) -> Server:
    return make(("lasting-*", Lasting), ("*", Talk), trusted_proxies=["unix"], **limits)


async def refused(client: TestClient, name: str) -> str:
    return await code_of(client, "join-room", {"roomname": name})


async def test_a_creator_may_have_so_many_living_rooms_also_after_it_has_disconnected(
    autojump_clock: MockClock,
) -> None:
    async with open_server(make_proxied(rooms_per_creator=3)) as net:
        for n in range(3):
            ana = await connect_from(net, "192.0.2.1")
            await ana.join(f"lasting-{n}")
            await ana.close()
        again = await connect_from(net, "192.0.2.1")
        assert await refused(again, "lasting-3") == "too-many"
        assert await refused(again, "other") == "too-many"
        assert (await again.join("lasting-0"))["created"] is False  # a room that exists is open to it
        await (await connect_from(net, "192.0.2.2")).join("lasting-3")
        await again.request("end", target="lasting-0")
        await again.join("lasting-4")
        assert await refused(again, "lasting-5") == "too-many"


@pytest.mark.parametrize(
    ("one", "same", "other"),
    [
        ("2001:db8::1", "2001:db8::ffff:1", "2001:db8:0:1::1"),
        ("192.0.2.1", "::ffff:192.0.2.1", "192.0.2.2"),
    ],
)
async def test_addresses_of_one_client_count_as_one(autojump_clock: MockClock, one: str, same: str, other: str) -> None:
    async with open_server(make_proxied(rooms_per_creator=1)) as net:
        await (await connect_from(net, one)).join("lasting-0")
        assert await refused(await connect_from(net, same), "lasting-1") == "too-many"
        await (await connect_from(net, other)).join("lasting-1")


async def test_a_unix_socket_and_a_proxy_without_a_client_are_no_creator(autojump_clock: MockClock) -> None:
    for proxies in ([], ["unix", "198.51.100.7"]):
        server = make(("*", Lasting), trusted_proxies=proxies, rooms_per_creator=1)
        async with open_server(server) as net:
            for n in range(3):
                await (await net.connect()).join(f"r{n}")
            if proxies:
                for n in range(3, 6):
                    await (await connect_from(net, "198.51.100.7")).join(f"r{n}")


async def test_an_authenticated_user_is_one_creator_wherever_it_connects(autojump_clock: MockClock) -> None:
    server = make_proxied(rooms_per_creator=1)

    @server.authenticate
    async def authenticate(request: Request) -> Identity:
        return Identity(str(request.token))

    async with open_server(server) as net:
        here = {"X-Forwarded-For": "192.0.2.1"}
        await (await net.connect(token="ana", headers=here)).join("lasting-0")
        there = await net.connect(token="ana", headers={"X-Forwarded-For": "192.0.2.2"})
        assert await refused(there, "lasting-1") == "too-many"
        await (await net.connect(token="bob", headers=here)).join("lasting-1")  # behind the same NAT


async def test_the_rooms_of_the_server_are_bounded_in_all_but_not_for_its_own_code(autojump_clock: MockClock) -> None:
    server = make(("*", Lasting), rooms=3)
    async with open_server(server) as net:
        ana, bob = await net.connect("ana"), await net.connect("bob")
        await ana.join("r0")
        await server.open_room("r1")
        await bob.join("r2")
        assert await refused(ana, "r3") == "too-many"
        for n in (3, 4):
            await server.open_room(f"r{n}")
        assert (await ana.join("r4"))["created"] is False
        await server.rooms["r1"].close()
        await server.rooms["r3"].close()
        assert await refused(ana, "r1") == "too-many"  # r0, r2, r4
        await server.rooms["r4"].close()
        await ana.join("r1")


async def test_a_join_by_code_counts_for_its_client(autojump_clock: MockClock) -> None:
    server = make_proxied(rooms_per_creator=1)

    @server.action("make")
    async def make_room(client: Client, body: str) -> None:
        await client.join(body)

    async with open_server(server) as net:
        ana = await connect_from(net, "192.0.2.1")
        await ana.request("make", "lasting-0")
        assert await code_of(ana, "make", "lasting-1") == "too-many"


async def test_rooms_that_close_when_empty_do_not_add_up(autojump_clock: MockClock) -> None:
    server = make_proxied(rooms=2, rooms_per_creator=2)
    async with open_server(server) as net:
        ana = await connect_from(net, "192.0.2.1")
        for n in range(20):
            await ana.join(f"r{n}")
            await ana.request("leave-room", {"roomname": f"r{n}"})
            await trio.testing.wait_all_tasks_blocked()
        assert server._assembly.hub.census.total == 0


async def test_a_room_that_could_not_be_created_counts_no_longer(autojump_clock: MockClock) -> None:
    class Broken(Room):
        async def on_create(self) -> None:
            raise ValueError

    server = make(("*", Broken), rooms=1)
    async with open_server(server) as net:
        ana = await net.connect("ana")
        for n in range(3):
            assert await refused(ana, f"r{n}") == "internal"
            await trio.testing.wait_all_tasks_blocked()


async def test_a_successor_counts_and_takes_the_place_of_the_closing_room(autojump_clock: MockClock) -> None:
    class Slow(Talk):
        empty_ttl = None

        async def on_close(self) -> None:
            await trio.sleep(1)

    server = make(("*", Slow), rooms=2, trusted_proxies=["unix"], rooms_per_creator=2)
    async with open_server(server) as net:
        ana, bob = await connect_from(net, "192.0.2.1"), await connect_from(net, "192.0.2.2")
        for name in ("r0", "r1"):
            await ana.join(name)
            net.nursery.start_soon(server.rooms[name].close)
        await trio.testing.wait_all_tasks_blocked()
        await ana.send("join-room", {"roomname": "r0"}, id=1)  # the room's own creator
        await bob.send("join-room", {"roomname": "r1"}, id=1)
        assert await refused(ana, "r2") == await refused(bob, "r2") == "too-many"
        assert (await ana.receive())["action"] == "room-closed"
        await trio.sleep(2)
        assert set(server.rooms) == {"mesh-global", "r0", "r1"}
        assert server._assembly.hub.census.total == 2
        assert await refused(ana, "r2") == "too-many"


async def test_a_waiting_join_that_finds_no_place_for_a_next_room_is_refused(autojump_clock: MockClock) -> None:
    class Slow(Talk):
        empty_ttl = None

        @action("end")
        async def end(self) -> None:
            await trio.sleep(1)
            await self.close()

    server = make(("*", Slow), trusted_proxies=["unix"], rooms_per_creator=1)
    async with open_server(server) as net:
        ana, bob = await connect_from(net, "192.0.2.1"), await connect_from(net, "192.0.2.2")
        await bob.join("bobs")
        await ana.join("anas")
        await ana.send("end", target="anas")
        await trio.testing.wait_all_tasks_blocked()
        await bob.send("join-room", {"roomname": "anas"}, id=7)
        await bob.send("say", {}, target="anas", id=8)
        await trio.sleep(2)
        codes = {each["id"]: each["message_body"]["code"] for each in await bob.settle() if "id" in each}
        assert codes == {7: "too-many", 8: "room-closed"}
        assert set(server.rooms) == {"mesh-global", "bobs"}


def test_the_census_forgets_a_creator_without_rooms() -> None:
    census = Census(Limits())
    for n in range(1_000):
        census.add(f"address {n}")
        census.remove(f"address {n}")
    assert census.total == 0
    assert not census._by_creator
