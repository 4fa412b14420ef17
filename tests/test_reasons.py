"""Reasons: a text with a kind and a close code, for everything that can end a membership or a connection."""

import contextlib
import copy
import pickle
from collections.abc import Awaitable, Callable

import msgspec
import pytest
import trio
from trio.testing import MockClock

from simplysocket import GLOBAL_ROOM, Client, CloseCode, Reason, ReasonKind, Room, Server
from simplysocket._protocol import codec
from simplysocket.testing import TestClient, open_server

from .harness.servers import make

LEFT = Reason("for lunch", ReasonKind.LEFT)


def test_a_reason_is_its_text_with_a_kind_and_a_code() -> None:
    reason = Reason("bye", ReasonKind.CLOSED, 4_001)
    assert reason == "bye"
    assert hash(reason) == hash("bye")
    assert f"{reason}" == "bye"
    assert (reason.kind, reason.code) == ("closed", 4_001)
    assert (LEFT.kind, LEFT.code) == (ReasonKind.LEFT, None)


def test_a_reason_cannot_be_changed_and_can_be_copied() -> None:
    with pytest.raises(AttributeError):
        LEFT.kind = ReasonKind.KICKED  # type: ignore[misc]
    for same in (copy.deepcopy(LEFT), pickle.loads(pickle.dumps(LEFT))):
        assert (same, same.kind, same.code) == (LEFT, LEFT.kind, LEFT.code)


def test_a_reason_is_written_as_its_text() -> None:
    written = codec.encode_body({"why": LEFT, "all": [LEFT], LEFT: 1})
    assert msgspec.json.decode(written) == {"why": "for lunch", "all": ["for lunch"], "for lunch": 1}


def test_a_reason_that_is_no_text_or_of_no_kind_is_refused() -> None:
    with pytest.raises(TypeError, match="give a string"):
        Reason(None, ReasonKind.LEFT)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="lunch"):
        Reason("for lunch", "lunch")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("code", "text", "by_server", "expected"),
    [
        (0, "", False, ("disconnected", "lost", None)),
        (1006, "", True, ("disconnected", "lost", None)),
        (1005, "", False, ("disconnected", "closed", 1005)),
        (1001, "slow", False, ("disconnected", "closed", 1001)),
        (3503, "kicked", False, ("disconnected", "closed", 3503)),  # a peer's words and codes are its own
        (3000, "", True, ("closed", "closed", 3000)),
        (4001, "bye", True, ("bye", "closed", 4001)),
        (1000, "bye", True, ("normal", "closed", 1000)),
        (3503, "cheating", True, ("kicked", "kicked", 3503)),
        (1009, "", True, ("too-big", "invalid", 1009)),
        (1008, "", True, ("policy", "refused", 1008)),
        (3502, "", True, ("taken-over", "taken-over", 3502)),
    ],
)
def test_the_reason_of_a_close(code: int, text: str, by_server: bool, expected: tuple[str, str, int | None]) -> None:
    reason = Reason.of_close(code, text, by_server=by_server)
    assert (reason, reason.kind, reason.code) == expected


def test_each_close_code_of_the_server_has_a_kind_of_its_own_name_unless_several_are_alike() -> None:
    alike = {"protocol-error", "unsupported-data", "invalid-data", "too-big", "policy", "normal", "going-away"}
    for code in CloseCode:
        reason = Reason.of_close(code)
        if code not in (CloseCode.ABNORMAL, CloseCode.APPLICATION):
            assert str(reason) == code.name.lower().replace("_", "-")
            assert str(reason) in alike or str(reason) == reason.kind.value


# --- what the hooks are given


class Noting(Room):
    """A room that notes why its members leave."""

    why: list[tuple[str, str, int | None]]

    async def on_create(self) -> None:
        self.why = []

    async def on_leave(self, client: Client, reason: Reason) -> None:
        self.why.append((str(reason), reason.kind, reason.code))


def make_noting() -> tuple[Server, list[tuple[str, str, int | None]]]:
    server, why = make((GLOBAL_ROOM, Noting), ("*", Noting)), list[tuple[str, str, int | None]]()

    @server.on_disconnect
    async def note(client: Client, reason: Reason) -> None:
        why.append((str(reason), reason.kind, reason.code))

    return server, why


async def hang_up(client: TestClient) -> None:
    await client.stream.aclose()


async def close(client: TestClient) -> None:
    await client.close(1001)


async def send_nonsense(client: TestClient) -> None:
    await client.send_bytes(b"\x81\x05hello")  # without a mask


async def send_what_is_no_message(client: TestClient) -> None:
    with contextlib.suppress(trio.BrokenResourceError):  # the server may have ended the stream before the last one
        for _ in range(20):
            await client.send("")


@pytest.mark.parametrize(
    ("act", "expected"),
    [
        (hang_up, ("disconnected", "lost", None)),
        (close, ("disconnected", "closed", 1001)),
        (send_nonsense, ("protocol-error", "invalid", 1002)),
        (send_what_is_no_message, ("bad-requests", "bad-requests", 3501)),
    ],
)
async def test_what_a_client_does_has_a_kind(
    autojump_clock: MockClock,
    act: Callable[[TestClient], Awaitable[None]],
    expected: tuple[str, str, int | None],
) -> None:
    server, why = make_noting()
    async with open_server(server) as net:
        stays, ana = await net.connect("stays"), await net.connect("ana")
        await stays.join("one")
        await ana.join("one")
        await act(ana)
        await trio.sleep(10)
        assert server.rooms["one"].why == server.rooms[GLOBAL_ROOM].why == why == [expected]  # type: ignore[attr-defined]


async def test_what_server_code_does_has_a_kind(autojump_clock: MockClock) -> None:
    server, why = make_noting()
    async with open_server(server) as net:
        stays, ana = await net.connect("stays"), await net.connect("ana")
        await stays.join("one")
        room, client = server.rooms["one"], server.clients[ana.id]
        for act in (lambda: client.leave("one", "for lunch"), lambda: room.kick(client), lambda: client.close(4_001)):
            await ana.join("one")
            await act()
        await ana.close()
        await trio.sleep(10)
        assert room.why == [  # type: ignore[attr-defined]
            ("for lunch", "left", None),
            ("kicked", "kicked", None),
            ("closed", "closed", 4_001),
        ]
        assert why == [("closed", "closed", 4_001)]
        await stays.request("leave-room", {"roomname": "one"})
        assert room.why[3:] == [("left", "left", None)]  # type: ignore[attr-defined]


async def test_a_stop_has_a_kind(autojump_clock: MockClock) -> None:
    server, why = make_noting()
    async with open_server(server) as net:
        await net.connect("ana")
        await server.stop(5)
    assert why == [("shutdown", "shutdown", 3_001)]


async def test_a_reason_of_server_code_that_is_no_text_is_refused(autojump_clock: MockClock) -> None:
    server, _ = make_noting()
    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.join("one")
        client = server.clients[ana.id]
        with pytest.raises(TypeError, match="give a string"):
            await client.leave("one", None)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="give a string"):
            await server.rooms["one"].kick(client, 5)  # type: ignore[arg-type]
        assert "one" in client.rooms
