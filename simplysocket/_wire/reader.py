"""The reader: where a message enters. It takes what the transport reads, and hands on whole messages.

A plain frame is one whole message, and fragments are joined to one. The frames that are left are
control frames and Closes (_protocol/frames.py).

Laws:
- It never waits for the peer to read, nor for user code.
- Messages are handed on by the task that reads the sockets; only a control frame, a Close or a refusal wakes the read
  pump.
- One turn hands on at most the frames of one call of the splitter, and ends when its time or the pass's is over.
- What is sent to the client while several messages are handed on leaves with one system call.
- Nothing is handled after a Close, the peer's or our own, nor after a refused frame.
"""

from collections.abc import Callable, Iterator
from typing import Final, Protocol

import trio

from .._pass_budget import Line, PassBudget
from .._protocol.frames import Kind, Odd, Splitter
from .._token_bucket import TokenBucket
from ..errors import CloseCode
from ..limits import Limits
from .consumer import OWNER, READ, RESUME, TURN, Next
from .heartbeat import Heartbeat
from .library_stream import LibraryStream
from .transport import Transport

_TURN_SECONDS: Final = 0.001  # of one client, so that a hundred that are greedy hold up another for 0.1 s, not 2 s
_SMALL: Final = 2_048  # bytes of a read: what they hold takes less than a turn, so that no clock is needed

_REFUSED: Final = {  # {kind: (code, reason; "": as the splitter says)}
    Kind.TOO_BIG: (CloseCode.TOO_BIG, ""),
    Kind.BAD_TEXT: (CloseCode.INVALID_DATA, "a text that is not UTF-8"),
    Kind.BROKEN: (CloseCode.PROTOCOL_ERROR, "a frame against RFC 6455"),
}

Receive = Callable[[bytes, float], None]
"""Takes each message: its payload and when it is handed on. It never waits and never raises.

In a server: `Inbound.receive` (_dispatch/inbound.py), bound to the session by `Admission`.
"""


class Owner(Protocol):
    """The connection, as the reader sees it. Its methods never wait."""

    is_open: bool
    is_paused: bool
    is_closed_by_peer: bool  # set by the reader

    def close(self, code: int, reason: str) -> None:
        """Send a Close, unless one was sent before."""

    def drop_input(self) -> None:
        """Note that nothing the peer sends is looked at any more, not even its Close."""

    def end_if_both_closed(self) -> None:
        """End the connection if both sides have sent a Close and nothing waits to be sent."""


class Output(Protocol):
    """The writer, as the reader sees it."""

    def cork(self) -> None:
        """Collect what is sent from now on."""

    def uncork(self) -> None:
        """Send what was collected."""


class Reader:
    """Reads one connection, for as long as `pump` runs. It is the consumer of its transport (consumer.py)."""

    __slots__ = (
        "_clock",
        "_controls",
        "_fragments",
        "_heartbeat",
        "_items",
        "_library",
        "_limits",
        "_odd",
        "_output",
        "_owner",
        "_receive",
        "_splitter",
        "budget",
        "has_rest",
    )

    def __init__(
        self,
        owner: Owner,
        output: Output,
        library: LibraryStream,
        heartbeat: Heartbeat,
        limits: Limits,
        budget: PassBudget,
        receive: Receive,
    ) -> None:
        self._clock = trio.lowlevel.current_clock().current_time  # half the time of `trio.current_time`
        self._owner = owner
        self._output = output
        self._library = library
        self._heartbeat = heartbeat
        self.budget = budget
        self._receive = receive
        self._limits = limits
        # Of most clients neither is ever used; a bucket begins full.
        self._controls: TokenBucket | None = None
        self._fragments: TokenBucket | None = None
        self._splitter = Splitter(limits.message_bytes, limits.fragments)
        self._items: Iterator[bytes | Odd] | None = None  # split and not handed on yet
        self._odd: Odd | None = None  # for the read pump to handle
        self.has_rest = False  # items, or bytes in the splitter

    @property
    def is_paused(self) -> bool:
        """Whether nothing is handed on until the connection is resumed."""
        return self._owner.is_paused

    async def pump(self, transport: Transport) -> None:
        """Read until the stream ends. Sleep while messages come, and wake for every other frame."""
        while True:
            await transport.receive_into(self)
            if self._odd is None:
                return
            while (odd := self._odd) is not None:
                self._odd = None
                if self.budget.is_spent():
                    await self.budget.turn(Line.READING)
                await self._handle_odd(odd)
                if not self._owner.is_paused:
                    self._hand_on(trio.current_time())

    def take(self, data: bytes, now: float) -> Next:
        """Split what was read (b"" is the end) and hand it on. The hot path: one message in one read comes first."""
        self._heartbeat.heard = True
        if not data:
            return OWNER
        # After a Close or a refused frame the splitter drops all that comes.
        items = self._splitter.feed(data)
        if len(items) == 1:
            item = items[0]
            if item.__class__ is bytes:
                if self._owner.is_open:
                    self._receive(item, now)
                return READ
        elif not items:
            return READ
        self._items = iter(items)
        return self._hand_on(now, is_small=len(data) <= _SMALL)

    def go_on(self, now: float) -> Next:
        """Hand on more of what was read before."""
        if self._items is None:
            self._items = iter(self._splitter.feed(b""))
        return self._hand_on(now)

    def _hand_on(self, now: float, *, is_small: bool = False) -> Next:
        """Hand on messages up to the next control frame or Close, which is left to the read pump."""
        owner, receive, clock = self._owner, self._receive, self._clock
        ends = min(self.budget.ends, now + _TURN_SECONDS)
        self.has_rest = True
        self._output.cork()
        try:
            for item in self._items or ():
                if item.__class__ is bytes:
                    if owner.is_open:
                        receive(item, now)
                elif item.kind is Kind.FRAGMENT:  # type: ignore[union-attr]  # it is an Odd, as below
                    if not self._take_fragment(now):
                        owner.close(CloseCode.OVER_RATE, "too many fragments")
                elif owner.is_open or item.kind is Kind.CLOSE:  # type: ignore[union-attr]
                    self._odd = item  # type: ignore[assignment]
                    return OWNER
                if owner.is_paused:
                    return RESUME
                if not is_small and clock() > ends:
                    return TURN
        finally:
            self._output.uncork()
        self._items = None
        if self._splitter.has_rest:
            if owner.is_open:
                return TURN
            self._splitter.drop()  # the peer goes on after our Close: look for its own no longer
            owner.drop_input()
        self.has_rest = False
        return READ

    def _take_fragment(self, now: float) -> bool:
        if self._fragments is None:
            self._fragments = TokenBucket(self._limits.fragments_per_second, self._limits.fragments_burst, now)
        return self._fragments.take(1, now)

    def _take_control(self, now: float) -> bool:
        if self._controls is None:
            self._controls = TokenBucket(self._limits.controls_per_second, self._limits.controls_burst, now)
        return self._controls.take(1, now)

    async def _handle_odd(self, odd: Odd) -> None:
        """Give a control frame or a Close to the library, or close the connection because of a refused frame."""
        owner, kind = self._owner, odd.kind
        if kind is Kind.CLOSE:
            owner.is_closed_by_peer = True  # before the library answers: its answer can end the connection
            await self._library.put(odd.data)
            owner.end_if_both_closed()
        elif not owner.is_open:
            return
        elif kind in _REFUSED:
            code, reason = _REFUSED[kind]
            owner.close(code, reason or odd.data.decode())
            owner.drop_input()  # nothing comes out of the splitter any more
        elif not self._take_control(trio.current_time()):
            owner.close(CloseCode.OVER_RATE, "too many pings")
        else:
            await self._library.put(odd.data)
