"""Resume tokens: how a client that comes back shows whose session it wants.

Laws:
- No clock: the time is an argument, in seconds of any monotonic clock.
- The secret is compared in constant time; the look-up part is no secret.
- A token that the client may still hold as its newest is valid: what it was last heard with stays.
"""

import base64
import hmac
import secrets
from typing import Final, Literal

import attrs

GapReason = Literal["overflow", "slow", "reload"]  # why messages to a client are missing

_LOOKUP_BYTES: Final = 9
_SECRET_BYTES: Final = 16  # 128 bits
_LOOKUP: Final = _LOOKUP_BYTES * 4 // 3  # characters
_LENGTH: Final = _LOOKUP + 22  # 16 bytes in base64url without padding
_MOST_VALID: Final = 4
_MOST_SUPERSEDED: Final = 16  # remembered, so that their holders get 3502 and not a session of their own


def is_token(text: str) -> bool:
    """Tell whether a text has the form of a token."""
    return len(text) == _LENGTH and text.isascii() and text.replace("-", "a").replace("_", "a").isalnum()


def lookup_of(token: str) -> str:
    """Return the look-up part of a token: `ResumeTokens.lookup` of its session."""
    return token[:_LOOKUP]


@attrs.frozen
class Standing:
    """How far the counts of a valid token's holder are those of the session.

    `settled` is None for the newest token. The holder of an older one has not been heard
    since, but frames may have been sent with the same numbers: it can go on only from
    `settled`. `untold` is a gap that it has not been told of.
    """

    settled: int | None = None
    untold: GapReason | None = None


@attrs.define
class _Token:
    secret: bytes = attrs.field(repr=False)
    untold: GapReason | None = None


class ResumeTokens:
    """The tokens of one session. `grace` is how long a superseded one is remembered, in seconds.

    All of them have the same look-up part, by which a registry finds the session.
    """

    __slots__ = ("_grace", "_settled", "_superseded", "_valid", "lookup")

    def __init__(self, grace: float) -> None:
        self._grace = grace
        self._valid: list[_Token] = []  # the one that the client was last known to hold comes first
        self._superseded: tuple[tuple[bytes, float], ...] = ()  # (secret, until when)
        self._settled = 0
        self.lookup = _encode(secrets.token_bytes(_LOOKUP_BYTES))

    def issue(self, now: float, sent: int = 0, offered: str | None = None, gap: GapReason | None = None) -> str:
        """Return the token for a `welcome`.

        `sent` is the server's count behind it (the ring's, after `decide`). `offered` is the
        token that the client came with: it holds no older one. `gap` is what this `welcome` tells.
        """
        if offered is not None:
            self._supersede(self._find(offered), now)
        if gap is not None:
            for each in self._valid:
                each.untold = "overflow" if gap == "reload" else gap
        if len(self._valid) == _MOST_VALID:  # the first is what the client was heard with; it may have read no other
            self._forget(self._valid.pop(1), now)
        made = _Token(_encode(secrets.token_bytes(_SECRET_BYTES)).encode())
        self._valid.append(made)
        self._settled = sent
        return self.lookup + made.secret.decode()

    def check(self, token: str, now: float) -> Literal["valid", "superseded"] | None:
        """Judge a token; None if it is not of this session, or was superseded too long ago."""
        if not is_token(token) or lookup_of(token) != self.lookup:
            return None
        if self._find(token) is not None:
            return "valid"
        secret = token[_LOOKUP:].encode()
        for each, until in self._superseded:
            if hmac.compare_digest(each, secret) and now < until:
                return "superseded"
        return None

    def standing(self, token: str) -> Standing:
        """Return what a valid token's holder may count on."""
        found = self._find(token)
        if found is None or found is self._valid[-1]:
            return Standing()
        return Standing(self._settled, found.untold)

    def heard(self, now: float) -> None:
        """Note that the client has sent a frame on the connection of the newest token: older ones are superseded."""
        self._supersede(self._valid[-1], now)

    def _find(self, token: str) -> _Token | None:
        secret = token[_LOOKUP:].encode()
        found = [each for each in self._valid if hmac.compare_digest(each.secret, secret)]
        return found[0] if found else None

    def _supersede(self, holds: _Token | None, now: float) -> None:
        """Let go of the tokens older than the one that the client is known to hold."""
        while holds is not None and self._valid[0] is not holds:
            self._forget(self._valid.pop(0), now)

    def _forget(self, token: _Token, now: float) -> None:
        self._superseded = (*self._superseded, (token.secret, now + self._grace))[-_MOST_SUPERSEDED:]


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
