"""TLS records: few are decrypted at a time, and those without data are bounded."""

import ctypes
import ctypes.util
import random
import socket
import ssl
from collections.abc import Iterable
from functools import partial

import pytest
import trio
from trio.testing import MockClock

from simplysocket._pass_budget import Line, PassBudget
from simplysocket._wire.tls_records import TLSRecords

from ..harness.attack import under_attack, until
from ..harness.frames import head
from ..harness.servers import make_attacked
from ..harness.tls import Contexts, make_contexts

KEY_UPDATE = b"\x17\x03\x03\x00\x16" + b"k" * 22  # as it looks from outside
SEED = 30_271


class Pieces(trio.abc.ReceiveStream):
    """A stream that gives these pieces, and then ends."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        await trio.lowlevel.checkpoint()
        return next(self._pieces, b"")

    async def aclose(self) -> None:
        pass


def records_over(pieces: Iterable[bytes], budget: PassBudget | None = None) -> TLSRecords:
    stream: trio.abc.Stream = Pieces(pieces)  # type: ignore[assignment]  # nothing is sent
    return TLSRecords(stream, budget or PassBudget())


def cut(data: bytes, sizes: Iterable[int]) -> list[bytes]:
    pieces = []
    for size in sizes:
        pieces.append(data[:size])
        data = data[size:]
        if not data:
            break
    return pieces


@pytest.mark.parametrize("longest", [1, 3, 26, 27, 28, 200, 16_384])
async def test_however_the_records_are_cut_they_come_in_order_and_few_at_a_time(longest: int) -> None:
    choose = random.Random(SEED + longest)
    sizes = [choose.choice([0, 1, 22, 22, 22, 500]) for _ in range(100)]
    records = [b"\x17\x03\x03" + size.to_bytes(2, "big") + bytes([number]) * size for number, size in enumerate(sizes)]
    whole = b"".join(records)
    ends = {len(b"".join(records[:count])) for count in range(1, 101)}
    stream = records_over(cut(whole, iter(lambda: choose.randint(1, longest), 0)))
    given = 0
    while True:
        stream.expect_data()
        piece = await stream.receive_some(16_384)
        if not piece:
            break
        assert piece == whole[given : given + len(piece)]
        assert len([end for end in ends if given < end <= given + len(piece)]) <= 4
        given += len(piece)
    assert given == len(whole)


@pytest.mark.parametrize("rest", [b"\x17", KEY_UPDATE[:-1]], ids=["in a header", "in a record"])
async def test_an_end_in_the_middle_is_an_end(rest: bytes) -> None:
    stream = records_over([KEY_UPDATE, rest])
    assert b"".join([await stream.receive_some() for _ in range(2)]) == KEY_UPDATE + rest
    assert await stream.receive_some() == b""


async def test_records_without_data_have_a_rate(autojump_clock: MockClock) -> None:
    stream = records_over([KEY_UPDATE * 10] * 100)
    stream.expect_data()
    given: list[bytes] = []

    async def go_on() -> None:
        while True:
            given.append(await stream.receive_some())

    with pytest.raises(trio.BrokenResourceError):
        await go_on()
    assert 100 < len(b"".join(given)) // len(KEY_UPDATE) <= 104


async def test_records_with_data_and_those_of_the_handshake_have_none(autojump_clock: MockClock) -> None:
    stream = records_over([KEY_UPDATE * 10] * 200)
    for _ in range(200):
        await stream.receive_some()  # of a handshake
    for _ in range(200):
        stream.expect_data()
        assert await stream.receive_some()


async def test_only_who_goes_on_after_records_without_data_shares_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    shared = 0
    share = PassBudget.share

    async def count(budget: PassBudget, line: Line) -> None:
        nonlocal shared
        shared += 1
        await share(budget, line)

    monkeypatch.setattr(PassBudget, "share", count)
    stream = records_over([KEY_UPDATE * 4] * 20)
    for _ in range(10):
        stream.expect_data()
        await stream.receive_some()
    assert shared == 0
    for _ in range(10):
        await stream.receive_some()
    assert shared == 10


@pytest.fixture(scope="module")
def contexts() -> Contexts:
    """Return the server's context and a client's that trusts it."""
    return make_contexts()


def change_keys_without_end(port: int) -> bool:
    """Connect over TLS 1.3, upgrade, and send KeyUpdates that ask for one each; tell whether the server has closed.

    Python's ssl cannot send them.
    """
    library = ctypes.CDLL(ctypes.util.find_library("ssl"))
    pointer, number = ctypes.c_void_p, ctypes.c_int
    for name, result, *arguments in [
        ("TLS_client_method", pointer),
        ("SSL_CTX_new", pointer, pointer),
        ("SSL_CTX_free", None, pointer),
        ("SSL_new", pointer, pointer),
        ("SSL_free", None, pointer),
        ("SSL_set_fd", number, pointer, number),
        ("SSL_connect", number, pointer),
        ("SSL_do_handshake", number, pointer),
        ("SSL_key_update", number, pointer, number),
        ("SSL_write", number, pointer, ctypes.c_char_p, number),
    ]:
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    context = library.SSL_CTX_new(library.TLS_client_method())
    with socket.create_connection(("127.0.0.1", port)) as sock:
        connection = library.SSL_new(context)
        library.SSL_set_fd(connection, sock.fileno())
        assert library.SSL_connect(connection) == 1
        assert library.SSL_write(connection, head(), len(head())) == len(head())
        is_closed = False
        for _ in range(100_000):
            if library.SSL_key_update(connection, 1) != 1 or library.SSL_do_handshake(connection) != 1:
                is_closed = True
                break
        library.SSL_free(connection)
        library.SSL_CTX_free(context)
    return is_closed


@pytest.mark.skipif(
    not (ctypes.util.find_library("ssl") or "").endswith(".so.3") or not ssl.HAS_TLSv1_3, reason="OpenSSL 3 is needed"
)
async def test_a_peer_that_changes_its_keys_without_end_is_closed(contexts: Contexts) -> None:
    server = make_attacked()
    serve = partial(server.serve, "127.0.0.1", 0, ssl_context=contexts[0])

    async def reach() -> trio.abc.Stream:
        stream = await trio.open_tcp_stream("127.0.0.1", server.port)
        return trio.SSLStream(stream, contexts[1], server_hostname="127.0.0.1", https_compatible=True)

    async with under_attack(server, serve=serve, reach=reach) as attack:
        assert await trio.to_thread.run_sync(change_keys_without_end, server.port)
        await until(lambda: server.statistics()["connections"] == 1)
        assert attack.bystander is not None
        await attack.bystander.hear()
