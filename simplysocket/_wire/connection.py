"""The connection: one client's transport, from the handshake to the end.

Laws:
- The read pump never waits for the peer to read, nor for user code.
- Closing is a state, never an await: the read pump goes on and waits for the peer's Close.
- Nothing is handled after a received Close.

Knows nothing of rooms.
"""

import logging
from collections.abc import Awaitable, Callable

import trio

from .._protocol.frames import PING, close_frame, control_frame
from ..errors import CloseCode
from ..limits import Limits
from ..metrics import Metrics
from .heartbeat import Due, Heartbeat
from .library import LibraryStream
from .reader import Reader, Receive
from .transport import Transport
from .writer import Writer

__all__ = ["Connection", "Receive"]

logger = logging.getLogger("simplysocket.connection")

_PING_FRAME = control_frame(PING)


class Connection:
    """One WebSocket. `run` is its life; `deliver` and `close` may be called from any task and never wait."""

    __slots__ = (
        "_heartbeat",
        "_is_our_close",
        "_limits",
        "_scope",
        "_transport",
        "_writer",
        "close_code",
        "close_reason",
        "deliver",
        "is_closed_by_peer",
        "is_open",
    )

    def __init__(self, transport: Transport, limits: Limits, metrics: Metrics) -> None:
        self._transport = transport
        self._limits = limits
        self._writer = Writer(self, transport, limits, metrics)
        self.deliver = self._writer.deliver  # bound once: the fan-out's hot path
        self._heartbeat = Heartbeat(limits)
        self._scope: trio.CancelScope | None = None
        self.is_open = True  # False: our Close was sent, or the connection is cut; nothing is sent or handled
        self.is_closed_by_peer = False  # its Close was received
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
                reader = Reader(self, library, self._heartbeat, self._limits, await opened())
                await reader.pump(self._transport)
                self.close_code = self.close_code or CloseCode.ABNORMAL  # the stream has ended without a Close
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
        if self.is_closed_by_peer and not self.is_open and self._writer.is_drained and self._scope is not None:
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
