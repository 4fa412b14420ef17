"""Refused clients: those that are told by a Close, and not in HTTP, that `authenticate` has refused their credentials.

Law: no session is made, no hook is called, no message is handled, and after `close_seconds` the connection is cut.
"""

from .._http.upgrade import TurnedAway
from .._pass_budget import PassBudget
from .._wire.connection import Connection, Receive
from .._wire.outboxes import Outboxes
from .._wire.transport import Transport
from ..limits import Limits
from ..metrics import Metrics


class Refused:
    """The refused clients of one server. Their connections are counted as all others are."""

    def __init__(self, limits: Limits, metrics: Metrics, outboxes: Outboxes, budget: PassBudget) -> None:
        self._limits = limits
        self._metrics = metrics
        self._outboxes = outboxes
        self._budget = budget

    async def turn_away(self, transport: Transport, client: TurnedAway) -> None:
        """Make the handshake, close, and wait for the client's Close."""
        connection = Connection(transport, self._limits, self._metrics, self._outboxes, self._budget)

        async def opened() -> Receive:
            connection.close(client.code, client.reason)
            return _discard

        self._metrics.connections_opened += 1
        try:
            await connection.run(client.upgrade.head, client.upgrade.subprotocol, opened)
        finally:
            self._metrics.count_closed(connection.close_code, is_ours=connection.is_closed_by_us)


def _discard(_: bytes, __: float) -> None:
    """Drop a message of a client that is not admitted."""
