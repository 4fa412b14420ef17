"""Events: hands what happens in a room to the loop in its `run`, one at a time.

Laws:
- An event is handed over in the room's turn, and the turn ends when the loop asks for the next one. In between, the
  loop holds the turn: it needs no lock, and what needs a turn (`kick`, `close`) is done at once.
- There is no queue here: what waits for the loop waits in the inbox, with its bounds.
- Events are handed over from the first `__anext__` on, until `run` or the iterator ends. Before and after that,
  messages go the way they go without it.
"""

import contextlib
from collections.abc import AsyncIterator
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import trio

from .._protocol import codec
from .._protocol.codec import Envelope
from .._sessions.session import Session
from ..client import Client
from ..errors import ActionError
from ..event import Event
from ..reasons import Reason
from .jobs import TURN, Job, run_job
from .long_turns import TookTooLong, bounded
from .turn_boundary import LATER

if TYPE_CHECKING:
    from .runtime import RoomRuntime

FALLBACK: Final = ""  # the key in `RoomRuntime.calls` of the call for messages that no action takes

NOT_TAKEN: Final = object()
"""The result for a message that the loop has not taken, since it has ended: it goes the way it goes without a loop."""


class Events:
    """The loop of one room object, from the start of its `run` to the end."""

    __slots__ = (
        "_asked",
        "_done",
        "_event",
        "_failed",
        "_is_over",
        "_item",
        "_runtime",
        "_scope",
        "_stream",
        "_task",
        "begun",
        "is_open",
    )

    def __init__(self, runtime: "RoomRuntime") -> None:
        self._runtime = runtime
        self.begun = trio.Event()  # `run` has begun
        self.is_open = False  # True: what happens is handed to the loop
        self._scope = trio.CancelScope()  # around `run`
        self._failed = False  # True: `run` has raised
        self._is_over = False  # True: `run` has ended
        self._stream = 0  # id() of the iterator that the loop uses
        self._task: trio.lowlevel.Task | None = None  # that asks for the events
        self._asked: trio.Event | None = None  # set when an event comes, while the loop waits for one
        self._event: Event[Any] | None = None  # offered, and not taken yet
        self._item: object = None  # of the turn in which it was offered: the loop holds this turn
        self._done: trio.Event | None = None  # set at the end of that turn; None while there is none

    # --- the side of the loop

    async def run(self) -> None:
        """Run the room's `run` to its end. `TookTooLong` if it held a turn for too long and was cancelled."""
        self.begun.set()  # who waits for it goes on after the step in which `run` comes to where it waits
        try:
            with self._scope:
                await self._runtime.room.run()
                return
            raise TookTooLong("timeout", "run did not ask for the next event in time")
        except BaseException:
            self._failed = True
            raise
        finally:
            self._is_over = True
            self.end()

    async def take(self, stream: "Stream") -> Event[Any]:
        """Give back the turn of the last event, wait for the next one, and return it with its turn."""
        if self._is_over:
            raise StopAsyncIteration
        if self._asked is not None:
            raise RuntimeError("another task waits for the next event: one loop at a time takes them")
        self._task, self._stream = trio.lowlevel.current_task(), id(stream)
        self._give_back()
        if not self.is_open:
            self.is_open = True
            self._runtime.calls.pop(FALLBACK, None)
        try:
            while self._event is None:
                self._asked = trio.Event()
                await self._asked.wait()
        finally:
            self._asked = None
        event, self._event = self._event, None
        TURN.set(self._item)
        return event

    def end(self) -> None:
        """Hand over nothing from now on, since the loop has ended."""
        if self.is_open:
            self.is_open = False
            self._runtime.calls.pop(FALLBACK, None)
        self._give_back()

    def dropped(self, stream: "Stream") -> None:
        """End, since the loop has dropped its iterator."""
        if self._stream == id(stream):
            with contextlib.suppress(RuntimeError):  # the collector has found it in another thread
                self._runtime.home.check_thread()
                self.end()

    def _give_back(self) -> None:
        if self._done is not None and (self._event is None or not self.is_open):
            self._done.set()
            TURN.set(None)

    def check_may_wait(self) -> None:
        """Refuse to wait for a turn between two events in the task of the loop, which a turn may be waiting for."""
        if self.is_open and trio.lowlevel.current_task() is self._task:
            raise RuntimeError(
                "between two events the loop of `run` waits for no turn, since a turn may wait for the loop: use"
                " self.after(0, ...)"
            )

    # --- the side of the turn

    async def give(self, event: Event[Any]) -> bool:
        """Hand an event to the loop, and wait until it asks for the next one. Return False if it was not taken.

        If this is cancelled, as a handler that takes too long, the loop is cancelled, too: it must not go on without
        the turn.
        """
        done = self._done = trio.Event()
        self._event, self._item = event, TURN.get()
        if self._asked is not None:
            self._asked.set()
        try:
            await done.wait()
            return self._event is None
        finally:
            if not done.is_set():
                self._scope.cancel()
            self._done = self._event = None

    async def handle(self, client: Client[Any], envelope: Envelope) -> object:
        """Hand a message to the loop; its result is the answer, or `NOT_TAKEN`."""
        session, id, is_answered = client._session, envelope.id, False

        def answer(body: object) -> None:
            nonlocal is_answered
            if is_answered:
                raise RuntimeError(f"{envelope.action!r} was answered already, at the latest when the loop went on")
            if id is not None:
                session.reply(id, body)
            is_answered = True

        message = codec.to_message(envelope, session.id)
        event = Event[Any]("message", client, message, answer=None if id is None else answer)
        if not self.is_open or not await self.give(event):
            return NOT_TAKEN
        was_answered, is_answered = is_answered, True
        if was_answered:
            return LATER
        if self._failed:
            raise ActionError("internal", "the handler failed")
        return None

    async def tell(self, kind: Any, session: Session, reason: Reason | None = None) -> None:
        """Hand a join or a leave to the loop; if the loop itself has caused it, in a later turn."""
        if not self.is_open:
            return
        tell = partial(self._tell, Event[Any](kind, session.client, reason=reason), session)
        if self._done is None:
            await tell()
        else:
            self._runtime.turns.post_always(run_job, None, Job("run", tell, is_awaited=False))

    async def _tell(self, event: Event[Any], session: Session) -> None:
        if self.is_open:
            give = partial(bounded, self._runtime, "run", partial(self.give, event))
            await self._runtime.hooks.guard("run", give, session)


class Stream(AsyncIterator[Event[Any]]):
    """The events of a room, as its loop iterates over them. When the loop drops it, as by `break`, it ends."""

    __slots__ = ("_events",)

    def __init__(self, events: Events) -> None:
        self._events = events

    async def __anext__(self) -> Event[Any]:
        return await self._events.take(self)

    def __del__(self) -> None:
        self._events.dropped(self)
