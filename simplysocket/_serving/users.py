"""The users: which clients each user has, so that a new one can take the place of the oldest.

Law: a client that has come is in here until it is gone for good, also during `on_connect`.
"""

from .._rooms.hub import Hub
from .._sessions.session import Session
from ..errors import CloseCode, RegistrationError


class Users:
    """The clients of each user of one server. `most`: how many a user may have; None: any number, and none is noted."""

    def __init__(self, hub: Hub, most: int | None) -> None:
        if most is not None and (not isinstance(most, int) or isinstance(most, bool) or most < 1):
            raise RegistrationError(f"connections_per_user={most!r}: give a number of 1 or more, or None for no limit")
        self._hub = hub
        self.most = most
        self._sessions: dict[str, dict[Session, None]] = {}  # {user: its sessions, the oldest first}

    def check(self, *, is_authenticated: bool) -> None:
        """Refuse a number of connections for each user on a server that does not know its users."""
        if self.most is not None and not is_authenticated:
            raise RegistrationError(
                f"connections_per_user={self.most} needs users: write @server.authenticate, which says who a client is"
            )

    def arrive(self, session: Session) -> None:
        """Note a new client, and end the oldest one of its user if there are too many."""
        user = session.client.user
        if self.most is None or user is None:
            return
        sessions = self._sessions.setdefault(user, {})
        sessions[session] = None
        if len(sessions) > self.most:
            reason = "this user has connected again" if self.most == 1 else "this user has too many connections"
            self._hub.end(next(iter(sessions)), CloseCode.TOO_MANY, reason)

    def leave(self, session: Session) -> None:
        """Forget a client that is gone."""
        user = session.client.user
        sessions = self._sessions.get(user) if user is not None else None
        if user is not None and sessions is not None:
            sessions.pop(session, None)
            if not sessions:
                del self._sessions[user]
