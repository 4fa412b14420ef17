"""The lobby: the life of the global room, which everyone is in while connected.

Laws: it never closes; when its tasks crash they start again. Its turns are per
client, so that nobody's action there waits for another client's.
"""

import functools
import itertools
import math
from collections.abc import Callable
from typing import Final

import trio

from .._protocol.codec import Envelope
from .._sessions.session import Session
from .runtime import RoomRuntime, job_work
from .tasks import CURRENT_ROOM, is_overridden
from .turns import SILENCE, TURN, Job, Turns, Voice, Work

_LIST_MOST: Final = 100  # of everyone who is connected, in an answer
_RESTART_FIRST: Final = 1.0  # seconds
_RESTART_MOST: Final = 30.0
_CALM_SECONDS: Final = 60.0  # without a crash, and the next is a first one again


class GlobalRoomRuntime(RoomRuntime):
    """The life of the global room."""

    is_global = True

    def _make_voice(self) -> Voice:
        return SILENCE

    _restart_seconds = 0.0  # before its tasks start again; 0: they have not crashed
    _crashed_at = -math.inf

    def _crashed(self) -> None:
        now = trio.current_time()
        is_again = now - self._crashed_at < _CALM_SECONDS
        self._restart_seconds = min(2 * self._restart_seconds, _RESTART_MOST) if is_again else _RESTART_FIRST
        self._crashed_at = now

    def _began(self, nursery: trio.Nursery) -> None:
        if self._restart_seconds:
            nursery.start_soon(self._restart)

    async def _restart(self) -> None:
        """Start its tasks again, as they were started at first; later each time when they crash again and again."""
        await trio.sleep(self._restart_seconds)
        self.turns.post_always(job_work, None, Job("on_create", self._create))

    def _not_created(self) -> None:
        pass

    def _say_goodbye(self) -> None:
        pass  # the connections have gone before

    @property
    def has_turn(self) -> bool:
        return TURN.get() is not None and CURRENT_ROOM.get() is self  # one of its many

    def why_alive(self, now: float) -> str:
        return f"there as long as the server; {len(self.members)} members"

    def end_if_empty(self) -> None:
        pass

    def post(self, work: Work, client: Session, ask: Envelope) -> bool:
        return self._turns_of(client).post(work, client, ask)

    def take_out(self, client: Session, id: str | int) -> Envelope | None:
        found: Envelope | None = client.global_turns.take_out(client, id) if client.global_turns is not None else None
        return found

    def _turns_of(self, client: Session) -> Turns:
        """Return a client's own turns here; their worker starts with its first message."""
        if client.global_turns is None:
            client.global_turns = Turns(self.name, self._limits, self._run)
            self.home.start(self.run_inside, client.global_turns.serve)
        return client.global_turns

    def list_members(self) -> list[dict[str, str]]:
        first = itertools.islice(self.members.values(), _LIST_MOST)
        return [{"client": member.id, "name": member.name} for member in first]

    def finish_turn(self, then: Callable[[], None]) -> bool:
        """Call `then` behind the handler that asks for this in a client's turn here; False when none does."""
        for client in self.members.values():
            if client.global_turns is not None and client.global_turns.is_mine:
                client.global_turns.stop_after_this(then)
                return True
        return False

    def connected(self, client: Session) -> None:
        """Put a new client in, from its first moment; on_join runs in its own turn."""
        self.enter(client)
        self._call_if_written("on_join", client)

    def disconnected(self, client: Session, reason: str) -> None:
        """Take a client out that has gone; what it sent before is still handled."""
        self.forget(client)
        self._call_if_written("on_leave", client, reason)
        if client.global_turns is not None:
            client.global_turns.end()

    def _call_if_written(self, hook: str, client: Session, *args: object) -> None:
        if is_overridden(getattr(type(self.room), hook)):
            call = Job(hook, functools.partial(self.call_guarded, hook, client, *args))
            self._turns_of(client).post_always(job_work, client, call)
