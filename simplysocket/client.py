"""The client: who takes part, as users see it.

Law: only what is theirs stands here; what the server does with a client is in session.py.
"""

from typing import TYPE_CHECKING, Any, Generic

from ._protocol import codec
from .errors import CloseCode
from .request import Identity

if TYPE_CHECKING:
    from typing_extensions import TypeVar  # with a default (PEP 696), so that the bare `Client` has a dict

    State = TypeVar("State", default=dict[str, Any])
else:
    from typing import TypeVar

    State = TypeVar("State")


class Client(Generic[State]):
    """One who takes part; made by the server.

    `state` is yours and lives as long as the client: what `Server(state=...)` makes, a dict if nothing is said. Say of
    which type it is where you take a client, as in `client: Client[Player]`.

    Attributes: `id`, `name` (yours to change), `user` and `identity` (where there is
    `authenticate`), `state`, `rooms`, `address`, `is_gone`. A body that is left out is `{}`.
    """

    __slots__ = ("__weakref__", "address", "id", "identity", "is_gone", "name", "state")

    id: str
    """Its id, the `sender` of its messages; the server's choice, and new for each connection."""
    name: str
    """What it is called; from `?name=` or its identity, and yours to change."""
    address: str
    """Its IP address; "" on a Unix socket."""
    identity: Identity | None
    """Who it is, where `authenticate` has said so."""
    state: State
    """Yours."""
    is_gone: bool
    """True: disconnected; what is sent goes nowhere."""

    def __repr__(self) -> str:
        return f"<Client {self.id} {self.name!r}>"

    @property
    def user(self) -> str | None:
        """The id of the user it is, where `authenticate` has said so."""
        return None if self.identity is None else self.identity.user

    @property
    def rooms(self) -> dict[str, Any]:
        """The rooms it is in at this moment, {name: Room}; the global room among them."""
        raise NotImplementedError

    # What these do is in `Session`, the one subclass, which is what the server makes.

    async def send(self, action: str, body: object = codec.EMPTY, *, sender: str | None = None) -> bool:
        """Send a message to this client alone; False when it is gone. Never waits.

        It stands behind everything its rooms have said to it before. `EncodeError` for a body that is no JSON.
        """
        raise NotImplementedError

    async def request(self, action: str, body: object = codec.EMPTY, *, timeout: float = 10.0) -> Any:
        """Ask the client, and return the body of its reply.

        `ActionError` with the code it answered, `timeout` after `timeout` seconds, `Gone` when it disconnects.
        """
        raise NotImplementedError

    async def join(self, name: str, options: dict[str, Any] | None = None) -> dict[str, Any]:
        """Join a room and return what the join answers: `{roomname, created, members}`.

        `ActionError` when it is refused; called from a handler, `busy` when that room's turn does not come.
        """
        raise NotImplementedError

    async def leave(self, name: str, reason: str = "left") -> bool:
        """Leave a room; False when it was no member."""
        raise NotImplementedError

    async def close(self, code: int = CloseCode.APPLICATION, reason: str = "") -> None:
        """Close its connection behind what is queued; `reason` may have 123 bytes. Never waits."""
        raise NotImplementedError
