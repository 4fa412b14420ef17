"""Coming back: what a client offers in its request, and what becomes of its session.

Laws:
- No clock and no I/O. A wrong offer is no error: it asks for a new session.
- A client is told of a gap until it is known to have read it; no position is guessed.
"""

from collections.abc import Iterable, Sequence
from typing import Final, Literal, Protocol

import attrs

from .names import SUBPROTOCOL
from .resume_tokens import GapReason, Standing, is_token

RESUME_ENTRY: Final = "simplysocket.resume"  # alone, or followed by .<token>.<received>.<sent>
LOST: Final = "-"  # as <received>, of a page that has lost its state

_GREATEST: Final = 2**53  # the greatest count: beyond it, numbers in JavaScript are not exact
_DIGITS: Final = len(str(_GREATEST))


@attrs.frozen
class Offer:
    """What a client asks for. Without a token it asks for a new session.

    `received` and `sent` are its counts on the last connection whose `welcome` it has read.
    `received` is None if the client has lost its state; `sent` means nothing then.
    """

    token: str | None = attrs.field(default=None, repr=False)
    received: int | None = 0
    sent: int = 0

    def entry(self) -> str:
        """Return the subprotocol entry of this offer."""
        if self.token is None:
            return RESUME_ENTRY
        received = LOST if self.received is None else self.received
        return f"{RESUME_ENTRY}.{self.token}.{received}.{self.sent}"


def read_offer(subprotocols: Iterable[str]) -> Offer | None:
    """Read what a client offers among the subprotocols of its request; None if it does not ask for a session.

    A client that does not offer `simplysocket.json` gets no `welcome`, so it cannot ask. An
    entry that is cut or wrong, or one of several, asks for a new session.
    """
    entries = list(subprotocols)
    found = [each for each in entries if each == RESUME_ENTRY or each.startswith(RESUME_ENTRY + ".")]
    if not found or SUBPROTOCOL not in entries:
        return None
    return (_read(found[0]) if len(found) == 1 else None) or Offer()


def _read(entry: str) -> Offer | None:
    parts = entry.removeprefix(RESUME_ENTRY).split(".", 4)
    if len(parts) != 4 or not is_token(parts[1]):
        return None
    received = None if parts[2] == LOST else _count(parts[2])
    sent = _count(parts[3])
    if sent is None or (received is None and parts[2] != LOST):
        return None
    return Offer(parts[1], received, sent)


def _count(text: str) -> int | None:
    if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS):
        return None
    count = int(text)
    return count if count <= _GREATEST else None


class Rewindable(Protocol):
    """What `decide` needs of the ring (`_wire/ring.py`)."""

    @property
    def sent(self) -> int:
        """The number of the last frame that went to the wire."""

    @property
    def gap(self) -> GapReason | None:
        """Why frames were lost that the client may lack."""

    def rewind(self, received: int | None) -> list[bytes] | None:
        """Return what the client lacks after this number, and count from there; None if some of it is lost."""

    def clear(self, sent: int = 0) -> None:
        """Forget everything, and count from `sent`."""


@attrs.frozen
class Outcome:
    """What becomes of an offer. `frames` are sent after `welcome`, in this order, and count.

    `resumed`: nothing is missing. `gap`: the same session, but frames are missing, for
    `reason`. `new`: the offer fits no session, and its client gets a new one.
    """

    outcome: Literal["resumed", "gap", "new"]
    reason: GapReason | None = None
    frames: Sequence[bytes] = ()


def is_beyond(offer: Offer, received: int, sent: int, standing: Standing) -> bool:
    """Tell whether an offer names a position that its session has never reached, so that it gets a new one.

    `received` and `sent` are the server's counts. Ask before the old connection is taken over: a
    wrong offer ends nobody's connection.
    """
    if offer.received is None:
        return False
    if received > offer.sent:
        return True
    return standing.settled is None and offer.received > sent  # an older token counts otherwise: `decide` looks at it


def decide(offer: Offer, received: int, ring: Rewindable, standing: Standing) -> Outcome:
    """Decide what becomes of an offer whose token is valid, and rewind the ring for it.

    Call it when the old connection writes nothing any more, and then `ResumeTokens.issue`
    with the ring's `sent`, the offered token and the outcome's reason. `received` is how
    many messages of the client the server has counted; `standing` is what
    `ResumeTokens.standing` says of the token. With `new` the ring is left alone.
    """
    if is_beyond(offer, received, ring.sent, standing):
        return Outcome("new")
    if offer.received is None:
        ring.clear()
        return Outcome("gap", "reload")
    lost: GapReason | None = standing.untold or ring.gap
    if standing.untold is None and standing.settled in (None, offer.received):
        frames = ring.rewind(offer.received)
        if frames is not None:
            return Outcome("resumed", frames=frames)
    ring.clear(offer.received)
    return Outcome("gap", lost or "overflow")
