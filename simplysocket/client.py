"""The client: who takes part, as users see it.

Law: a facade. It checks what users give and hands on to the session; it keeps only what is theirs.
"""

from typing import TYPE_CHECKING, Any, Generic

from ._protocol import codec
from ._protocol.names import check_said
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
    """A client that is connected, or was; made by the server.

    `state` is yours and exists as long as the client: what `Server(state=...)` returned, a dict by default. To have it
    typed, annotate the client where you take it, as in `client: Client[Player]`.

    Attributes: `id`, `name` (yours to change), `user` and `identity` (where there is
    `authenticate`), `state`, `rooms`, `address`, `is_gone`. A body that is left out is `{}`.
    """

    __slots__ = ("__weakref__", "_session", "address", "id", "identity", "name", "state")

    id: str
    """Its id, the `sender` of its messages; chosen by the server, and new for each connection."""
    name: str
    """Its name, from `?name=` or its identity; yours to change."""
    address: str
    """Its IP address; "" on a Unix socket."""
    identity: Identity | None
    """The identity that `authenticate` returned; None without `authenticate`."""
    state: State
    """Yours: whatever you keep about this client."""

    def __init__(self, session: "Session | None" = None) -> None:
        """Made by the server, which fills in the attributes."""
        if session is None:
            raise TypeError("Client(): clients are made by the server, one for each connection")
        self._session = session

    def __repr__(self) -> str:
        return f"<Client {self.id} {self.name!r}>"

    @property
    def is_gone(self) -> bool:
        """True after it has disconnected: messages to it go nowhere."""
        return self._session.is_gone

    @property
    def user(self) -> str | None:
        """The user's id, from its identity; None without `authenticate`."""
        return None if self.identity is None else self.identity.user

    @property
    def rooms(self) -> "dict[str, Room[Any]]":
        """The rooms that it is in at this moment, {name: room}; the global room is one of them."""
        return {name: runtime.room for name, runtime in self._session.rooms.items()}

    async def send(self, action: str, body: object = codec.EMPTY, *, sender: str | None = None) -> bool:
        """Send a message to this client only; False after it has disconnected. Never waits.

        It arrives after everything that the client's rooms have said to it before. `EncodeError` for a body that is
        not JSON.
        """
        check_said(action)
        self._session.home.check_thread()
        return self._session.tell(action, body, sender=sender)

    async def request(self, action: str, body: object = codec.EMPTY, *, timeout: float = 10.0) -> Any:
        """Send a request to the client, and return the body of its reply.

        `ActionError` with the code that the client answered, `timeout` after `timeout` seconds, `Gone` when it
        disconnects.
        """
        check_said(action)
        return await self._session.request(action, body, timeout)

    async def join(self, name: str, options: dict[str, Any] | None = None) -> dict[str, Any]:
        """Join a room and return the answer to the join: `{roomname, created, members}`.

        `ActionError` when it is refused; called from a handler, `busy` when that room's turn does not come.
        """
        if not isinstance(name, str):
            raise TypeError(f"join({name!r:.200}): give the room's name")
        return await self._session.home.joins.join(self._session, name, options or {})

    async def leave(self, name: str, reason: str = "left") -> bool:
        """Leave a room; False when the client was not a member."""
        return await self._session.home.joins.leave(self._session, name, reason)

    async def close(self, code: int = CloseCode.APPLICATION, reason: str = "") -> None:
        """Close its connection after what is queued; `reason` has at most 123 bytes. Never waits."""
        if not isinstance(code, int):
            raise TypeError(f"close({code!r}): give the code first, then the reason, or reason=")
        if not (code in (1000, 1001, 1008, 1011, 1012, 1013) or 3000 <= code <= 4999):
            raise ValueError(f"{code} may not be sent as a close code: take one of 3000-4999 (RFC 6455, 7.4.2)")
        self._session.close(code, reason)
