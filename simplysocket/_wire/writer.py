"""The writer: where a frame leaves. What the transport does not take at once waits in the outbox.

Laws:
- Only the writer sends frames, and only whole ones, each in one step.
- `deliver` never waits, and refuses nothing because there is much of it: only time makes a client slow (outboxes.py).
- The write pump waits, and gives up when nothing was taken for `write_seconds`.
- Nothing is sent after the Close.
- While it is corked, frames are collected; they leave together, in order, when it is uncorked, in the same step.
"""

import math
from collections.abc import Sequence

import trio

from .._protocol.delivery_classes import UncountedFrame
from .._wakeup import Wakeup
from ..limits import Limits
from ..metrics import Metrics
from .history import History
from .outbox import Outbox
from .outboxes import Outboxes
from .owner import NOBODY, Owner
from .ring import NO_RING, NoRing, Ring
from .transport import Transport


class Writer:
    """Sends the frames of one connection, in order. Frames that must wait are sent while `pump` runs."""

    __slots__ = (
        "_corked",
        "_counting",
        "_is_sealed",
        "_metrics",
        "_most_begun",
        "_outbox",
        "_outboxes",
        "_owner",
        "_ring",
        "_send",
        "_transport",
        "_wakeup",
        "_write_seconds",
        "has_sent",
        "is_blocked",
        "is_pumping",
    )

    def __init__(
        self, owner: Owner, transport: Transport, limits: Limits, metrics: Metrics, outboxes: Outboxes
    ) -> None:
        self._owner: Owner = owner
        self._transport = transport
        self._metrics = metrics
        self._send = transport.send_now
        self._outboxes = outboxes
        self._outbox = Outbox(limits.outbox_frames, limits.outbox_bytes, outboxes)
        self._most_begun = math.inf if limits.outbox_bytes is None else limits.outbox_bytes
        self._write_seconds = limits.write_seconds
        self._wakeup = Wakeup()  # of the write pump
        self.is_pumping = False  # the write pump was started: most connections never need it
        self._is_sealed = False  # no frame is taken any more
        self.is_blocked = False  # frames wait in the outbox, or it is sealed or corked
        self._corked: list[bytes] | None = None  # the frames since `cork`
        self._ring: Ring | None = None  # of a client that may come back
        self._counting: Ring | NoRing = NO_RING  # the same: is told of the frames that go to the wire
        self.has_sent = False  # since the heartbeat has asked

    def deliver(self, data: bytes, frames: Sequence[bytes], start: int = 0, history: History | None = None) -> None:
        """Send frames[start:], which `data` holds joined. What the transport does not take at once waits.

        `history` is that of a room whose members are all given `frames`: it counts for those that may come back.

        The hot path of every fan-out: one call and one system call per member and flush.
        """
        self.has_sent = True
        if self.is_blocked:
            self._queue(frames, start)
            return
        try:
            sent = self._send(data)
        except OSError as failure:
            self._not_sent(failure, data, frames, start)
            return
        if sent != len(data):
            self._keep_rest(frames, start, sent)

    # --- for a client that may come back

    def count_in(self, ring: Ring) -> None:
        """From now on let a ring keep what goes to the wire, and what does not when the connection ends."""
        self._ring = self._counting = ring
        self._outbox.on_begin = ring.add

    def deliver_counted(
        self, data: bytes, frames: Sequence[bytes], start: int = 0, history: History | None = None
    ) -> None:
        """Send frames[start:] as `deliver` does, for a client that is counted in: the pass of a room costs no more."""
        self.has_sent = True
        ring = self._counting
        if self.is_blocked:
            self._break_off(history)
            self._queue(frames, start)
            return
        try:
            sent = self._send(data)
        except OSError as failure:
            self._not_sent(failure, data, frames, start, history)
            return
        if sent != len(data):
            self._break_off(history)
            self._keep_rest(frames, start, sent)
        elif ring.history is not history:  # else the ring follows it, and this pass is counted there
            ring.add(frames, start, history)

    def _break_off(self, history: History | None) -> None:
        """Let the ring follow no more, before a pass that does not go to the wire as a whole."""
        if history is not None and self._counting.history is history:
            self._counting.break_off(history.last)

    def deliver_replay(self, frames: Sequence[bytes]) -> None:
        """Send what a client has missed. It does not make the client slow: until nothing waits, more may wait."""
        self._outbox.allow(frames)
        self.deliver_counted(b"".join(frames), frames)
        if not self._outbox.size:
            self._outbox.allow(())

    def hand_over(self) -> None:
        """Let the ring, which goes on with another connection, have what has not begun to be sent."""
        ring, self._ring = self._ring, None
        if ring is not None:
            self._counting, self._outbox.on_begin = NO_RING, None
            unsent = self._take_unsent()
            ring.keep_back(unsent)
            for frame in unsent:
                if frame.__class__ is UncountedFrame:  # such as the Close
                    self._outbox.append(frame)

    def _take_unsent(self) -> list[bytes]:
        """Return and forget the frames that have not begun to be sent."""
        unsent = self._outbox.live_frames()
        self._outbox.drop_waiting()
        if self._corked is not None:
            unsent += self._corked
            self._corked = []
        return unsent

    def cork(self) -> None:
        """Collect what is delivered until `uncork`, so that it takes one system call. Nothing may wait in between."""
        if not self.is_blocked:  # otherwise frames wait already, and leave together
            self._corked = []
            self.is_blocked = True

    def uncork(self) -> None:
        """Send what was collected since `cork`."""
        frames = self._corked
        if frames is not None:
            self._corked = None
            self.is_blocked = False
            if frames:
                deliver = self.deliver if self._ring is None else self.deliver_counted
                deliver(b"".join(frames) if len(frames) > 1 else frames[0], frames)

    @property
    def is_drained(self) -> bool:
        """Whether nothing waits to be sent."""
        return not self._outbox.size

    def seal(self, close_frame: bytes) -> None:
        """Send the Close after all that waits; no frame is taken after it."""
        self.uncork()
        close_frame = UncountedFrame(close_frame)
        if self._outbox.size:
            self._outbox.append(close_frame)
        else:
            self.deliver(close_frame, (close_frame,))
        self._is_sealed = self.is_blocked = True

    def stop(self) -> None:
        """Drop all that waits, and take no more frames."""
        if self._ring is not None:
            self._ring.keep_back(self._take_unsent())
        if self._corked is not None:
            self._metrics.frames_dropped += len(self._corked)
            self._corked = None
        self._is_sealed = self.is_blocked = True
        self._outbox.clear()
        self._outboxes.forget(self)

    def let_go(self) -> None:
        """Let go of the connection, which has ended: it refers to its writer, and they need no garbage collection."""
        self._owner = NOBODY

    def last_bytes(self, close_frame: bytes) -> bytes:
        """Return all that waits, then the Close, for one last write; b"" if a write was cut short."""
        outbox = self._outbox
        if outbox.size and not self._transport.sends_now:
            return b""  # it cannot be known how much of the last frame was sent
        rest = bytes(outbox.next_bytes(2**63))  # the rest of a begun frame, or else all that waits
        outbox.sent(len(rest))
        outbox.append(UncountedFrame(close_frame))
        return rest + outbox.next_bytes(2**63)

    # --- for the outboxes of the server

    @property
    def waiting_bytes(self) -> int:
        """How many bytes wait to be sent."""
        return self._outbox.size

    @property
    def is_above(self) -> bool:
        """Whether more waits than a bound of one outbox allows."""
        return self._outbox.is_above

    def too_slow(self) -> None:
        """Drop what waits and close, unless it is closing already.

        The Close goes next: after all that waits for a slow peer it would seldom arrive within `close_seconds`.
        """
        if not self._is_sealed:
            if self._ring is not None:
                self._ring.lose("slow")
            self._metrics.frames_dropped += self._outbox.drop_waiting()
            self._owner.too_slow()

    def give_way(self) -> None:
        """Free the memory: drop what waits and close, or end at once if it is closing already."""
        if self._is_sealed:
            if self._ring is not None:
                self._ring.lose("slow")
            self._owner.stalled()
        else:
            self.too_slow()

    # --- the slow path

    def _not_sent(
        self, failure: OSError, data: bytes, frames: Sequence[bytes], start: int, history: History | None = None
    ) -> None:
        """Leave frames[start:], of which the transport took nothing, to the write pump, or end if it is broken."""
        if isinstance(failure, BlockingIOError) and not self._transport.sends_now:
            self._begin(data, frames, start, history)
            return
        self._break_off(history)
        if not isinstance(failure, BlockingIOError):
            if self._ring is not None:
                self._ring.keep_back(frames[start:])
            self._owner.broken()
        else:
            self._keep_rest(frames, start, 0)

    async def pump(self) -> None:
        """Send what waits in the outbox as fast as the transport takes it; ends when it stalls or is cancelled."""
        outbox, transport = self._outbox, self._transport
        while True:
            while outbox.size:
                with trio.move_on_after(self._write_seconds) as deadline:
                    sent = await transport.send_some(outbox.next_bytes(transport.chunk))
                if deadline.cancelled_caught:
                    self._owner.stalled()
                    return
                outbox.sent(sent)
                self._outboxes.progressed(self, trio.current_time())
            self.is_blocked = self._is_sealed
            self._owner.end_if_both_closed()
            await self._wakeup.wait()

    def _begin(self, data: bytes, frames: Sequence[bytes], start: int, history: History | None) -> None:
        """Leave frames[start:] to the write pump, for a transport that never takes bytes at once.

        Nothing waits before them, so they count as begun and no volatile frame is dropped;
        if together they are larger than `outbox_bytes`, only the first counts as begun.
        """
        fits = len(data) <= self._most_begun
        self._outbox.begin(data if fits else frames[start])
        if not fits:
            self._break_off(history)
            self._counting.add(frames[start : start + 1])
        elif history is None or self._counting.history is not history:
            self._counting.add(frames, start, history)
        self.is_blocked = True
        self._wake_pump()
        if not fits or len(data) > self._transport.chunk:  # one write, which the pump makes next, need not be judged
            self._queue(frames, len(frames) if fits else start + 1)

    def _keep_rest(self, frames: Sequence[bytes], start: int, sent: int) -> None:
        """Keep what was not sent: a begun frame must be finished, the others may still be dropped."""
        for at in range(start, len(frames)):
            size = len(frames[at])
            if sent < size:
                if sent:
                    self._outbox.begin(frames[at], sent)
                    at += 1
                break
            sent -= size
        if at > start:
            self._counting.add(frames[start:at])
        self._queue(frames, at)
        self.is_blocked = self._outbox.size > 0 or self._is_sealed
        self._wake_pump()

    def _wake_pump(self) -> None:
        if self.is_pumping:
            self._wakeup.wake()
        else:
            self.is_pumping = True
            self._owner.start_pump()

    def _queue(self, frames: Sequence[bytes], start: int) -> None:
        """Put frames[start:] into the outbox; count those that are dropped."""
        if self._corked is not None:
            self._corked += frames[start:]
            return
        if self._is_sealed:
            if self._ring is not None:
                self._ring.wait(b"", frames, start)
            else:
                self._metrics.frames_dropped += len(frames) - start
            return
        dropped = self._outbox.dropped
        self._outbox.put(frames, start)
        self._metrics.frames_dropped += self._outbox.dropped - dropped
        if self._outbox.size:
            self._outboxes.grown(self, trio.current_time())
