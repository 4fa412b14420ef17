"""Returns: the sessions whose clients may come back, and what happens when they do, or do not.

Laws:
- A session is held only if its client has asked for that, has been heard, and lost its connection in a way that may
  be undone (`Connection.is_held`).
- A client is brought back in one step: the old connection is stopped, `welcome` is written, then what it has missed.
- Who is not brought back in time leaves its rooms, as a client that disconnects.
"""

import math
from collections import OrderedDict
from collections.abc import Callable
from heapq import heapify, heappop, heappush
from typing import Final

import attrs
import trio

from .._accounts import address_account
from .._http.proxies import Proxies
from .._protocol import codec
from .._protocol.delivery_classes import UncountedFrame
from .._protocol.frames import text_frame
from .._protocol.resume_tokens import ResumeTokens, lookup_of
from .._protocol.resuming import Offer, Outcome, decide, is_beyond
from .._rooms.hub import Hub
from .._sessions.line import Line
from .._sessions.session import Session
from .._token_bucket import TokenBucket
from .._wakeup import Wakeup
from .._wire.connection import Connection
from .._wire.outboxes import Outboxes
from ..errors import CloseCode, Gone
from ..message import GLOBAL_ROOM
from ..request import Identity

_LOOK_SECONDS: Final = 5.0  # between two looks at a session that a room holds beyond the grace
_SPARE: Final = 64  # old deadlines that may be kept beside those that count


@attrs.frozen
class Ended:
    """A session that is no more. A client of its user that asks for it is closed with this code."""

    user: str | None
    code: int
    reason: str


@attrs.frozen
class _Returning:
    """A client that asks for its session, for the front door."""

    _session: Session
    _offer: Offer
    _bucket: TokenBucket

    def is_back_as(self, identity: Identity | None) -> bool:
        """Whether it gets its session: it is the same user, and speaks of the same session still."""
        user = None if identity is None else identity.user
        return self._session.client.user == user and _fits(self._session, self._offer)

    def wait(self, now: float) -> float | None:
        return None if self._bucket.take(1, now) else self._bucket.seconds_until(1)


@attrs.define
class _Absence:
    """What is known of a session that is away."""

    since: float
    account: str | None  # which it counts for
    until: float = 0  # when it is looked at: it may end then


class Returns:
    """The sessions of one server whose clients may come back, while `run` runs."""

    def __init__(
        self, hub: Hub, outboxes: Outboxes, proxies: Proxies, count_away: Callable[[str | None, int], None]
    ) -> None:
        """`count_away` counts the clients that are away, as connections: `Arrivals.hold`."""
        self._hub = hub
        self._outboxes = outboxes
        self._proxies = proxies
        self._count_away = count_away
        self._sessions: dict[str, Session] = {}  # {look-up part of its tokens: session}
        self._ended: OrderedDict[str, tuple[float, ResumeTokens, Ended]] = OrderedDict()  # {the same: until when, ...}
        self._away: dict[Session, _Absence] = {}
        self._deadlines: list[tuple[float, int, Session]] = []  # a heap; some are not valid any more
        self._number = 0  # of the newest entry of the heap
        self._wakeup = Wakeup()
        self._scope = trio.CancelScope()
        self._is_running = False

    def __contains__(self, session: Session) -> bool:
        """Whether the session is away, and its client may come back."""
        return session in self._away

    # --- who may come back

    def begin(self, session: Session, now: float) -> dict[str, object]:
        """Let the client of a new session come back. Return `resume` of its `welcome`."""
        tokens = ResumeTokens(self._hub.limits.resume_seconds)
        session.line = Line(self._hub.limits, self._outboxes, self._hub.metrics, tokens, now)
        self._sessions[tokens.lookup] = session
        return self._welcome(session, Outcome("new"), now)

    def find(self, token: str, now: float) -> Session | Ended | None:
        """Return the session that a token is for, or how it has ended; None if it is unknown."""
        lookup = lookup_of(token)
        session = self._sessions.get(lookup)
        if session is not None and session.line is not None:
            found = session.line.tokens.check(token, now)
            if found == "superseded":
                return Ended(session.client.user, CloseCode.TAKEN_OVER, "a newer connection has taken over")
            return self._open_to_return(session) if found == "valid" else None
        until, tokens, ended = self._ended.get(lookup, (0.0, None, None))
        if tokens is None or until <= now or tokens.check(token, now) is None:
            return None
        return ended

    def _open_to_return(self, session: Session) -> Session | Ended | None:
        """Return a session whose client may come back to it now; else how it ends, or None if it has none yet."""
        connection = session.connection
        if session.id not in self._hub.clients:  # `on_connect` has not let it in
            return None
        if connection is None or connection.is_held:
            return session
        # Its connection waits for the client's Close, and the session ends with it.
        if not connection.is_closed_by_us:
            return None
        return Ended(session.client.user, connection.close_code, connection.close_reason)

    def find_returning(self, offer: Offer | None, now: float) -> _Returning | None:
        """Return the client that an upgrade brings back, for the front door; None if it brings none."""
        found = None if offer is None or offer.token is None else self.find(offer.token, now)
        if offer is None or not isinstance(found, Session) or found.line is None or not _fits(found, offer):
            return None
        return _Returning(found, offer, found.line.returns)

    # --- back

    def bring_back(
        self, session: Session, connection: Connection, offer: Offer, welcome: dict[str, object], now: float
    ) -> bool:
        """Go on with a session over a new connection, whose client is told by `welcome`.

        Return False if that cannot be, since the client and the server do not speak of the same session.
        """
        line, hub = session.line, self._hub
        if line is None or offer.token is None or not _fits(session, offer):
            return False
        standing = line.tokens.standing(offer.token)
        was_away, old = session.is_away, session.connection
        if old is not None:
            old.take_over()
        outcome = decide(offer, line.received, line.ring, standing)
        line.begin(offer.sent)
        self._forget_absence(session)
        session.attach(connection)
        resume = self._welcome(session, outcome, now, offer.token)
        if outcome.outcome == "gap":
            resume["rooms"] = [name for name in session.rooms if name != GLOBAL_ROOM]
        body = {"client": session.id, **welcome, "resume": resume}
        frame = UncountedFrame(
            text_frame(codec.encode("welcome", body, session.id, hub.server_name, target_client=True))
        )
        session.deliver(frame, (frame,))
        if outcome.frames:
            connection.deliver_replay(outcome.frames)
        if outcome.outcome == "gap":
            session.give_up_requests(Gone(f"client {session.id} has missed messages"))
        if was_away:
            hub.joins.resume(session)
        if outcome.outcome == "gap":
            hub.joins.snapshot(session)
        return True

    def _welcome(self, session: Session, outcome: Outcome, now: float, offered: str | None = None) -> dict[str, object]:
        """Return `resume` of a `welcome`, with a new token."""
        line = session.line
        if line is None:
            raise RuntimeError("a session without a line has no tokens")
        resume: dict[str, object] = {
            "outcome": outcome.outcome,
            "token": line.tokens.issue(now, line.ring.sent, offered, outcome.reason),
            "grace": self._hub.limits.resume_seconds,
            "received": line.received,
        }
        if outcome.reason is not None:
            resume["reason"] = outcome.reason
        return resume

    # --- away

    def part(self, session: Session, connection: Connection) -> None:
        """Hold a session that has lost its connection, or end it."""
        hub, line, reason = self._hub, session.line, connection.why_it_ended
        is_held = line is not None and line.is_confirmed and connection.is_held and self._is_running
        if not is_held or hub.is_stopping or session.id not in hub.clients:
            hub.disconnect(session, reason)
            return
        session.lose(reason)
        account, now = self._account_of(session), trio.current_time()
        self._away[session] = absence = _Absence(now, account)
        self._count_away(account, 1)
        self._look_at(session, absence, now + hub.limits.resume_seconds)
        hub.joins.drop(session)

    def _look_at(self, session: Session, absence: _Absence, until: float) -> None:
        """Look at a session again at this time."""
        absence.until = until
        self._number += 1
        heappush(self._deadlines, (until, self._number, session))
        if len(self._deadlines) > 2 * len(self._away) + _SPARE:
            self._deadlines = [entry for entry in self._deadlines if self._due(entry[2], entry[0]) is not None]
            heapify(self._deadlines)
        self._wakeup.wake()

    def forget(self, session: Session) -> None:
        """Forget a session that has ended. For the grace its tokens are answered with the code that ended it."""
        line, now = session.line, trio.current_time()
        if line is None:
            return
        self._forget_absence(session)
        self._sessions.pop(line.tokens.lookup, None)
        if session.ended_with is not None:
            until = now + self._hub.limits.resume_seconds
            self._ended[line.tokens.lookup] = until, line.tokens, Ended(session.client.user, *session.ended_with)
        while (self._ended and next(iter(self._ended.values()))[0] <= now) or len(self._ended) > self._most_ended:
            self._ended.popitem(last=False)

    @property
    def _most_ended(self) -> float:
        return self._hub.limits.connections or math.inf

    async def run(self) -> None:
        """End the sessions whose clients have not come back in time, until `end` is called or it is cancelled."""
        budget = self._hub.budget
        self._scope, self._is_running = trio.CancelScope(), True
        try:
            with self._scope:
                while True:
                    if not self._deadlines:
                        await self._wakeup.wait()
                    elif (until := self._deadlines[0][0]) > trio.current_time():
                        with trio.move_on_at(until):
                            await self._wakeup.wait()  # another one may be due before
                    else:
                        _, _, session = heappop(self._deadlines)
                        absence = self._due(session, until)
                        if absence is not None:
                            self._give_up_or_wait(session, absence)
                        if budget.is_spent():
                            await budget.turn()
        finally:
            self._is_running, self._deadlines = False, []
            for session in list(self._away):
                self._give_up(session)
            self._ended.clear()

    def end(self) -> None:
        """Hold no session any more: the server stops."""
        self._scope.cancel()

    def _due(self, session: Session, until: float) -> _Absence | None:
        """Return the absence that a deadline is of; None if the session is back, or away once more."""
        absence = self._away.get(session)
        return absence if absence is not None and absence.until == until else None

    def _give_up_or_wait(self, session: Session, absence: _Absence) -> None:
        """End a session, unless one of its rooms holds it longer. It may leave that room meanwhile, or join one."""
        now = trio.current_time()
        until = absence.since + self._hub.joins.hold_seconds(session)
        if until > now:
            self._look_at(session, absence, min(until, now + _LOOK_SECONDS))
        else:
            self._give_up(session)

    def _give_up(self, session: Session) -> None:
        if session.lost_as is not None:
            self._hub.disconnect(session, session.lost_as)

    def _forget_absence(self, session: Session) -> None:
        absence = self._away.pop(session, None)
        if absence is not None:
            self._count_away(absence.account, -1)

    def _account_of(self, session: Session) -> str | None:
        return address_account(self._proxies.origin_of(session.client.address))


def _fits(session: Session, offer: Offer) -> bool:
    """Tell whether an offer names positions that the session has reached."""
    line = session.line
    if line is None or offer.token is None:
        return False
    return not is_beyond(offer, line.received, line.ring.sent, line.tokens.standing(offer.token))
