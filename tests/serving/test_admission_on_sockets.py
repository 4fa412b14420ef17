"""Admission on sockets: hooks that fail or wait, and peers that leave meanwhile."""

import time
from functools import partial
from typing import Any

import pytest
import trio

from simplysocket import ActionError, Client, Identity, Refuse, Request, Server

from ..harness.admission import check_no_connections
from ..harness.attack import TEST_SECONDS, under_attack, until
from ..harness.crowd import dial_many
from ..harness.error_log import errors_of
from ..harness.frames import close, head, message
from ..harness.hooks import sleep_and_raise_a_group
from ..harness.servers import make_attacked


def make_misbehaving(**limits: Any) -> tuple[Server, list[str], list[int]]:
    """Return a server to attack whose hooks do what the query asks, and the calls of both hooks, client by client."""
    server = make_attacked(**{"connections_per_address": None, "connects_per_second": None, **limits})
    connected, gone, here = list[str](), list[int](), set[str]()

    async def misbehave(what: str | None) -> None:
        if what == "wait":
            await trio.sleep(0.02)
        elif what == "never":
            await trio.sleep_forever()
        elif what == "fail":
            raise KeyError("bug")
        elif what == "group":
            await sleep_and_raise_a_group()

    @server.authenticate
    async def authenticate(request: Request) -> Identity:
        what = request.query.get("authenticate")
        await misbehave(what)
        if what == "refuse":
            raise Refuse(403, "no")
        expires = {"soon": time.time() + 0.1}.get(request.query.get("expires", ""))
        return Identity("user", expires_at=expires)

    @server.on_connect
    async def on_connect(client: Client, request: Request) -> None:
        here.add(client.id)
        connected.append(client.id)
        client.state["at_end"] = request.query.get("on_disconnect")
        await misbehave(request.query.get("on_connect"))
        if request.query.get("on_connect") == "refuse":
            raise ActionError("forbidden", "no")
        if request.query.get("on_connect") == "join":
            await client.join("hall")

    @server.on_disconnect
    async def on_disconnect(client: Client, reason: str) -> None:
        here.remove(client.id)  # KeyError, and so an error in the log, when it is called twice
        gone.append(1)
        await misbehave(client.state["at_end"])

    return server, connected, gone


def head_of(query: str) -> bytes:
    return head(f"GET /ws?{query} HTTP/1.1")


async def test_messages_sent_before_the_answer_wait_for_on_connect() -> None:
    server, handled = make_attacked(handshake_seconds=TEST_SECONDS), list[bool]()
    asked, release = trio.Event(), trio.Event()

    @server.authenticate
    async def authenticate(request: Request) -> Identity:
        if request.query:
            asked.set()
            await release.wait()
        return Identity("user")

    @server.on_connect
    async def connected(client: Client, request: Request) -> None:
        await trio.sleep(0.05 if request.query else 0)
        client.state["ready"] = True

    @server.action("say")
    async def say(client: Client, body: int) -> int:
        handled.append(client.state["ready"])
        return body

    async with under_attack(server) as attack:
        peer = await attack.dial()
        await peer.send(head_of("slow=1"))
        await asked.wait()
        await peer.send(b"".join(message("say", number, id=number) for number in range(100)))
        release.set()
        assert (await peer.read_answer()).status == 101
        answers = [await peer.receive() for _ in range(100)]
        assert {each["id"] for each in answers} == set(range(100))
        assert [each["message_body"] for each in answers if each["action"] == "reply"] == [
            each["id"] for each in answers if each["action"] == "reply"
        ]
        assert all(handled)
    check_no_connections(server)


@pytest.mark.parametrize("how", ["close", "reset", "eof"])
@pytest.mark.parametrize("where", ["authenticate", "on_connect", "on_disconnect"])
@pytest.mark.parametrize("what", ["wait", "never", "fail", "group"])
async def test_a_peer_that_leaves_while_a_hook_runs_leaves_nothing_open(where: str, what: str, how: str) -> None:
    server, connected, gone = make_misbehaving()
    async with under_attack(server) as attack:
        before = len(connected)
        peers = []
        for _ in range(5):
            peers.append(peer := await attack.dial())
            await peer.send(head_of(f"{where}={what}"))
            if where == "on_disconnect":
                await peer.read_answer()
        await until(lambda: len(connected) == before + 5 or where == "authenticate")
        for peer in peers:
            await {"close": peer.close, "reset": peer.reset, "eof": peer.send_eof}[how]()
        await until(lambda: server.statistics()["connections"] == 1)
        await until(lambda: len(connected) == len(gone) + 1)  # the bystander is still here
    check_no_connections(server)
    assert len(connected) == len(gone)


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("authenticate=refuse", 403, 0),
        ("authenticate=fail", 500, 0),
        ("authenticate=never", 408, 0),
        ("authenticate=group", 408, 0),
        ("on_connect=refuse", 101, 1008),
        ("on_connect=fail", 101, 3004),
        ("on_connect=never", 101, 3004),
        ("on_connect=group", 101, 3004),
        ("expires=soon", 101, 3005),
        ("expires=soon&on_connect=never", 101, 3005),
    ],
)
async def test_each_failure_has_its_status_or_close_code(query: str, status: int, code: int) -> None:
    server, connected, gone = make_misbehaving()
    async with under_attack(server) as attack:
        for _ in range(3):
            peer = await attack.dial()
            assert (await peer.ask(head_of(query))).status == status
            if status == 101:
                assert await peer.end() == code
    check_no_connections(server)
    assert len(connected) == len(gone)


async def test_a_thousand_clients_with_failing_hooks_leave_nothing_open(caplog: pytest.LogCaptureFixture) -> None:
    server, connected, gone = make_misbehaving()
    queries = [
        "",
        "authenticate=wait",
        "authenticate=refuse",
        "authenticate=fail",
        "authenticate=never",
        "authenticate=group",
        "on_connect=wait",
        "on_connect=refuse",
        "on_connect=fail",
        "on_connect=never",
        "on_connect=group",
        "on_connect=join",
        "on_disconnect=wait",
        "on_disconnect=fail",
        "on_disconnect=never",
        "on_disconnect=group",
        "expires=soon",
        "expires=soon&on_connect=never",
    ]
    async with under_attack(server, seconds=60) as attack:

        async def visit(number: int) -> None:
            peer = await attack.dial()
            await peer.send(head_of(queries[number % len(queries)]))
            turn = number % 5
            if turn == 0:
                await peer.reset()
            elif turn == 1:
                await peer.close()
            else:
                answer = await peer.read_answer()
                if answer.status == 101 and turn == 2:
                    await peer.say("echo", 1)
                    await peer.send(close())
                if answer.status == 101 and turn > 2:
                    await peer.say("join-room", {"roomname": f"hall{number % 7}"})
                if turn != 4:
                    with trio.move_on_after(2):
                        await peer.end()
                await peer.close()

        async with trio.open_nursery() as nursery:
            for number in range(1000):
                nursery.start_soon(visit, number)
        with trio.fail_after(20):
            await until(lambda: server.statistics()["connections"] == 1)
            await until(lambda: len(connected) == len(gone) + 1)  # on_disconnect keeps no connection
    check_no_connections(server)
    assert len(connected) == len(gone)
    assert not [text for text in errors_of(caplog) if "serving a connection failed" in text]
    assert not [text for text in errors_of(caplog) if "a connection failed" in text]


@pytest.mark.parametrize("query", ["authenticate=never", "on_connect=never", "on_disconnect=never", ""])
async def test_a_stop_ends_a_hundred_clients_held_up_in_hooks(query: str) -> None:
    server, connected, gone = make_misbehaving(handshake_seconds=20)
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(server.serve, "127.0.0.1", 0))
        peers = await dial_many(server, 100, head_of(query))
        with trio.fail_after(TEST_SECONDS):
            await server.stop(0.2)
        for peer in peers:
            await peer.close()
    check_no_connections(server)
    assert len(connected) == len(gone)


@pytest.mark.parametrize("query", ["authenticate=never", "on_connect=never", "on_disconnect=never", "on_connect=join"])
async def test_cancelling_the_server_ends_a_hundred_clients_held_up_in_hooks(query: str) -> None:
    server, connected, gone = make_misbehaving(handshake_seconds=20)
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(server.serve, "127.0.0.1", 0))
        peers = await dial_many(server, 100, head_of(query))
        for peer in peers[::3]:
            await peer.reset()
        nursery.cancel_scope.cancel()
    for peer in peers:
        await peer.close()
    check_no_connections(server)
    assert len(connected) == len(gone)
