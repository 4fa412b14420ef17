"""The connection: one client's transport, from the handshake to the end.

Laws:
- The read pump never waits for the peer to read, nor for user code.
- Closing is a state, never an await: the read pump goes on and waits for the peer's Close.
- Nothing is handled after a received Close.

Knows nothing of rooms.
"""

import logging
from collections.abc import Awaitable, Callable, Iterator

import trio

from .._protocol.frames import PING, Kind, Odd, Splitter, close_frame, control_frame
from .._token_bucket import TokenBucket
from ..errors import CloseCode
from ..limits import Limits
from ..metrics import Metrics
from .heartbeat import Due, Heartbeat
from .library import LibraryStream
from .transport import Transport
from .writer import Writer

logger = logging.getLogger("simplysocket.connection")

_PING_FRAME = control_frame(PING)


Receive = Callable[[bytes, float], None]
"""What takes each message: its payload and when it was read. It never waits and never raises."""


class Connection:
    """One WebSocket. `run` is its life; `deliver` and `close` may be called from any task and never wait."""

    __slots__ = (
        "_controls",
        "_heartbeat",
        "_is_our_close",
        "_limits",
        "_peer_closed",
        "_scope",
        "_transport",
        "_writer",
        "close_code",
        "close_reason",
        "deliver",
        "is_open",
    )

    def __init__(self, transport: Transport, limits: Limits, metrics: Metrics) -> None:
        self._transport = transport
        self._limits = limits
        self._writer = Writer(self, transport, limits, metrics)
        self.deliver = self._writer.deliver  # bound once: the fan-out's hot path
        self._heartbeat = Heartbeat(limits)
        self._controls = TokenBucket(limits.controls_per_second, limits.controls_burst, trio.current_time())
        self._scope: trio.CancelScope | None = None
        self._peer_closed = False
        self.is_open = True  # False: the outbox is sealed, behind our Close nothing goes out
        self.close_code = 0  # why it ended, once it has; what we sent, or what the peer sent first
        self.close_reason = ""
        self._is_our_close = False

    async def run(self, head: bytes, subprotocol: str | None, opened: Callable[[], Awaitable[Receive]]) -> None:
        """Shake hands, pump until the end, and leave the wire closed.

        `head` is the request as the front door wrote it anew; `opened` is called
        once the handshake is done, and returns what takes the messages: until then none is read.
        """
        library = LibraryStream(self, head)
        try:
            async with trio.open_nursery() as nursery:
                self._scope = nursery.cancel_scope
                await library.shake_hands(nursery, subprotocol, self._limits.message_bytes)
                nursery.start_soon(self._writer.pump)
                await self._read_pump(library, await opened())
                nursery.cancel_scope.cancel()
        except* (OSError, trio.BrokenResourceError, trio.ClosedResourceError):
            self.close_code = self.close_code or CloseCode.ABNORMAL  # the peer is gone without a Close
        except* Exception:
            logger.exception("a connection failed and is closed with %d", CloseCode.INTERNAL)
            self.close_code = CloseCode.INTERNAL
        finally:
            farewell = self._farewell()
            self.is_open = False
            self._writer.stop()
            await self._transport.aclose(farewell)

    # --- sending

    def close(self, code: int, reason: str = "") -> None:
        """Say goodbye behind all that waits, then end: at the peer's Close, or after `close_seconds`."""
        if self.is_open:
            self._is_our_close = True
            reason = reason.encode(errors="replace").decode()  # without lone surrogates: it goes to others, too
            self._seal(code, reason, close_frame(code, reason))

    def beat(self, seconds: float) -> None:
        """Count a round of the heartbeat, of so many seconds: send a Ping to a silent peer, or close."""
        due = self._heartbeat.beat(seconds, output_waits=self._writer.is_blocked)
        if due is Due.PING:
            self.deliver(_PING_FRAME, (_PING_FRAME,))
        elif due is Due.CLOSE:
            self.close(CloseCode.SILENT, "nothing was heard")

    @property
    def why_it_ended(self) -> str:
        """The reason in a word, for `on_leave`: why we closed it, else "disconnected", whatever the peer said."""
        if not self._is_our_close or self.close_code == CloseCode.ABNORMAL:
            return "disconnected"
        try:
            code = CloseCode(self.close_code)
        except ValueError:  # the application's own
            code = CloseCode.APPLICATION
        if code is CloseCode.APPLICATION:
            return self.close_reason or "closed"
        return code.name.lower().replace("_", "-")

    def _seal(self, code: int, reason: str, frame: bytes) -> None:
        """Send the Close behind what waits; from here on nothing else is sent, and the end has a deadline."""
        self.close_code = code
        self.close_reason = reason
        self._writer.seal(frame)
        self.is_open = False
        if self._scope is not None:
            self._scope.deadline = min(self._scope.deadline, trio.current_time() + self._limits.close_seconds)
        self.end_if_both_closed()

    def answer_close(self, code: int, reason: str, frame: bytes) -> None:
        """Send the library's answer to the peer's Close, unless our own Close was sent before."""
        if self.is_open:
            self._seal(code, reason, frame)

    def end_if_both_closed(self) -> None:
        """End as soon as both have said Close and ours is on its way; the server closes first (RFC 6455, 7.1.1)."""
        if self._peer_closed and not self.is_open and self._writer.is_drained and self._scope is not None:
            self._transport.send_eof()
            self._scope.cancel()

    def overflowed(self) -> None:
        """Close: the peer reads too slowly."""
        self.close(CloseCode.SLOW, "too slow: the outbox is full")

    def stalled(self) -> None:
        """End now: the peer takes nothing."""
        self._is_our_close = self._is_our_close or not self.close_code
        self._cut(CloseCode.SLOW)

    def broken(self) -> None:
        """End now: the peer is gone."""
        self._cut(CloseCode.ABNORMAL)

    def _cut(self, code: int) -> None:
        self.close_code = self.close_code or code
        self.is_open = False
        self._writer.stop()
        if self._scope is not None:
            self._scope.cancel()

    def _farewell(self) -> bytes:
        """Return all that waits and a Close, for one write: cancelled from outside, there is no time for more."""
        if not self.is_open or self.close_code == CloseCode.ABNORMAL:
            return b""  # it was said, or the peer is gone
        self._is_our_close = self._is_our_close or not self.close_code
        self.close_code = self.close_code or CloseCode.SHUTDOWN
        return self._writer.last_bytes(close_frame(self.close_code))

    # --- receiving

    async def _read_pump(self, library: LibraryStream, receive: Receive) -> None:
        """Sleep while plain frames come, which `take` hands on in the task of the wire; wake for every odd one."""
        heartbeat = self._heartbeat
        splitter = Splitter(self._limits.message_bytes, self._limits.fragments)
        items: Iterator[bytes | Odd] = iter(())  # of the last read, what was not handed on yet
        odd: Odd | None = None

        def take(data: bytes, now: float) -> bool:
            nonlocal items, odd
            heartbeat.heard = True
            if not data:
                return False
            if splitter.is_done:
                return True  # discarded until the peer closes or the deadline ends it
            items = iter(splitter.feed(data))
            odd = self._take_plain(items, receive, now)
            return odd is None

        while True:
            await self._transport.receive_into(take)
            if odd is None:
                self.close_code = self.close_code or CloseCode.ABNORMAL
                return
            while odd is not None:
                await self._odd(odd, library, receive)
                odd = self._take_plain(items, receive, trio.current_time())

    def _take_plain(self, items: Iterator[bytes | Odd], receive: Receive, now: float) -> Odd | None:
        """Hand on plain frames up to the next odd one, which is returned."""
        for item in items:
            if item.__class__ is bytes:
                if self.is_open:
                    receive(item, now)
            else:
                return item  # type: ignore[return-value]  # the class is checked above
        return None

    async def _odd(self, odd: Odd, library: LibraryStream, receive: Receive) -> None:
        """Hand a frame of the odd lane to the library, or end the connection for it."""
        kind = odd.kind
        if kind is Kind.CLOSE:
            self._peer_closed = True
            await library.put(odd.data)
            self.end_if_both_closed()
        elif not self.is_open:
            return
        elif kind is Kind.TOO_BIG:
            self.close(CloseCode.TOO_BIG, odd.data.decode())
        elif kind is Kind.BAD_TEXT:
            self.close(CloseCode.INVALID_DATA, "a text that is not UTF-8")
        elif kind is Kind.BROKEN:
            self.close(CloseCode.PROTOCOL_ERROR, "a frame against RFC 6455")
        elif kind is Kind.CONTROL and not self._controls.take(1, trio.current_time()):
            self.close(CloseCode.OVER_RATE, "too many pings")
        else:
            await library.put(odd.data)
            if kind is Kind.LAST_FRAGMENT:
                message = await library.take_message()
                if message is not None and self.is_open:
                    receive(message, trio.current_time())
