"""Listening: ports and Unix sockets, and the errors when they cannot be used."""

import socket
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from simplysocket import Server

from ..harness.attack import under_attack
from ..harness.servers import make_attacked


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
