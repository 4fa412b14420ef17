"""A siege: an attack on a live server, and how much work lies between a bystander's question and its answer.

Laws:
- Work is counted in passes of the scheduler, steps of tasks, calls of functions and messages, never in time.
- The budget of a pass is a number of looks at it, and a turn of a client ends after its frames, so that a machine's
  speed decides nothing.
- The attackers' own work is not counted.
"""

import contextlib
import math
import os
import sys
from collections.abc import AsyncIterator, Iterable, Iterator
from contextvars import ContextVar
from types import FrameType
from typing import Any

import attrs
import pytest
import trio

from simplysocket._pass_budget import PassBudget
from simplysocket._wire import reader

from .attack import Attack, under_attack
from .attacked import Attacked, make_besieged
from .attacker import Peer
from .attacks import VICTIM, AttackInput
from .work_of_attacks import bound_of

LOOKS = 20  # at the budget of a pass, until it is spent: ten turns of 32 frames, since a turn takes two looks
ROUNDS = 3  # of what an input says, for each connection that stays
QUESTIONS = 12  # that a bystander asks while the attack goes on

MOST_PASSES = 110  # until an answer, when a hundred connections stand in line and each pass has time for one of them
MOST_STEPS = 240  # in a pass: two for each of a hundred connections that are all woken, and the server's own
MOST_BURNT = 3  # in a pass: the loop of the turns and that of the line may each run one entry that takes long

_IS_ATTACK: ContextVar[bool] = ContextVar("is_attack")  # set in the attackers' tasks


@attrs.define
class Most:
    """The largest numbers that were counted in one pass, and of passes until an answer."""

    passes: int = 0  # between a question and its answer
    all_passes: int = 0  # of all questions together
    steps: int = 0
    calls: int = 0  # of functions, the interpreter's own included
    messages: int = 0  # handed on
    burnt: int = 0  # handlers that each used up a pass

    def check(self, given: AttackInput) -> None:
        """AssertionError if it was notably more than what was measured, so that twice as much work is seen."""
        assert self.passes <= MOST_PASSES, self
        assert self.steps <= MOST_STEPS, self
        assert self.burnt <= MOST_BURNT, self
        bound = bound_of(given)
        assert self.all_passes <= bound.all_passes, (self, bound)
        assert self.calls <= bound.calls, (self, bound)
        assert self.messages <= bound.messages, (self, bound)


class Work(trio.abc.Instrument):
    """Counts the server's work in each pass, and keeps the largest numbers."""

    def __init__(self, server: Attacked) -> None:
        self._server = server
        self.most = Most()
        self.passes = 0
        self._steps = self._calls = self._messages = self._burnt = 0

    def after_io_wait(self, timeout: float) -> None:
        """Begin a pass."""
        most, server = self.most, self._server
        most.steps = max(most.steps, self._steps)
        most.calls = max(most.calls, self._calls)
        most.messages = max(most.messages, server.metrics.messages_received - self._messages)
        most.burnt = max(most.burnt, server.burnt - self._burnt)
        self.passes += 1
        self._steps = self._calls = 0
        self._messages, self._burnt = server.metrics.messages_received, server.burnt

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        """Count a step, and from here on the calls, if the task is none of the attackers'."""
        if _IS_ATTACK not in task.context:
            self._steps += 1
            sys.setprofile(self._count)

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        """Count no calls until the next step."""
        sys.setprofile(None)

    def _count(self, frame: FrameType, event: str, argument: object) -> None:
        if event in ("call", "c_call"):
            self._calls += 1

    @contextlib.contextmanager
    def counted(self) -> Iterator[None]:
        """Count during the block."""
        self._messages, self._burnt = self._server.metrics.messages_received, self._server.burnt
        trio.lowlevel.add_instrument(self)
        try:
            yield
        finally:
            trio.lowlevel.remove_instrument(self)
            sys.setprofile(None)


@contextlib.contextmanager
def counted_budget() -> Iterator[None]:
    """Let the budget of a pass be `LOOKS` looks at it instead of a time."""
    before = PassBudget.after_io_wait
    looks = 0

    def look(_: PassBudget) -> float:
        nonlocal looks
        looks += 1
        return -math.inf if looks > LOOKS else math.inf

    def after_io_wait(self: PassBudget, timeout: float) -> None:
        nonlocal looks
        self._was_spent, self.ask_from, looks = looks > LOOKS, -math.inf, 0  # every loop asks

    turn_seconds = reader._TURN_SECONDS
    PassBudget.after_io_wait = after_io_wait  # type: ignore[method-assign]
    PassBudget.ends = property(look, lambda _, __: None)  # type: ignore[assignment]
    reader._TURN_SECONDS = math.inf  # type: ignore[misc]
    try:
        yield
    finally:
        reader._TURN_SECONDS = turn_seconds  # type: ignore[misc]
        PassBudget.after_io_wait = before  # type: ignore[method-assign]
        del PassBudget.ends  # type: ignore[misc]  # the attribute of each budget is seen again


def each_of(inputs: Iterable[AttackInput]) -> pytest.MarkDecorator:
    """Parametrize a test with these inputs, as `given`."""
    return pytest.mark.parametrize("given", inputs, ids=str)


async def besiege(given: AttackInput, *, rooms: int = 0, has_login: bool = False, **limits: Any) -> Most:
    """Attack a server with this input, ask questions meanwhile, and return the most work that lay before an answer.

    Nobody but the attackers may be closed, the bystander may miss nothing, and nothing may be left behind:
    AssertionError otherwise. `rooms`: how many there are before. `limits` are fields of `Limits`.
    """
    with counted_budget():
        server = make_besieged(has_login=has_login, **limits)
        async with under_attack(server) as attack, honest_member(attack) as victim:
            for number in range(rooms):
                await server.open_room(f"hall-kept-{number}")
            for _ in range(3):  # what the server does only once is done
                await _ask(attack)
            peers = [await prepared(attack, given, number) for number in range(given.connections)]
            work = Work(server)
            async with trio.open_nursery() as nursery:
                with work.counted():
                    nursery.start_soon(press, attack, given, peers, victim)
                    for _ in range(QUESTIONS):
                        before = work.passes
                        await _ask(attack)
                        passes = work.passes - before
                        work.most.passes = max(work.most.passes, passes)
                        work.most.all_passes += passes
                nursery.cancel_scope.cancel()
            await attack.leave()
            for runtime in [room for name, room in server.rooms.items() if name.startswith("hall-kept-")]:
                await runtime.close()
        return work.most


async def _ask(attack: Attack) -> None:
    assert attack.bystander is not None
    await attack.bystander.ask()


@contextlib.asynccontextmanager
async def honest_member(attack: Attack) -> AsyncIterator[str]:
    """Keep a member of the attacked room that reads, and is never closed; its id."""
    others = Attack(attack.server, address="127.0.0.3")
    peer = await others.connect()
    answer = await peer.request("join-room", {"roomname": "hall"}, id=0)

    async def read() -> None:
        with contextlib.suppress(trio.ClosedResourceError):
            while (found := await peer.next_frame()) is not None:
                assert found[0] & 0xF != 8, f"an honest member was closed: {found[1]!r}"
            raise AssertionError("an honest member was cut off")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        yield answer["target"]
        nursery.cancel_scope.cancel()
    await others.leave()


async def prepared(attack: Attack, given: AttackInput, number: int) -> Peer:
    """Connect, and send what comes before the attack."""
    peer = await attack.dial(receive_bytes=None if given.reads else 4_096)
    try:
        if given.shakes_hands:
            await peer.shake_hands()
        if first := given.first(number):
            await peer.send(first)
            while (await peer.receive()).get("id") != 0:
                pass
    except AssertionError:  # refused
        await peer.close()
        raise
    return peer


async def press(
    attack: Attack, given: AttackInput, peers: list[Peer], victim: str, *, is_endless: bool = False
) -> None:
    """Send what the input says: all at once as much as the kernel takes, then again, `ROUNDS` times or without end."""
    _IS_ATTACK.set(True)
    said = [given.says(number).replace(VICTIM.encode(), victim.encode()) for number in range(len(peers))]
    taken = [_write(peer, data) for peer, data in zip(peers, said, strict=True)]
    async with trio.open_nursery() as nursery:
        for number, (peer, data, done) in enumerate(zip(peers, said, taken, strict=True)):
            nursery.start_soon(_go_on, attack, given, number, peer, data, done, is_endless)


def _write(peer: Peer, data: bytes) -> int:
    """Write what the kernel takes, without letting the server run; return how much that was."""
    assert isinstance(peer.stream, trio.SocketStream)
    try:
        return os.write(peer.stream.socket.fileno(), data) if data else 0
    except OSError:
        return 0


async def _go_on(
    attack: Attack, given: AttackInput, number: int, peer: Peer, data: bytes, done: int, is_endless: bool
) -> None:
    """Send the rest, then everything again, until the server closes; connect anew if the input does, or without end."""
    rest = data[done:]
    while True:
        async with trio.open_nursery() as nursery:
            if given.reads:
                nursery.start_soon(_drain, peer, nursery.cancel_scope)
            if data:
                await _send(peer, rest)
            if data and not given.comes_again:
                await _repeat(peer, data, is_endless)
            if given.comes_again:
                nursery.cancel_scope.cancel()
        if not given.comes_again and not is_endless:
            return
        await peer.close()
        while True:
            try:
                peer, rest = await prepared(attack, given, number), data
                break
            except (AssertionError, OSError):  # refused
                if not is_endless:
                    return
                await trio.lowlevel.checkpoint()


async def _repeat(peer: Peer, data: bytes, is_endless: bool) -> None:
    sent = 1
    while (is_endless or sent < ROUNDS) and await _send(peer, data):
        sent += 1


async def _send(peer: Peer, data: bytes) -> bool:
    """Send these bytes; False: the server has closed."""
    is_open = False
    with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
        await peer.stream.send_all(data)
        is_open = True
    await trio.lowlevel.checkpoint()
    return is_open


async def _drain(peer: Peer, scope: trio.CancelScope) -> None:
    """Read and forget until the server closes."""
    with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
        while await peer.stream.receive_some(65_536):
            pass
    scope.cancel()
