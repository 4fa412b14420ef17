"""The home of a session: what it needs of the hub that it is registered in.

Law: types only.
"""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Protocol

from .._accounts import Accounts
from ..limits import Limits
from ..metrics import Metrics
from .outbound_hooks import OutboundHooks

if TYPE_CHECKING:
    from .._rooms.callers import Callers
    from .._rooms.joining import Joins
    from .._serving.renewal import Renewal
    from .session import Session


class Home(Protocol):
    """The hub, as a session sees it."""

    limits: Limits
    metrics: Metrics
    accounts: Accounts
    server_name: str
    outbound: OutboundHooks
    joins: "Joins"
    callers: "Callers"
    renewal: "Renewal"

    @property
    def clients(self) -> "dict[str, Session]":
        """The clients that are connected, by id."""

    def check_thread(self) -> None:
        """Refuse a call from a thread other than the server's."""

    def start(self, function: Callable[..., Awaitable[object]], *args: object) -> None:
        """Start a task that ends with the server."""
