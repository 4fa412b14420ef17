"""The global room, which everyone is in while connected: its turns are per client.

Laws: nobody's action there waits for another client's. The room never closes; when its
tasks crash they are started again.
"""

from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any

from .._sessions.session import Session
from ..message import GLOBAL_ROOM
from .crashes import RestartAfterCrash
from .jobs import Work
from .runtime import RoomRuntime
from .tasks import CURRENT_ROOM
from .turns import TURN, Turns

if TYPE_CHECKING:
    from .hub import Hub


def make_global_room(hub: "Hub", room_class: Callable[[RoomRuntime], Any]) -> RoomRuntime:
    """Make the runtime of the global room."""
    return RoomRuntime(
        hub, GLOBAL_ROOM, room_class, None, {}, make_turns=ClientTurns, crash_policy=RestartAfterCrash(), is_global=True
    )


class ClientTurns(Turns):
    """One turn for each client, and one for what the room itself does: timers and `on_create`."""

    __slots__ = ("_runtime",)

    def __init__(self, runtime: RoomRuntime) -> None:
        super().__init__(runtime.name, runtime.home.limits, runtime.boundary.run)
        self._runtime = runtime

    def of(self, session: Session) -> Turns:
        """Return a client's own turns here; their worker starts with its first message."""
        turns = session.global_turns
        if turns is None:
            runtime = self._runtime
            turns = session.global_turns = Turns(runtime.name, runtime.home.limits, runtime.boundary.run)
            runtime.home.start(runtime.tasks.run_inside, turns.serve)
        return turns

    @property
    def post(self) -> Callable[[Work, Any, object], bool]:
        """The function that puts a client's message into its own inbox."""
        return self._post

    def _post(self, work: Work, client: Session, ask: object) -> bool:
        return self.of(client).post(work, client, ask)

    def post_always(self, work: Work, client: Hashable, ask: object) -> None:
        """Put into the client's inbox, or without a client into the room's own, what no bound may refuse."""
        if isinstance(client, Session):
            self.of(client).post_always(work, client, ask)
        else:
            super().post_always(work, client, ask)

    def take_out(self, client: Hashable, id: str | int) -> Any:
        """Remove the client's waiting message with this `id` and return it, or None."""
        assert isinstance(client, Session)
        return None if client.global_turns is None else client.global_turns.take_out(client, id)

    @property
    def is_mine(self) -> bool:
        """Whether the caller has one of the many turns here."""
        return TURN.get() is not None and CURRENT_ROOM.get() is self._runtime

    def finish_own_turn(self, then: Callable[[], None]) -> bool:
        """Call `then` after the handler that asks for this in its client's turn; False when the caller has no turn."""
        sessions = self._runtime.members.by_id.values()
        return any(each.global_turns is not None and each.global_turns.finish_own_turn(then) for each in sessions)
