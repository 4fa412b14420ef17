"""The hooks of a room: the methods that users override, and what each is called for.

Law: none of them does anything. They are called in _rooms/hooks.py, if a subclass has written them.
"""

from typing import Any, Generic

from ._functions import does_nothing
from ._own_names import KeepsNames
from .client import Client, State
from .message import Message
from .reasons import Reason


class RoomHooks(KeepsNames, Generic[State]):
    """What a `Room` is told of: a subclass overrides the hooks that it needs."""

    @does_nothing
    async def on_create(self) -> None:
        """Set up the state of the room, before the first join.

        If it raises `ActionError`, the room is not created, and the joins that wait are refused
        with that error; after another exception, with `internal`.
        """

    @does_nothing
    async def on_auth(self, client: Client[State], options: dict[str, Any]) -> None:
        """Decide whether a client may join: to refuse it, raise `ActionError`.

        Called for each join, before the client is a member, and with `rejoin` for that of a member;
        not in the global room. It runs outside the room's turn, so it may take its time, and must
        not change the room's state. `options` is the body of the join without the room's name: a
        dict of JSON values, from the client. For `Client.join` it is the `options` given there.
        """

    @does_nothing
    async def on_join(self, client: Client[State], options: dict[str, Any]) -> None:
        """Called after a client has become a member; it is in `members` already.

        `options` are those of `on_auth`; a client that connects joins the global room with `{}`. If it
        raises, the join is undone and refused, and `on_leave` is not called; a member whose join with
        other options is refused (`rejoin`) stays one. In the global room an exception is only logged.
        """

    @does_nothing
    async def on_snapshot(self, client: Client[State]) -> None:
        """Called when a member needs the state as it is now: send it to the client.

        It is called after each `on_join`, and when a client has come back that has missed messages of
        this room for good. An exception is logged, and changes nothing.
        """

    @does_nothing
    async def on_drop(self, client: Client[State]) -> None:
        """Called when a member has lost its connection, and may come back; what is sent to it waits for it.

        It keeps its place for `hold_seconds`. Exactly one of `on_resume` and `on_leave` is called
        afterwards, or neither if the room closes first. It is called only for clients that ask to
        keep their place, as the client libraries do; the others leave at once. A client that joins while
        it is away (`Client.join`, or its own join that waited) is told of here after its `on_join`.
        """

    @does_nothing
    async def on_resume(self, client: Client[State]) -> None:
        """Called when a member that was away is back, after `on_drop`, even if it is back before that had its turn.

        What was sent to it meanwhile has been delivered; if some of that was lost, `on_snapshot` follows.
        """

    @does_nothing
    async def on_leave(self, client: Client[State], reason: Reason) -> None:
        """Called after a member has left; it is no longer in `members`. Not called when the room closes.

        `reason` is "left" if the client asked to leave, the reason given to `Client.leave` or
        `Room.kick`, or the reason why its connection ended, such as "disconnected" or "slow".
        It is a `str` that has a `kind` and a `code`. In the global room it has at most
        `Limits.close_seconds`. `Server.on_disconnect` is called after it.
        """

    @does_nothing
    async def on_message(self, client: Client[State], message: Message) -> object:
        """Handle a message that no action takes; the value it returns is the reply.

        It is called instead of a relay and of `Server.on_message`. Its parameters are those of an
        action's handler, by annotation and in any order; one called client, room, message or call
        needs no annotation.
        """

    @does_nothing
    async def on_error(self, error: BaseException, client: Client[State] | None) -> None:
        """Called in the room's turn after a handler, hook or timer of this room has raised; it is logged already.

        `client` is the client that the code ran for; None for a timer. `ActionError` in a handler
        is a refusal and not a bug: this hook is not called for it.
        """

    @does_nothing
    async def on_close(self, reason: str) -> None:
        """Called when the room closes, with the members still there; it has at most `Limits.close_seconds`.

        `reason` is the one given to `close`, or "empty", "crashed" or "shutdown".
        """

    @does_nothing
    async def run(self) -> None:
        """Run beside the handlers, as a task of the room that starts after `on_create`, outside the turn.

        It may be a loop over `events`, or do anything else. If it raises, `on_crash` says what that
        costs; it may return at any time.
        """
