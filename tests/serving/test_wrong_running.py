"""Wrong ways to run a server: the error says what is wrong, and what to write instead."""

# mypy: ignore-errors
# The uses are wrong on purpose; what mypy says about them is tested in test_types.py.

import asyncio
import ssl
from typing import Any

import pytest
import trio

from simplysocket import Call, Next, Server
from simplysocket.testing import open_server

from ..harness.wrong_use import WrongUse, WrongUses, play

wrong = WrongUses()


class Player:
    """A state that cannot be made without an argument."""

    def __init__(self, name: str) -> None:
        self.name = name


@wrong("give port=, unix= or listeners=", place="serve on what?")
async def serving_on_nothing(server: Any) -> None:
    await server.serve()


@wrong("from 0 to 65535", place="port '8080'")
def a_port_that_is_a_string(server: Any) -> None:
    server.run("127.0.0.1", port="8080")


@wrong("port=8080", place="host 8080")
def a_port_in_the_place_of_the_host(server: Any) -> None:
    server.run(8080, 0)


@wrong("take one of this machine's", place="203.0.113.1")
def a_host_that_is_another_machine(server: Any) -> None:
    server.run("203.0.113.1", 0)


@wrong("await server.serve(", place="run")
async def running_inside_of_trio(server: Any) -> None:
    server.run("127.0.0.1", 0)


@wrong("trio.run", place="serve")
def serving_inside_of_asyncio(server: Any) -> None:
    asyncio.run(server.serve("127.0.0.1", 0))


@wrong("is serving already", place="server 'test'")
async def serving_twice(server: Any) -> None:
    async with open_server(server):
        await server.serve("127.0.0.1", 0)


@wrong("ssl.SSLContext", place="ssl_context='cert.pem'")
async def a_certificate_by_its_file(server: Any) -> None:
    with trio.move_on_after(1):
        await server.serve("127.0.0.1", 0, ssl_context="cert.pem")


@wrong("ssl.Purpose.CLIENT_AUTH", place="ssl_context=")
async def a_certificate_of_a_client(server: Any) -> None:
    with trio.move_on_after(1):
        await server.serve("127.0.0.1", 0, ssl_context=ssl.create_default_context())


@wrong("give port=", place="ssl_context is for the port")
async def a_certificate_without_a_port(server: Any) -> None:
    with trio.move_on_after(1):
        await server.serve(unix="socket", ssl_context=ssl.create_default_context(ssl.Purpose.CLIENT_AUTH))


@wrong("await server.serve(", place="the server is not running")
async def broadcasting_before_the_server_runs(server: Any) -> None:
    await server.broadcast("hello")


@wrong("before the server runs")
async def middleware_that_comes_too_late(server: Any) -> None:
    async with open_server(server):

        @server.middleware
        async def log(call: Call, next: Next) -> object: ...


@wrong("state=Player")
async def a_state_that_needs_arguments(server: Any) -> None:
    server = Server(state=Player)
    await play(server)


@wrong.parametrize
def test_the_error_for_running_a_server_wrongly_says_what_is_wrong_and_what_to_write(
    case: WrongUse, caplog: pytest.LogCaptureFixture
) -> None:
    case.judge(caplog)
