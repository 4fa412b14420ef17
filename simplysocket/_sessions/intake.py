"""The intake: how much the server holds of one client's messages that found no place in the inboxes of their rooms.

Laws:
- Beyond its bounds nothing more is read from the client, until half of it is gone.
- While the server waits for an answer of the client it is read: what comes beyond the bounds then is refused.
"""

import math
from typing import Final, Protocol

from ..limits import Limits

MESSAGE_BYTES: Final = 512  # of the objects that a held message consists of, also if it is empty


class Source(Protocol):
    """The session, as its intake sees it."""

    @property
    def is_asked(self) -> bool:
        """Whether the server waits for an answer of the client."""

    def update_reading(self) -> None:
        """Read from the client or not, as `Intake.is_paused` says now."""


class Intake:
    """What is held of one client, over all rooms. It is made with the first message that is held."""

    __slots__ = ("_is_beyond", "_most_bytes", "_most_messages", "_source", "bytes", "is_paused", "messages")

    def __init__(self, source: Source, limits: Limits) -> None:
        self._source = source
        self._most_messages = math.inf if limits.intake_messages is None else limits.intake_messages
        self._most_bytes = math.inf if limits.intake_bytes is None else limits.intake_bytes
        self._is_beyond = False  # from reaching a bound until half of it is gone
        self.messages = 0
        self.bytes = 0
        self.is_paused = False  # whether the client is not read

    @property
    def must_refuse(self) -> bool:
        """Whether a further message has no place: the bounds are reached, and the client must be read all the same."""
        return self._is_beyond and self._source.is_asked

    def add(self, size: int) -> None:
        """Count a message of `size` bytes that is held."""
        self.messages += 1
        self.bytes += size + MESSAGE_BYTES
        if not self._is_beyond and (self.messages >= self._most_messages or self.bytes >= self._most_bytes):
            self._is_beyond = True
            self.update()

    def remove(self, size: int) -> None:
        """Count a message that is not held any more."""
        self.messages -= 1
        self.bytes -= size + MESSAGE_BYTES
        if self._is_beyond and 2 * self.messages <= self._most_messages and 2 * self.bytes <= self._most_bytes:
            self._is_beyond = False
            self.update()

    def update(self) -> None:
        """Stop or go on reading, as the bounds and `is_asked` say."""
        should_pause = self._is_beyond and not self._source.is_asked
        if should_pause != self.is_paused:
            self.is_paused = should_pause
            self._source.update_reading()
