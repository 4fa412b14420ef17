"""The client's side of coming back: what to offer, what to count, and what to send again.

Laws:
- No clock and no I/O: the time is an argument, in seconds of any monotonic clock, and
  frames are sent by whoever drives the machine.
- A message keeps its place until the server has acknowledged it, or the caller was told that it is lost.

It is driven so:

| what happens | call |
| --- | --- |
| a connection is about to be opened | `offer()`: the subprotocols of the request |
| its first message has come, `welcome` | `opened(body, now)`: the frames to send, in this order, before anything else |
| a message is to be sent | `sending(text, ...)`: True if it is to be written now, otherwise `opened` returns it |
| a message has come | `received(message)`, before it is handed on |
| `ping_due` has come | `ping(now)`: the body of a `ping` without an id, to be sent at once |
| the caller of a request waits no longer | `give_up(id)` |
| the connection has ended, or was given up | `closed(code)`: whether to come back |

Whatever comes on a connection after it was given up must not reach the machine.
"""

import math
from collections.abc import Mapping
from typing import Any, Final, Literal

import attrs

from .names import PING, SUBPROTOCOL
from .resume_tokens import GapReason
from .resuming import Offer

_TAKEN: Final = 3502  # another connection has the session
_FINAL: Final = frozenset({1002, 1003, 1007, 1008, 1009})  # the standard codes after which a client stays away
_PING_SECONDS: Final = 1.0  # between two pings at least, while something new came
_NO_SESSION: Final = {"outcome": "new", "token": None}  # of a server that keeps none

Id = str | int


@attrs.frozen
class Opened:
    """What a `welcome` means.

    `frames` are to be sent now; they are counted. `gone` are the ids of the requests that
    end here with the error code `gone`: no answer will come. `outcome` and `reason` are
    those of the server. After `gap`, messages of the server are missing. After `new` the
    client is another one, in no room; if it had a session, what it had not seen
    acknowledged is given up.
    """

    outcome: Literal["resumed", "gap", "new"]
    reason: GapReason | None
    frames: list[bytes]
    gone: list[Id]


@attrs.frozen
class _Message:
    text: bytes
    request: Id | None


class ClientSide:
    """One client over its connections.

    `token` is that of a page that has lost its state: its session goes on with a gap. All
    messages that are not acknowledged are kept, `unacknowledged` in number: who sends more
    than the server takes must wait.
    """

    def __init__(self, token: str | None = None) -> None:
        self.token = token  # the newest; None before the first `welcome`, and if the server keeps no sessions
        self.is_open = False  # a `welcome` was read, and the connection has not ended
        self._received: int | None = None if token else 0  # messages of the server; None: the state is lost
        self._sent = 0
        self._kept: list[_Message] = []  # the last of them has the number `_sent`
        self._waiting: list[_Message] = []  # not sent yet, so without a number
        self._requests: dict[Id, bool] = {}  # {the id of a request that waits for its answer: whether it was sent}
        self._pings: set[Id] = set()  # ids of pings: their answers do not count
        self._was_taken = False  # closed with 3502 since the server was last known to hear this client
        self._interval = math.inf  # seconds between two pings while nothing comes
        self._pinged = math.inf  # when
        self._has_new = False  # something came since then

    @property
    def unacknowledged(self) -> int:
        """How many messages the server has not acknowledged, with those that wait for a connection."""
        return len(self._kept) + len(self._waiting)

    # --- connections

    def offer(self) -> list[str]:
        """Return the subprotocol entries for the next connection. What comes on an older one counts no more."""
        self._lose()
        return [SUBPROTOCOL, Offer(self.token, self._received, self._sent).entry()]

    def opened(self, welcome: Mapping[str, Any], now: float) -> Opened:
        """Read the body of `welcome`; return what to send and what is lost.

        Raises ValueError if the server acknowledges more than was sent, or less than before.
        """
        resume = welcome.get("resume", _NO_SESSION)
        outcome, reason = resume["outcome"], resume.get("reason")
        if outcome == "new":
            self._begin()
        else:
            self._rewind(resume["received"])
        gone = [id for id, was_sent in self._requests.items() if was_sent] if outcome != "resumed" else []
        for id in gone:
            del self._requests[id]
        again = [each for each in self._kept + self._waiting if each.request is None or each.request in self._requests]
        self._requests = dict.fromkeys(self._requests, True)
        self.token = resume["token"]
        self._waiting, self._kept = [], again if self.token else []
        self._sent += len(again)
        self.is_open, self._has_new = True, True  # a ping is due at once: it tells the server that the token was read
        self._interval, self._pinged = float(welcome.get("ping") or math.inf), now - _PING_SECONDS
        return Opened(outcome, reason, [each.text for each in again], gone)

    def closed(self, code: int | None = None) -> bool:
        """Note that the connection has ended; tell whether to come back.

        `code` is that of the server's Close, None or 1006 if the connection was lost. After
        3502 a client comes back once, since a late attempt of its own may have taken its
        session; it stays away after the next one, unless a ping was answered in between.
        """
        self._lose()
        if code == _TAKEN:
            was_taken, self._was_taken = self._was_taken, True
            return not was_taken
        if code is None:
            return True
        return code not in _FINAL and not 3500 <= code < 4000 and not 4500 <= code < 5000

    # --- messages

    def sending(self, text: bytes, action: str, request: Id | None = None) -> bool:
        """Count and keep a message; tell whether to write it now. If not, `opened` returns it later.

        `request` is the id that an answer is expected for; it must not have been used in this
        session before. A `ping` is neither counted nor kept: without a connection it is forgotten.
        """
        if action == PING:
            if self.is_open and request is not None:
                self._pings.add(request)
            return self.is_open
        if request is not None:
            self._requests[request] = self.is_open
        message = _Message(text, request)
        if not self.is_open:
            self._waiting.append(message)
        elif self.token:
            self._kept.append(message)
            self._sent += 1
        return self.is_open

    def give_up(self, id: Id) -> None:
        """Forget a request whose caller waits no longer: it is not sent again."""
        self._requests.pop(id, None)

    def received(self, message: Mapping[str, Any]) -> None:
        """Count a message of the server, and read from an answer to a ping what the server has received."""
        action, id, body = message.get("action"), message.get("id"), message.get("message_body")
        is_pong = action == PING or (action == "error" and isinstance(body, Mapping) and body.get("action") == PING)
        if action in ("reply", "error") and isinstance(id, Id):
            is_pong = is_pong or (action == "reply" and id in self._pings)
            self._pings.discard(id)
            self._requests.pop(id, None)
        if is_pong:
            self._acknowledge(body)
        elif action != "welcome":
            self._received = (self._received or 0) + 1
            self._has_new = True

    # --- pings

    @property
    def ping_due(self) -> float:
        """When the next ping is due; it comes earlier once a message has come. Infinite without a connection."""
        if not self.is_open:
            return math.inf
        return self._pinged + (_PING_SECONDS if self._has_new else self._interval)

    def ping(self, now: float) -> dict[str, int]:
        """Return the body of a `ping`, which acknowledges what has come."""
        self._pinged, self._has_new = now, False
        return {"received": self._received or 0}

    # --- inside

    def _lose(self) -> None:
        self.is_open = False
        self._pings.clear()

    def _begin(self) -> None:
        """Begin a new session; what belonged to the one before is given up, also what waited to be sent."""
        if self.token:
            self._kept, self._waiting = [], []
            self._requests = dict.fromkeys(self._requests, True)
        self._received = self._sent = 0

    def _rewind(self, received: int) -> None:
        """Forget what the server has, and count from there."""
        if self._received is None:
            self._received, self._sent = 0, received  # nothing is kept
            return
        if not self._acknowledge_to(received):
            raise ValueError(
                f"the server says it has received {received!r:.100} messages, of {self._sent} that were sent and"
                f" {self._sent - len(self._kept)} that it has acknowledged"
            )
        self._sent = received

    def _acknowledge(self, body: object) -> None:
        """Read the answer to a ping. It came on this connection, so its token is the only one that is valid."""
        self._was_taken = False
        if isinstance(body, Mapping):
            self._acknowledge_to(body.get("received"))

    def _acknowledge_to(self, received: object) -> bool:
        """Forget the messages that the server has; False if this is no count that it can have reached."""
        if type(received) is not int or not 0 <= self._sent - received <= len(self._kept):
            return False
        del self._kept[: len(self._kept) - (self._sent - received)]
        return True
