"""An `on_leave` that raises is logged on every path, and changes nothing: the client has left, and is seen off."""

from collections.abc import Awaitable, Callable

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from simplysocket import GLOBAL_ROOM, Client, Limits, Reason, Room, Server
from simplysocket.testing import Net, TestClient, open_server

from ..harness.error_log import error_records, errors_of


class Failing(Room):
    """A room whose `on_leave` raises."""

    empty_ttl = 60

    async def on_create(self) -> None:
        self.errors: list[str] = []

    async def on_leave(self, client: Client, reason: Reason) -> None:
        raise KeyError(f"bug {reason.kind}")

    async def on_error(self, error: BaseException, client: Client | None) -> None:
        assert client is not None
        self.errors.append(f"{client.name} {error}")


async def ask(net: Net, ana: TestClient) -> None:
    await ana.request("leave-room", target="one")


async def leave(net: Net, ana: TestClient) -> None:
    assert await net.server.clients[ana.id].leave("one")


async def kick(net: Net, ana: TestClient) -> None:
    assert await net.server.rooms["one"].kick(net.server.clients[ana.id])


async def disconnect(net: Net, ana: TestClient) -> None:
    await ana.close()


async def close(net: Net, ana: TestClient) -> None:
    await net.server.clients[ana.id].close(4500)


async def close_while_away(net: Net, ana: TestClient) -> None:
    ana.drop()
    await wait_all_tasks_blocked()
    await close(net, ana)


async def stay_away(net: Net, ana: TestClient) -> None:
    ana.drop()
    await trio.sleep(31)


async def outlast_the_hold(net: Net, ana: TestClient) -> None:
    net.server.rooms["one"].hold_seconds = 5
    ana.drop()
    await trio.sleep(6)


async def release(net: Net, ana: TestClient) -> None:
    ana.drop()
    await wait_all_tasks_blocked()
    assert await net.server.rooms["one"].release(net.server.clients[ana.id])


PATHS = {
    ask: "left",
    leave: "left",
    kick: "kicked",
    disconnect: "closed",
    close: "closed",
    close_while_away: "closed",
    stay_away: "lost",
    outlast_the_hold: "lost",
    release: "lost",
}


def make() -> tuple[Server, list[str]]:
    server, gone = Server("test", limits=Limits(resume_seconds=30)), list[str]()
    server.room("one")(Failing)

    @server.on_disconnect
    async def on_disconnect(client: Client) -> None:
        gone.append(client.name)

    return server, gone


@pytest.mark.parametrize("how", PATHS, ids=lambda how: how.__name__)
async def test_an_on_leave_that_raises_is_logged_once(
    how: Callable[[Net, TestClient], Awaitable[None]], autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    server, gone = make()
    async with open_server(server) as net:
        ana = await net.connect("ana", resume=True)
        await ana.join("one")
        room = net.server.rooms["one"]
        assert isinstance(room, Failing)
        await how(net, ana)
        await wait_all_tasks_blocked()
        assert errors_of(caplog) == ["on_leave of room 'one' failed"]
        (record,) = error_records(caplog)
        assert record.exc_info is not None
        assert f"bug {PATHS[how]}" in str(record.exc_text)
        assert room.errors == [f"ana 'bug {PATHS[how]}'"]
        assert not room.members
        assert server.statistics()["handlers_failed"] == 1
    assert gone == ["ana"]


@pytest.mark.parametrize("is_away", [True, False])
async def test_an_on_leave_of_the_global_room_that_raises_at_a_stop_is_logged(
    is_away: bool, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    server, gone = make()
    server.room(GLOBAL_ROOM)(Failing)
    async with open_server(server) as net:
        ana = await net.connect("ana", resume=True)
        await ana.join("one")
        if is_away:
            ana.drop()
            await wait_all_tasks_blocked()
        await server.stop()
        assert errors_of(caplog) == [
            f"on_leave of room {GLOBAL_ROOM!r} failed"
        ]  # that of a room that closes is not called
    assert gone == ["ana"]


async def test_an_on_leave_that_raises_while_a_server_is_cancelled_is_logged(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    server, gone = make()
    server.room(GLOBAL_ROOM)(Failing)
    with trio.CancelScope() as scope:
        async with open_server(server) as net:
            await net.connect("ana")
            scope.cancel()
            await trio.sleep_forever()
    assert f"on_leave of room {GLOBAL_ROOM!r} failed" in errors_of(caplog)
    assert gone == ["ana"]


# --- what goes wrong beside the hook


@pytest.mark.parametrize("how", [disconnect, stay_away, outlast_the_hold], ids=lambda how: how.__name__)
async def test_whatever_else_fails_in_a_leave_that_nobody_waits_for_is_logged(
    how: Callable[[Net, TestClient], Awaitable[None]],
    autojump_clock: MockClock,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def fail(_: object, name: str, *args: object, **keys: object) -> None:
        if name == "on_leave":
            raise RuntimeError("no such luck")

    server, gone = make()
    async with open_server(server) as net:
        ana = await net.connect("ana", resume=True)
        await ana.join("one")
        monkeypatch.setattr("simplysocket._rooms.hooks.Hooks.call_guarded", fail)
        await how(net, ana)
        await wait_all_tasks_blocked()
        assert errors_of(caplog) == ["'on_leave' in room 'one' failed, and nobody waits for it"]
        assert "no such luck" in str(error_records(caplog)[0].exc_text)
        monkeypatch.undo()
    assert gone == ["ana"]


async def test_an_error_of_a_join_whose_caller_waits_no_more_is_logged(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    server, _ = make()

    @server.room("two")
    class Slow(Room):
        async def on_join(self, client: Client) -> None:
            await trio.sleep(2)
            raise KeyError("bug")

    async with open_server(server) as net:
        ana = await net.connect("ana")
        with trio.move_on_after(1):
            await net.server.clients[ana.id].join("two")
        await trio.sleep(2)
        assert errors_of(caplog) == ["'on_join' in room 'two' failed, and nobody waits for it"]
        with pytest.raises(KeyError):  # who waits gets it, and nothing is logged
            await net.server.clients[ana.id].join("two")
        assert len(errors_of(caplog)) == 1


@pytest.mark.parametrize("is_away", [True, False])
async def test_a_reason_that_is_no_text_of_utf_8_does_not_keep_a_client_in_its_rooms(
    is_away: bool, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    server, gone = make()

    @server.room("two")
    class Quiet(Room):
        announce = True

    async with open_server(server) as net:
        ana, ben = await net.connect("ana", resume=True), await net.connect("ben")
        await ana.join("two")
        await ben.join("two")
        if is_away:
            ana.drop()
            await wait_all_tasks_blocked()
        await net.server.clients[ana.id].close(4500, "\ud800 banned")
        (told,) = await ben.settle()
        assert told["message_body"]["reason"] == "? banned"
        assert list(net.server.rooms["two"].members) == [ben.id]
        assert gone == ["ana"]
        assert errors_of(caplog) == []
