"""Reasons: why a client has left a room, or has disconnected.

Law: words only. A reason is a text, so that code that wants no more than the text goes on to work.
"""

import enum
from typing import Final

from .errors import CloseCode


class ReasonKind(enum.StrEnum):
    """What happened, of which `Reason` is the text. An application's own words do not change it."""

    LEFT = "left"  # it asked to leave, or gave up its join, or your code called `Client.leave`
    KICKED = "kicked"  # your code called `Room.kick`, or closed it with 3503
    LOST = "lost"  # the connection broke, without a Close
    CLOSED = "closed"  # the client closed it, or your code did by `Client.close`: see `Reason.code`
    SILENT = "silent"  # nothing was heard from the client for `Limits.silence_seconds`
    SLOW = "slow"  # the client read too slowly
    EXPIRED = "expired"  # its credentials have expired
    SHUTDOWN = "shutdown"  # the server stops
    TAKEN_OVER = "taken-over"  # another connection of the same client, or of the same user, has taken its place
    TOO_MANY = "too-many"  # there were too many connections
    OVER_RATE = "over-rate"  # it went on far beyond a rate
    BAD_REQUESTS = "bad-requests"  # too many of its messages were not valid
    BAD_TOKEN = "bad-token"
    INVALID = "invalid"  # it sent what WebSocket or a limit does not allow: 1002, 1003, 1007 or 1009
    REFUSED = "refused"  # `on_connect` refused it, or your code closed it with 1008
    INTERNAL = "internal"  # a fault of the server


# What the server's own close codes mean; every other code is one of the application's.
_KINDS: Final = {
    CloseCode.PROTOCOL_ERROR: ReasonKind.INVALID,
    CloseCode.UNSUPPORTED_DATA: ReasonKind.INVALID,
    CloseCode.INVALID_DATA: ReasonKind.INVALID,
    CloseCode.TOO_BIG: ReasonKind.INVALID,
    CloseCode.POLICY: ReasonKind.REFUSED,
    CloseCode.SHUTDOWN: ReasonKind.SHUTDOWN,
    CloseCode.INTERNAL: ReasonKind.INTERNAL,
    CloseCode.EXPIRED: ReasonKind.EXPIRED,
    CloseCode.SLOW: ReasonKind.SLOW,
    CloseCode.SILENT: ReasonKind.SILENT,
    CloseCode.OVER_RATE: ReasonKind.OVER_RATE,
    CloseCode.BAD_TOKEN: ReasonKind.BAD_TOKEN,
    CloseCode.BAD_REQUESTS: ReasonKind.BAD_REQUESTS,
    CloseCode.TAKEN_OVER: ReasonKind.TAKEN_OVER,
    CloseCode.KICKED: ReasonKind.KICKED,
    CloseCode.TOO_MANY: ReasonKind.TOO_MANY,
}


class Reason(str):
    """Why a client has left a room or has disconnected: a text, with a `kind` to decide by and a close `code`.

    The text is the one given to `Room.kick`, `Client.leave` or `Client.close`, "left" if the client
    asked to leave, "disconnected" if it closed its connection or lost it, and otherwise a word
    for why the server closed it, such as "slow". It is a `str`, equal to one, and written as one in JSON.

    >>> reason = Reason("disconnected", ReasonKind.CLOSED, 1001)
    >>> reason == "disconnected", reason.kind is ReasonKind.CLOSED, reason.code
    (True, True, 1001)
    """

    __slots__ = ("_code", "_kind")

    _kind: ReasonKind
    _code: int | None

    def __new__(cls, text: str, kind: ReasonKind, code: int | None = None) -> "Reason":
        """The server makes them; your tests of a hook may, too."""
        if not isinstance(text, str):
            raise TypeError(f"the reason {text!r:.200} is no text: give a string")
        reason = super().__new__(cls, text)
        reason._kind, reason._code = ReasonKind(kind), code
        return reason

    def __getnewargs__(self) -> tuple[str, ReasonKind, int | None]:  # type: ignore[override]  # one of str has the text
        return str.__str__(self), self._kind, self._code

    @property
    def kind(self) -> ReasonKind:
        """What happened."""
        return self._kind

    @property
    def code(self) -> int | None:
        """The close code of the connection; None if it was lost without a Close, or if it goes on."""
        return self._code

    @classmethod
    def of_close(cls, code: int, text: str = "", *, by_server: bool = True) -> "Reason":
        """Return the reason of a connection that has ended; `code` is 0 or 1006 if that was without a Close.

        `text` is a Close's own, which counts only for a close by the application: a peer may write anything.
        """
        if code in (0, CloseCode.ABNORMAL):
            return cls("disconnected", ReasonKind.LOST)
        if not by_server:
            return cls("disconnected", ReasonKind.CLOSED, code)
        try:
            known = CloseCode(code)
        except ValueError:  # a code of the application's own
            known = CloseCode.APPLICATION
        if known is CloseCode.APPLICATION:
            return cls(text or "closed", ReasonKind.CLOSED, code)
        return cls(known.name.lower().replace("_", "-"), _KINDS.get(known, ReasonKind.CLOSED), code)
