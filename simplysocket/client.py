"""The client, as users see it: its name and state, and methods to reach it.

Law: a facade. It checks its arguments and hands them on to the session. It stores only
attributes that users read or change.
"""

import secrets
from typing import TYPE_CHECKING, Any, Generic

from ._protocol import codec
from ._protocol.names import check_said, clean_name
from .errors import CloseCode
from .request import Identity

if TYPE_CHECKING:
    from typing_extensions import TypeVar  # with a default (PEP 696), so that the bare `Client` has a dict

    from ._sessions.session import Session
    from .room import Room

    State = TypeVar("State", default=dict[str, Any])
else:
    from typing import TypeVar

    State = TypeVar("State")


class Client(Generic[State]):
    """A client that is connected, or was.

    A client that connects again is a new `Client`, with a new `id` and a new `state`, unless it
    comes back to its session: then it is the same. After it has disconnected for good, messages
    to it are dropped. For a type checker, annotate the client with the
    class of its state: `client: Client[Player]`.

    Attributes: `id`, `name` (yours to change), `user` and `identity` (where there is
    `authenticate`), `state`, `rooms`, `address`, `is_gone`. A body that is left out is `{}`.
    """

    __slots__ = ("__weakref__", "_name", "_session", "address", "id", "identity", "state")

    id: str
    """The client's id: the `sender` of its messages. The server chooses a new one for each new client."""
    address: str
    """The client's IP address; "" on a Unix socket."""
    identity: Identity | None
    """The identity that `authenticate` returned, or the newest one after a renewal; None without `authenticate`.

    A client that comes back has the one that `authenticate` has returned for its new connection.
    """
    state: State
    """Your own data about this client: what `Server(state=...)` returned for it, by default an empty dict.

    It exists as long as this object, and is lost when the client disconnects for good.
    """

    _session: "Session"

    # Any is a Session: a type in the signature of a public class is public, and so is all that it leads to.
    def __init__(self, session: Any = None, id: str = "", address: str = "", identity: Identity | None = None) -> None:
        """Clients are made by the server, which also sets the name and the state."""
        if session is None:
            raise TypeError("Client(): clients are made by the server")
        for attribute, value in (("_session", session), ("id", id), ("address", address), ("identity", identity)):
            object.__setattr__(self, attribute, value)

    if not TYPE_CHECKING:  # to a type checker it would mean that any name may be set

        def __setattr__(self, name: str, value: object) -> None:
            if name not in ("name", "_name", "state"):
                raise AttributeError(
                    f"Client.{name} cannot be set: only `name` and `state` can; data of your own goes into client.state"
                )
            object.__setattr__(self, name, value)

        def __delattr__(self, name: str) -> None:
            raise AttributeError(f"Client.{name} cannot be deleted: set client.state to another value instead")

    def __repr__(self) -> str:
        return f"<Client {self.id} {self.name!r}>"

    def _come_back(self, address: str, identity: Identity | None) -> None:
        """Take over what is known of the client since it has come back."""
        object.__setattr__(self, "address", address)
        object.__setattr__(self, "identity", identity)

    @property
    def name(self) -> str:
        """The name to show: `Identity.name`, else `?name=`, else `guest-...`; yours to change.

        A name that you set is made fit to be shown to others, as that of `?name=` is: one line,
        without characters that nobody sees or that change the direction of text, cut to
        `Limits.name_length`. If nothing visible is left, the name is `guest-` and four characters.
        """
        return self._name

    @name.setter
    def name(self, name: str) -> None:
        if not isinstance(name, str):
            raise TypeError(f"client.name = {name!r:.200}: give a text")
        self._name = clean_name(name, self._session.home.limits.name_length) or f"guest-{secrets.token_hex(2)}"

    @property
    def is_gone(self) -> bool:
        """Whether the client has disconnected for good; messages to it are then dropped."""
        return self._session.is_gone

    @property
    def is_connected(self) -> bool:
        """Whether the client has a connection that is open now.

        False also while it is away: it has lost its connection, and may come back. `is_gone` is True
        only after that: then it will not.
        """
        return self._session.is_connected

    @property
    def user(self) -> str | None:
        """The user's id, `Identity.user`; None without `authenticate`."""
        return None if self.identity is None else self.identity.user

    @property
    def rooms(self) -> "dict[str, Room[Any]]":
        """The rooms that the client is in at this moment, {name: room}; the global room is one of them."""
        return {name: runtime.room for name, runtime in self._session.rooms.items()}

    async def send(self, action: str, body: object = codec.NO_BODY, *, sender: str | None = None) -> bool:
        """Send a message to this client only. Never waits.

        It arrives after the messages that the client's rooms have sent to it before. `sender` is a
        name; None is the server's name. For a client that is away, it waits until that is back. Returns
        False if the client has disconnected for good or is being closed. True means that the
        message was queued or sent, not that it has arrived. Raises
        `EncodeError` for a body that JSON cannot hold, and ValueError for an action that is
        reserved for the protocol.
        """
        check_said(action)
        self._session.home.check_thread()
        return self._session.tell(action, body, sender=sender)

    async def request(self, action: str, body: object = codec.NO_BODY, *, timeout: float = 10.0) -> Any:
        """Send a request to the client, wait for its answer, and return the body of its reply.

        Raises `PeerError` with the client's own code if it answers with an error, `ActionError` with
        the code `timeout` after `timeout` seconds, and `Gone` if it disconnects for good, or comes
        back and has missed messages. Catch them in a
        task of a room (`start_soon`), which would close with them. A handler that waits here keeps
        its room's turn, so register it with `turn=False`.
        """
        check_said(action)
        return await self._session.request(action, body, timeout)

    async def join(self, name: str, options: dict[str, Any] | None = None) -> dict[str, Any]:
        """Make the client a member of a room, and return the answer to a join.

        The answer is `{"roomname": ..., "created": ..., "members": [{"client": id, "name": name}, ...],
        "total": ...}`, with the first 100 members in the order of their joins, and the number of all. The
        room is created if there is none. `options` goes to its hooks. Raises `ActionError` if
        the join is refused; from a handler, with the code `busy` if the turn of the room does not
        come within `Limits.turn_seconds`.
        """
        if not isinstance(name, str):
            raise TypeError(f"join({name!r:.200}): give the room's name")
        return await self._session.home.joins.join(self._session, name, options or {})

    async def leave(self, name: str, reason: str = "left") -> bool:
        """Remove the client from a room, in the room's turn; return False if it was not a member.

        `reason` goes to `on_leave` and to the members, if the room announces it. Raises
        `ActionError`: `forbidden` for the global room, which a client leaves by disconnecting;
        from a handler, `busy` if the turn of the room does not come within `Limits.turn_seconds`.
        """
        return await self._session.home.joins.leave(self._session, name, reason)

    async def renew(self, identity: Identity) -> None:
        """Give the client a new identity of the same user, which may expire later or have other claims. Never waits.

        `client.identity` is the new one from now on, and the connection is closed when that expires. The client is
        not told. A client that came with credentials that expire can also renew them itself, with the action `renew`.
        ValueError for an identity of another user: close the client then, so that it connects again.
        """
        if not isinstance(identity, Identity):
            raise TypeError(f"renew({identity!r:.200}): give an Identity, as `authenticate` returns it")
        self._session.home.check_thread()
        self._session.home.renewal.renew(self._session, identity)

    def _take_identity(self, identity: Identity) -> None:
        object.__setattr__(self, "identity", identity)

    async def close(self, code: int = CloseCode.APPLICATION, reason: str = "") -> None:
        """Close the client's connection, after the messages that are queued. Never waits.

        Nothing that the client sends afterwards is handled, nor what waits from it for a turn. Its handlers with
        `turn=False` or `cancel=True` are cancelled, but for the one that calls this. The connection ends at the
        client's own Close, or after `Limits.close_seconds`; then the client leaves its rooms. `code` is one of
        3000 to 4999, 1000, 1001, 1008, 1011, 1012 and 1013; ValueError for another one.
        `may_come_back(code)` tells whether a client connects again after it. `reason` is cut to
        123 bytes of UTF-8.
        """
        if not isinstance(code, int):
            raise TypeError(f"close({code!r}): give the code first, then the reason, or reason=")
        if not (code in (1000, 1001, 1008, 1011, 1012, 1013) or 3000 <= code <= 4999):
            raise ValueError(f"{code} may not be sent as a close code: take one of 3000-4999 (RFC 6455, 7.4.2)")
        self._session.home.callers.expel(self._session, code, reason)
