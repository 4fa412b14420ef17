"""Listening: ports and Unix sockets, and the errors when they cannot be used."""

import os
import socket
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest
import trio
import trio.testing

from simplysocket import Server

from ..harness.attack import under_attack
from ..harness.servers import make_attacked

NOBODY: Final = 65_534  # the user of this name on Linux


async def test_serve_needs_something_to_serve_on() -> None:
    with pytest.raises(ValueError, match="port=, unix= or listeners="):
        await Server().serve()


async def test_a_port_in_use_is_said_so() -> None:
    async with trio.open_nursery() as nursery:
        first = await nursery.start(Server("one").serve, "127.0.0.1", 0)
        with pytest.raises(OSError, match=f"port {first.port} of 127.0.0.1 is in use"):
            await Server("two").serve("127.0.0.1", first.port)
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("port", [-1, 65_536, "8080"])
async def test_a_port_that_is_none_is_said_so(port: Any) -> None:
    with pytest.raises(ValueError, match="give a number from 0 to 65535"):
        await Server().serve("127.0.0.1", port)


def test_run_ends_with_one_line_where_it_cannot_listen() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(SystemExit, match=f"^test: port {port} of 127.0.0.1 is in use: take another one$"):
            Server("test").run("127.0.0.1", port)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"host": "nosuch.invalid"}, r"the host 'nosuch.invalid' is not known \(.*\)"),
        ({"host": "a..b"}, "the host 'a..b' is not known: it is no valid name"),
        ({"host": "192.0.2.1"}, "host '192.0.2.1' is no address of this machine: take one of this machine's"),
        ({"port": None, "unix": "nowhere/socket"}, "cannot listen on 'nowhere/socket': No such file or directory"),
        ({"port": None, "unix": "x" * 200}, "cannot listen on 'x*': AF_UNIX path too long"),
        ({"unix": "nowhere/socket"}, "cannot listen on 'nowhere/socket': No such file or directory"),
    ],
)
def test_the_line_where_it_cannot_listen_names_the_place(options: dict[str, Any], said: str) -> None:
    with pytest.raises(SystemExit, match=f"^m: {said}$"):
        Server("m").run(**{"port": 0, **options})


@pytest.fixture
def without_privileges(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let root bind as nobody, who may not listen on every port."""
    bind = socket.socket.bind

    def bind_as_nobody(self: socket.socket, address: Any) -> None:
        os.seteuid(NOBODY)
        try:
            bind(self, address)
        finally:
            os.seteuid(0)

    if os.geteuid() == 0:
        monkeypatch.setattr(socket.socket, "bind", bind_as_nobody)


@pytest.mark.usefixtures("without_privileges")
def test_a_port_that_needs_privileges_is_named() -> None:
    with pytest.raises(SystemExit, match=r"^m: cannot listen on port 1 of '127.0.0.1': Permission denied$"):
        Server("m").run("127.0.0.1", 1)


@pytest.mark.parametrize("host", ["::", "::0", "0:0:0:0:0:0:0:0", None])
async def test_the_address_of_all_takes_ipv4_and_ipv6(host: str | None) -> None:
    server = make_attacked()
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(server.serve, host, 0))
        for address in ("127.0.0.1", "::1"):
            await (await trio.open_tcp_stream(address, server.port)).aclose()
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("host", ["localhost", None])
async def test_port_0_is_one_number_for_every_family(host: str | None) -> None:
    found = await trio.socket.getaddrinfo(host or "localhost", 0, type=socket.SOCK_STREAM)
    addresses = {str(info[4][0]) for info in found} if host else {"127.0.0.1", "::1"}
    server = make_attacked()
    for _ in range(5):
        async with trio.open_nursery() as nursery:
            await nursery.start(partial(server.serve, host, 0))
            for address in addresses:
                await (await trio.open_tcp_stream(address, server.port)).aclose()
            nursery.cancel_scope.cancel()


async def test_a_unix_socket_left_behind_is_replaced_and_one_in_use_is_not(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(path))
    server = make_attacked()
    async with under_attack(
        server, serve=partial(server.serve, unix=path), reach=partial(trio.open_unix_socket, str(path))
    ):
        with pytest.raises(OSError, match="is listening on"):
            await make_attacked().serve(unix=path)
        assert path.exists()
    assert not path.exists()


@pytest.mark.parametrize("is_relative", [False, True])
async def test_a_server_that_stops_leaves_the_socket_of_its_successor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_relative: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path("socket") if is_relative else tmp_path / "socket"
    first, second = Server("first"), Server("second")
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(first.serve, unix=path))
        path.unlink()  # as one deploys without a pause
        await nursery.start(partial(second.serve, unix=path))
        await first.stop(0)
        (await trio.open_unix_socket(str(path))).socket.close()
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")
        await second.stop(0)
    assert not (tmp_path / "socket").exists()


async def test_a_successor_that_replaces_the_socket_in_one_step_keeps_it(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    first, second = Server("first"), Server("second")
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(first.serve, unix=path))
        await nursery.start(partial(second.serve, unix=tmp_path / "new"))
        (tmp_path / "new").rename(path)
        await first.stop(0)
        (await trio.open_unix_socket(str(path))).socket.close()
        await second.stop(0)


async def test_a_socket_whose_backlog_is_full_is_in_use(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as listening, socket.socket(socket.AF_UNIX) as waiting:
        listening.bind(str(path))
        listening.listen(0)
        waiting.connect(str(path))
        with pytest.raises(OSError, match="is listening on"):
            await Server().serve(unix=path)
    assert path.exists()


async def test_a_file_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "precious"
    path.write_text("precious")
    with pytest.raises(FileExistsError):
        await make_attacked().serve(unix=path)
    assert path.read_text() == "precious"


async def test_what_cannot_be_served_is_said() -> None:
    async with under_attack() as attack:
        with pytest.raises(RuntimeError, match="serving already"):
            await attack.server.serve("127.0.0.1", 0)
        with pytest.raises(OSError, match="in use"):
            await make_attacked().serve("127.0.0.1", attack.server.port)
        with pytest.raises(ValueError, match="serve on what"):
            await make_attacked().serve()
