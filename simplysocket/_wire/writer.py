"""The writer: where a frame leaves. What the transport does not take at once waits in the outbox.

Laws:
- Only the writer sends on the transport of a running connection, and only whole frames, each in one step.
- `deliver` never waits. Only the write pump does, and it gives up when nothing was taken for `write_seconds`.
- Nothing is sent after the Close frame.
"""

import math
from collections.abc import Sequence
from typing import Protocol

import trio

from .._wakeup import Wakeup
from ..limits import Limits
from ..metrics import Metrics
from .outbox import Outbox
from .transport import Transport


class Owner(Protocol):
    """What the writer reports to its connection; none of it waits."""

    def overflowed(self) -> None:
        """Note that the outbox is full: the peer reads too slowly."""

    def stalled(self) -> None:
        """Note that the transport took nothing for `write_seconds`; the write pump has ended."""

    def broken(self) -> None:
        """Note that the transport failed: the peer is gone."""

    def end_if_both_closed(self) -> None:
        """End the connection if both sides have said Close; nothing waits to be sent any more."""


class Writer:
    """Sends the frames of one connection, in order; `pump` must run for what has to wait."""

    __slots__ = (
        "_is_sealed",
        "_metrics",
        "_most_begun",
        "_outbox",
        "_owner",
        "_send",
        "_transport",
        "_wakeup",
        "_write_seconds",
        "is_blocked",
    )

    def __init__(self, owner: Owner, transport: Transport, limits: Limits, metrics: Metrics) -> None:
        self._owner = owner
        self._transport = transport
        self._metrics = metrics
        self._send = transport.send_now
        self._outbox = Outbox(limits.outbox_frames, limits.outbox_bytes)
        self._most_begun = math.inf if limits.outbox_bytes is None else limits.outbox_bytes
        self._write_seconds = limits.write_seconds
        self._wakeup = Wakeup()  # of the write pump
        self._is_sealed = False  # the Close frame was the last
        self.is_blocked = False  # nothing is sent past the outbox: frames wait in it, or it is sealed

    def deliver(self, data: bytes, frames: Sequence[bytes], start: int = 0) -> None:
        """Send frames[start:], which `data` holds joined; what the transport does not take at once waits.

        The hot path of every fan-out: one call and one system call per member and flush.
        """
        if self.is_blocked:
            self._queue(frames, start)
            return
        try:
            sent = self._send(data)
        except BlockingIOError:
            if not self._transport.sends_now:
                self._begin(data, frames, start)
                return
            sent = 0
        except OSError:
            self._owner.broken()
            return
        if sent != len(data):
            self._keep_rest(frames, start, sent)

    @property
    def is_drained(self) -> bool:
        """Whether nothing waits to be sent."""
        return not self._outbox.size

    def seal(self, close_frame: bytes) -> None:
        """Send the Close frame after all that waits; no frame is taken any more."""
        if self._outbox.size:
            self._outbox.append(close_frame)
        else:
            self.deliver(close_frame, (close_frame,))
        self._is_sealed = self.is_blocked = True

    def stop(self) -> None:
        """Drop all that waits; no frame is taken any more."""
        self._is_sealed = self.is_blocked = True
        self._outbox.clear()

    def last_bytes(self, close_frame: bytes) -> bytes:
        """Return all that waits with a Close frame after it, for one last write; b"" when that cannot be whole."""
        outbox = self._outbox
        if outbox.size and not self._transport.sends_now:
            return b""  # a write was cut short, somewhere inside a frame
        rest = outbox.next_bytes(2**63)  # of a frame that was begun, or all that waits
        outbox.sent(len(rest))
        outbox.append(close_frame)
        return rest + outbox.next_bytes(2**63)

    async def pump(self) -> None:
        """Send what waits in the outbox as soon as the transport takes it, until cancelled or stalled."""
        outbox, transport = self._outbox, self._transport
        while True:
            while outbox.size:
                with trio.move_on_after(self._write_seconds) as deadline:
                    sent = await transport.send_some(outbox.next_bytes(transport.chunk))
                if deadline.cancelled_caught:
                    self._owner.stalled()
                    return
                outbox.sent(sent)
            self.is_blocked = self._is_sealed
            self._owner.end_if_both_closed()
            await self._wakeup.wait()

    def _begin(self, data: bytes, frames: Sequence[bytes], start: int) -> None:
        """Give frames[start:] to the write pump, of a transport that never takes anything at once.

        With nothing before them they count as begun, so that a volatile frame is not
        dropped; if they are larger together than the outbox, only the first does.
        """
        fits = len(data) <= self._most_begun
        self._outbox.begin(data if fits else frames[start])
        self.is_blocked = True
        self._wakeup.wake()
        if not fits:
            self._queue(frames, start + 1)

    def _keep_rest(self, frames: Sequence[bytes], start: int, sent: int) -> None:
        """Keep what the transport did not take: a begun frame must be finished, the others may still be dropped."""
        for at in range(start, len(frames)):
            size = len(frames[at])
            if sent < size:
                if sent:
                    self._outbox.begin(frames[at][sent:])
                    at += 1
                break
            sent -= size
        self._queue(frames, at)
        self.is_blocked = self._outbox.size > 0 or self._is_sealed
        self._wakeup.wake()

    def _queue(self, frames: Sequence[bytes], start: int) -> None:
        """Put frames[start:] into the outbox; count those that are dropped."""
        if self._is_sealed:
            self._metrics.frames_dropped += len(frames) - start
            return
        dropped = self._outbox.dropped
        fits = self._outbox.put(frames, start)
        self._metrics.frames_dropped += self._outbox.dropped - dropped
        if not fits:
            self._metrics.frames_dropped += self._outbox.refused
            self._owner.overflowed()
