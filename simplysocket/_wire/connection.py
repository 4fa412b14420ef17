"""The connection: one WebSocket, from the handshake to the end.

It composes the reader (where a message enters), the writer (where a frame
leaves), the heartbeat and the library, and decides how the connection ends.

Laws:
- Closing is a state, never an await: the reader goes on and waits for the peer's Close.
- Nothing is handled after a Close, the peer's or our own. Nothing is sent after our own.
- A paused connection hands on nothing, and is not taken for silent. It still ends when its peer hangs up.
- Only the connection and its writer use the transport for output, and only the connection closes it.

Knows nothing of rooms and sessions.
"""

import contextlib
import contextvars
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import trio

from .._boundary import PASSING
from .._pass_budget import PassBudget
from .._protocol.delivery_classes import UncountedFrame
from .._protocol.frames import PING, close_frame, control_frame
from ..errors import CloseCode
from ..limits import Limits
from ..metrics import Metrics
from ..reasons import Reason
from .heartbeat import Due, Heartbeat
from .library_stream import LibraryStream
from .outboxes import Outboxes
from .reader import Reader, Receive
from .ring import Ring
from .transport import Transport
from .writer import Writer

__all__ = ["Connection", "Receive"]

logger = logging.getLogger("simplysocket.connection")

_HELD_BY_US: Final = frozenset(
    {CloseCode.ABNORMAL, CloseCode.INTERNAL, CloseCode.EXPIRED, CloseCode.SLOW, CloseCode.SILENT}
)
_HELD_BY_PEER: Final = frozenset({0, CloseCode.ABNORMAL, CloseCode.GOING_AWAY})  # 0: it is open

_PING_FRAME = UncountedFrame(control_frame(PING))


class Connection:
    """One WebSocket: `run` lasts as long as it does.

    `deliver`, `close`, `pause`, `resume` and `beat` may be called from any task and never wait. The
    states are open, closing (`is_open` is False: our Close was sent or is queued,
    and the peer's may still come) and ended (`run` has returned). `close_code` and
    `close_reason` say why: the Close that we sent, or else the one that the peer sent.
    """

    __slots__ = (
        "_budget",
        "_drops_input",
        "_heartbeat",
        "_is_our_close",
        "_limits",
        "_linger",
        "_nursery",
        "_scope",
        "_transport",
        "_writer",
        "close_code",
        "close_reason",
        "deliver",
        "is_closed_by_peer",
        "is_open",
        "is_paused",
    )

    def __init__(
        self, transport: Transport, limits: Limits, metrics: Metrics, outboxes: Outboxes, budget: PassBudget
    ) -> None:
        self._transport = transport
        self._budget = budget
        self._limits = limits
        self._heartbeat = Heartbeat(limits)
        self._writer = Writer(self, transport, limits, metrics, outboxes)
        self.deliver = self._writer.deliver  # the same method, without a call of ours: the fan-out's hot path
        self._scope: trio.CancelScope | None = None  # around all that `run` does; None before it
        self._nursery: trio.Nursery | None = None  # while `run` runs
        self.is_open = True
        self.is_paused = False
        self.is_closed_by_peer = False  # its Close was received
        self._drops_input = False  # the peer's Close is not looked for any more
        self._linger: float | None = None  # seconds for the peer to end after us; None if the end is no polite one
        self.close_code = 0  # 0 while it is open
        self.close_reason = ""
        self._is_our_close = False  # we decided to close; the peer did not

    async def run(self, head: bytes, subprotocol: str | None, opened: Callable[[], Awaitable[Receive]]) -> None:
        """Make the handshake, read and write until the end, and close the transport.

        `head` is the request head as the front door has written it anew. `opened` is
        called after the handshake and returns the function that takes the messages:
        none is read before.
        """
        library = LibraryStream(self, head)
        try:
            async with trio.open_nursery() as nursery:
                self._nursery, self._scope = nursery, nursery.cancel_scope
                if self._writer.is_pumping:
                    self.start_pump()  # for frames from before
                await library.shake_hands(subprotocol, self._limits.message_bytes)
                receive = await opened()
                del head, opened  # not to be kept for as long as the client is connected
                reader = Reader(self, self._writer, library, self._heartbeat, self._limits, self._budget, receive)
                await reader.pump(self._transport)
                self.close_code = self.close_code or CloseCode.ABNORMAL  # the stream ended without a Close
                nursery.cancel_scope.cancel()
        except* (OSError, trio.BrokenResourceError, trio.ClosedResourceError):
            self.close_code = self.close_code or CloseCode.ABNORMAL  # the peer is gone without a Close
        except* PASSING:
            raise
        except* BaseException:
            logger.exception("a connection failed and is closed with %d", CloseCode.INTERNAL)
            self.close_code, self._is_our_close = CloseCode.INTERNAL, True
        finally:
            farewell = self._farewell()
            self.is_open = False
            self._writer.stop()
            library.end()
            self._nursery = None
            try:
                await self._transport.aclose(farewell, linger=self._linger)
            finally:
                self._writer.let_go()

    def close(self, code: int, reason: str = "") -> None:
        """Send a Close after all that waits, then end: at the peer's Close, or after `close_seconds`."""
        if self.is_open:
            self._is_our_close = True
            reason = reason.encode(errors="replace").decode()  # no lone surrogates: other clients are told, too
            self._begin_close(code, reason, close_frame(code, reason))

    def pause(self) -> None:
        """Hand on no message and read no more, until `resume` or the end.

        Called while a message is handed on, it takes effect after that message. A peer that hangs up
        meanwhile ends the connection, and what it had sent is not read. (Over TLS, and without epoll,
        this is seen after `resume`.)
        """
        if self.is_open and not self.is_paused:
            self.is_paused = True
            self._transport.pause()

    def resume(self) -> None:
        """Go on after `pause`: first with what was read before, in one of the next passes."""
        if self.is_paused:
            self.is_paused = False
            self._transport.resume()

    def count_in(self, ring: Ring) -> None:
        """Let a ring keep the frames that are delivered from now on, for a client that may come back.

        `deliver` is another method afterwards. What does not reach the wire goes back to the ring.
        """
        self._writer.count_in(ring)
        self.deliver = self._writer.deliver_counted

    def deliver_replay(self, frames: Sequence[bytes]) -> None:
        """Deliver what a client has missed, which does not make it slow."""
        self._writer.deliver_replay(frames)

    def take_over(self) -> None:
        """Hand on and send no more, since another connection goes on with the ring; close with 3502."""
        self._writer.hand_over()
        self.close(CloseCode.TAKEN_OVER, "taken over by another connection")

    @property
    def is_held(self) -> bool:
        """Whether it ends in a way that lets its client come back (docs/protocol.md, "When a session is held")."""
        return self.close_code in (_HELD_BY_US if self._is_our_close else _HELD_BY_PEER)

    def beat(self, seconds: float) -> None:
        """Count a round of the heartbeat, `seconds` long: send a Ping to a silent peer, or close."""
        if self.is_paused:
            self._heartbeat.heard = True  # it may have sent much that was not read
        writer = self._writer
        due = self._heartbeat.beat(seconds, said=writer.has_sent, output_waits=writer.is_blocked)
        writer.has_sent = False
        if due is Due.PING:
            self.deliver(_PING_FRAME, (_PING_FRAME,))
        elif due is Due.CLOSE:
            self.close(CloseCode.SILENT, "nothing was heard")

    @property
    def is_behind(self) -> bool:
        """Whether more waits for the peer than a bound of its outbox allows."""
        return self._writer.is_above

    @property
    def is_closed_by_us(self) -> bool:
        """Whether we decided to close it. Else `close_code` and `close_reason` may be the peer's words."""
        return self._is_our_close

    @property
    def why_it_ended(self) -> Reason:
        """The reason, for `on_leave`: why we closed it, else "disconnected", whatever the peer said."""
        return Reason.of_close(self.close_code, self.close_reason, by_server=self._is_our_close)

    # --- for the library, the reader and the writer

    def answer_close(self, code: int, reason: str, frame: bytes) -> None:
        """Send the library's answer to the peer's Close, unless our own Close was sent before."""
        if self.is_open:
            self._begin_close(code, reason, frame)

    def drop_input(self) -> None:
        """Note that the peer's Close will not be seen: end after ours is sent, and let the peer end, too."""
        self._drops_input = True
        self.end_if_both_closed()

    def end_if_both_closed(self) -> None:
        """End as soon as both have said Close and ours is sent; the server closes first (RFC 6455, 7.1.1)."""
        if self.is_open or not self._writer.is_drained or self._scope is None:
            return
        if self.is_closed_by_peer or self._drops_input:
            self._linger = 0 if self.is_closed_by_peer else self._limits.close_seconds
            self._scope.cancel()

    def start_pump(self) -> None:
        """Start the write pump: an idle client needs no task for it."""
        if self._nursery is not None:
            # A context of its own: the task must not take that of the handler whose frame did not go out.
            with contextlib.suppress(RuntimeError):  # the nursery has just ended, and the connection with it
                contextvars.Context().run(self._nursery.start_soon, self._writer.pump)

    def too_slow(self) -> None:
        """Close: the peer reads too slowly, and too much waits for it."""
        self.close(CloseCode.SLOW, "too slow: the outbox is full")

    def stalled(self) -> None:
        """End at once: the peer reads too slowly, and a Close would not go out either."""
        self._is_our_close = self._is_our_close or not self.close_code
        self._cut(CloseCode.SLOW)

    def broken(self) -> None:
        """End at once: the transport failed, so the peer is gone."""
        self._cut(CloseCode.ABNORMAL)

    # --- the end

    def _begin_close(self, code: int, reason: str, frame: bytes) -> None:
        """Send `frame`, the Close, after all that waits; it is the last frame, and the end gets a deadline."""
        self.close_code = code
        self.close_reason = reason
        self._writer.seal(frame)
        self.is_open = False
        self.resume()  # nothing more is handled, and the peer's Close is read
        if self._scope is not None:
            self._scope.deadline = min(self._scope.deadline, trio.current_time() + self._limits.close_seconds)
        self.end_if_both_closed()

    def _cut(self, code: int) -> None:
        """End without a Close; `code` says why, unless the end had begun before."""
        self.close_code = self.close_code or code
        self.is_open = False
        self._writer.stop()
        if self._scope is not None:
            self._scope.cancel()

    def _farewell(self) -> bytes:
        """Return what to send before the transport closes: b"", or all that waits and a Close.

        A connection that is cancelled from outside, or fails, is still open here. There
        is no time for more than one write.
        """
        if not self.is_open or self.close_code == CloseCode.ABNORMAL:
            return b""  # a Close was sent, or the peer is gone
        self._is_our_close = self._is_our_close or not self.close_code
        self.close_code = self.close_code or CloseCode.SHUTDOWN
        return self._writer.last_bytes(close_frame(self.close_code))
