"""The guard: asks the predicate of an action, `only=`, whether a client may do it now.

Laws:
- It is asked in the turn, before the body is read and before any middleware: what it refuses costs little.
- What is no answer lets nobody in: a coroutine, as of an `async def`, is a bug.
"""

import inspect
from collections.abc import Awaitable
from typing import Any

from .._functions import name_place
from .._protocol.codec import Envelope
from ..actions import Predicate, check_predicate
from ..client import Client
from ..errors import ActionError
from ..room import Room
from .signature import CallHandler


def guarded(only: Predicate, call: CallHandler) -> CallHandler:
    """Return the call with its predicate asked before."""

    # A plain def, so that the handler's coroutine is the only one.
    def ask(server: object, room: Room[Any], client: Client[Any], envelope: Envelope) -> Awaitable[object]:
        allowed: object = only(room, client)
        if allowed is not True:
            _refuse(only, allowed)
        return call(server, room, client, envelope)

    return ask


def _refuse(only: Predicate, allowed: object) -> None:
    """Refuse what a predicate has not allowed; anything that counts as true in Python is a yes."""
    if inspect.isawaitable(allowed):
        if inspect.iscoroutine(allowed):
            allowed.close()
        raise TypeError(f"only={name_place(only)} returned {allowed!r:.100}: write a plain `def` that returns a bool")
    if not allowed:
        raise ActionError("forbidden", "you may not do this now")


def predicate_in(room_class: type[Room[Any]], action: str, only: Predicate | None) -> Predicate | None:
    """Return the predicate of an action in a room class: its method of the name, if it was given as a method."""
    name = getattr(only, "__name__", "")
    if only is None or not any(vars(each).get(name) is only for each in room_class.__mro__):
        return only
    found: Predicate = getattr(room_class, name)  # a subclass may have overridden it
    check_predicate(action, found)
    return found
