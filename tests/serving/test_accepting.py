"""Accepting connections: the errors of accept, and a server without descriptors."""

import contextlib
import errno
import os
import socket
from collections import deque
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from simplysocket._log_limit import LINES
from simplysocket._pass_budget import PassBudget
from simplysocket._serving.accepting import accept_all
from simplysocket.testing import open_server
from simplysocket.testing.pipes import Pipe, open_pipe

from ..harness.attacker import Peer
from ..harness.command import running, write
from ..harness.servers import make

LACKS = [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM]


class FailingListener(trio.abc.Listener[Pipe]):
    """Raises what it is given, one after the other, and accepts a pipe for each None."""

    def __init__(self, *errors: OSError | None) -> None:
        self.errors = deque(errors)
        self.asked_at: list[float] = []
        self.is_closed = False

    async def accept(self) -> Pipe:
        await trio.lowlevel.checkpoint()
        if not self.errors:
            await trio.sleep_forever()
        self.asked_at.append(trio.current_time())
        error = self.errors.popleft()
        if error is not None:
            raise error
        return open_pipe()[0]

    async def aclose(self) -> None:
        self.is_closed = True
        await trio.lowlevel.checkpoint()


@contextlib.asynccontextmanager
async def accepting(listener: FailingListener) -> AsyncIterator[list[Pipe]]:
    """Accept during the block, and yield the streams that were handed on."""
    served: list[Pipe] = []

    async def handle(stream: Pipe) -> None:
        served.append(stream)

    async with trio.open_nursery() as nursery, trio.open_nursery() as listeners:
        listeners.start_soon(accept_all, listener, nursery, handle, PassBudget())
        yield served
        listeners.cancel_scope.cancel()


def of(number: int) -> OSError:
    return OSError(number, os.strerror(number))


@pytest.mark.parametrize("number", LACKS)
async def test_a_lack_of_descriptors_is_waited_for_and_logged_without_a_traceback(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture, number: int
) -> None:
    listener = FailingListener(*[of(number)] * 3, None)
    async with open_server(make()), accepting(listener) as served:
        await trio.sleep(10)
        assert len(served) == 1
    waits = [later - sooner for sooner, later in zip(listener.asked_at, listener.asked_at[1:], strict=False)]
    assert waits == [pytest.approx(0.1)] * 3
    assert len(caplog.records) == 3
    for record in caplog.records:
        assert record.name == "simplysocket.accepting"
        assert not record.exc_info
        assert errno.errorcode[number] in record.getMessage()


async def test_a_lack_that_lasts_is_a_few_lines(autojump_clock: MockClock, caplog: pytest.LogCaptureFixture) -> None:
    listener = FailingListener(*[of(errno.EMFILE)] * 600)
    async with open_server(make()), accepting(listener):
        await trio.sleep(100)
    assert not listener.errors
    assert len(caplog.records) == LINES + 1
    assert caplog.messages[-1].startswith(f"{600 - LINES} more lines")


@pytest.mark.parametrize("number", [errno.ECONNABORTED, errno.ECONNRESET, errno.EPERM, errno.EPROTO, errno.ETIMEDOUT])
async def test_the_error_of_one_connection_does_not_hold_up_the_next(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture, number: int
) -> None:
    listener = FailingListener(*[of(number), None] * 50, OSError("without a number"), None)
    async with accepting(listener) as served:
        await trio.testing.wait_all_tasks_blocked()
        assert len(served) == 51
    assert listener.asked_at[0] == listener.asked_at[-1]
    assert not caplog.records


async def test_a_listener_that_always_fails_is_asked_ten_times_a_second(autojump_clock: MockClock) -> None:
    listener = FailingListener(*[of(errno.ECONNABORTED)] * 1_000)
    async with open_server(make()), accepting(listener):
        await trio.sleep(10.05)
    assert 100 <= len(listener.asked_at) <= 120


@pytest.mark.parametrize("number", [errno.EBADF, errno.EINVAL, errno.ENOTSOCK])
async def test_what_does_not_listen_ends_the_loop(number: int) -> None:
    listener = FailingListener(of(number))
    with pytest.RaisesGroup(OSError, flatten_subgroups=True):
        async with accepting(listener):
            await trio.sleep_forever()
    assert listener.is_closed


async def test_a_stream_that_its_handler_leaves_open_is_closed(autojump_clock: MockClock) -> None:
    listener = FailingListener(None)
    async with accepting(listener) as served:
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(trio.ClosedResourceError):
            await served[0].send_all(b"x")
        assert not listener.is_closed
    assert listener.is_closed


class PassCounter(trio.abc.Instrument):
    """Counts the passes of the scheduler."""

    passes = 0

    def before_io_wait(self, timeout: float) -> None:
        self.passes += 1


async def test_all_that_wait_in_a_socket_are_accepted_in_one_pass_and_closed_at_the_end() -> None:
    listener = (await trio.open_tcp_listeners(0, host="127.0.0.1"))[0]
    port = listener.socket.getsockname()[1]
    counter = PassCounter()
    trio.lowlevel.add_instrument(counter)
    served: list[tuple[socket.socket, str, int]] = []

    async def handle(accepted: socket.socket, address: str) -> None:
        served.append((accepted, address, counter.passes))

    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(20)]
        async with trio.open_nursery() as nursery, trio.open_nursery() as listeners:
            listeners.start_soon(accept_all, listener, nursery, handle, PassBudget())
            with trio.fail_after(5):
                while len(served) < len(clients):
                    await trio.lowlevel.checkpoint()
            assert {address for _, address, _ in served} == {"127.0.0.1"}
            assert len({number for _, _, number in served}) == 1
            listeners.cancel_scope.cancel()
        assert all(accepted.fileno() < 0 for accepted, _, _ in served)
        assert listener.socket.fileno() < 0
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))


async def test_a_listening_socket_that_somebody_else_closes_ends_the_loop() -> None:
    listener = (await trio.open_tcp_listeners(0, host="127.0.0.1"))[0]

    async def handle(*_: object) -> None: ...

    with pytest.RaisesGroup(trio.ClosedResourceError, flatten_subgroups=True):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(accept_all, listener, nursery, handle, PassBudget())
            await trio.testing.wait_all_tasks_blocked()
            await listener.aclose()


DESCRIPTORS = 40
FULL = f"""
    import resource

    from simplysocket import Limits, Server

    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, ({DESCRIPTORS}, hard))
    server = Server("full", limits=Limits(handshake_seconds=600))

    @server.action("echo")
    async def echo(body: int) -> int:
        return body
"""


def test_without_descriptors_the_server_serves_those_who_are_connected_and_later_the_others(tmp_path: Path) -> None:
    write(tmp_path / "full.py", FULL)

    async def fill(port: int) -> None:
        async def connect() -> Peer:
            return Peer(await trio.open_tcp_stream("127.0.0.1", port))

        inside = await connect()
        await inside.shake_hands()
        crowd = [await connect() for _ in range(DESCRIPTORS)]  # that say nothing, and fill the table
        await trio.to_thread.run_sync(command.wait_for, "no connection can be accepted: 'EMFILE'")
        for number in range(20):
            answer = await inside.request("echo", number, id=number)
            assert answer["message_body"] == number
        waiting = await connect()  # the kernel takes it: the server accepts it when there is a descriptor
        for peer in crowd:
            await peer.close()
        await waiting.shake_hands()
        assert (await waiting.request("echo", 7))["message_body"] == 7
        for peer in (inside, waiting):
            await peer.close()

    with running(tmp_path, "run", "full:server", "--host", "127.0.0.1", "--port", "0") as command:
        port = int(command.wait_for(r"http://127\.0\.0\.1:(\d+)")[1])
        trio.run(fill, port)
        command.process.terminate()
        code, rest = command.wait_ended()
    assert code == 0
    assert "Traceback" not in rest
    assert rest.count("EMFILE") <= LINES
