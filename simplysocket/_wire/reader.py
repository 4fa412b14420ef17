"""The reader: where a message enters. It reads the transport and hands on whole messages.

A plain frame is one whole message. Every other frame is odd (_protocol/frames.py).

Laws:
- The read pump never waits for the peer to read, nor for user code.
- Plain frames are handed on by the task that reads the sockets; only an odd frame wakes the read pump.
- Nothing is handled after a Close, the peer's or our own, nor after a refused frame.
"""

from collections.abc import Callable, Iterator
from typing import Protocol

import trio

from .._protocol.frames import Kind, Odd, Splitter
from .._token_bucket import TokenBucket
from ..errors import CloseCode
from ..limits import Limits
from .heartbeat import Heartbeat
from .library_stream import LibraryStream
from .transport import Transport

Receive = Callable[[bytes, float], None]
"""Takes each message: its payload and when it was read. It never waits and never raises.

In a server: `Inbound.receive` (_dispatch/inbound.py), bound to the session by `Admission`.
"""


class Owner(Protocol):
    """The connection, as the reader sees it. Its methods never wait."""

    is_open: bool
    is_closed_by_peer: bool  # set by the reader

    def close(self, code: int, reason: str) -> None:
        """Send a Close, unless one was sent before."""

    def end_if_both_closed(self) -> None:
        """End the connection if both sides have sent a Close and nothing waits to be sent."""


class Reader:
    """Reads one connection, for as long as `pump` runs."""

    __slots__ = ("_controls", "_heartbeat", "_items", "_library", "_odd", "_owner", "_receive", "_splitter")

    def __init__(
        self, owner: Owner, library: LibraryStream, heartbeat: Heartbeat, limits: Limits, receive: Receive
    ) -> None:
        self._owner = owner
        self._library = library
        self._heartbeat = heartbeat
        self._receive = receive
        self._controls = TokenBucket(limits.controls_per_second, limits.controls_burst, trio.current_time())
        self._splitter = Splitter(limits.message_bytes, limits.fragments)
        self._items: Iterator[bytes | Odd] = iter(())  # of the last read, not handed on yet
        self._odd: Odd | None = None  # for the read pump to handle

    async def pump(self, transport: Transport) -> None:
        """Read until the stream ends. Sleep while plain frames come, and wake for every odd one."""
        while True:
            await transport.receive_into(self._take)
            if self._odd is None:
                return
            while (odd := self._odd) is not None:
                self._odd = None
                await self._handle_odd(odd)
                self._hand_on(trio.current_time())

    def _take(self, data: bytes, now: float) -> bool:
        """Split what was read (b"" is the end) and hand it on; return False to wake the read pump."""
        self._heartbeat.heard = True
        if not data:
            return False
        # After a Close or a refused frame the splitter drops all that comes.
        self._items = iter(self._splitter.feed(data))
        return self._hand_on(now)

    def _hand_on(self, now: float) -> bool:
        """Hand on plain frames up to the next odd one, which is left to the read pump; True if there is none."""
        owner, receive = self._owner, self._receive
        for item in self._items:
            if item.__class__ is bytes:
                if owner.is_open:
                    receive(item, now)
            else:
                self._odd = item  # type: ignore[assignment]  # the class is checked above
                return False
        return True

    async def _handle_odd(self, odd: Odd) -> None:
        """Give an odd frame to the library, or close the connection because of it."""
        owner, kind = self._owner, odd.kind
        if kind is Kind.CLOSE:
            owner.is_closed_by_peer = True  # before the library answers: its answer can end the connection
            await self._library.put(odd.data)
            owner.end_if_both_closed()
        elif not owner.is_open:
            return
        elif kind is Kind.TOO_BIG:
            owner.close(CloseCode.TOO_BIG, odd.data.decode())
        elif kind is Kind.BAD_TEXT:
            owner.close(CloseCode.INVALID_DATA, "a text that is not UTF-8")
        elif kind is Kind.BROKEN:
            owner.close(CloseCode.PROTOCOL_ERROR, "a frame against RFC 6455")
        elif kind is Kind.CONTROL and not self._controls.take(1, trio.current_time()):
            owner.close(CloseCode.OVER_RATE, "too many pings")
        else:
            await self._library.put(odd.data)
            if kind is Kind.LAST_FRAGMENT:
                message = await self._library.take_message()
                if message is not None and owner.is_open:
                    self._receive(message, trio.current_time())
