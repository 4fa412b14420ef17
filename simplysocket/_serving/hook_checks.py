"""Hook checks: what the application registers for clients that come and go is looked at before it is called.

Law: an error says what to write instead.
"""

import functools
import inspect
import typing
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from .._functions import check_hook, name_place, takes
from ..client import Client
from ..errors import RegistrationError
from ..reasons import Reason
from ..request import Request

Hook: TypeAlias = Callable[..., Awaitable[object]]


def check_state(make_state: Callable[[], object]) -> None:
    """Refuse a `state=` that is not a plain function without arguments."""
    name = getattr(make_state, "__qualname__", repr(make_state))
    if not callable(make_state) or inspect.iscoroutinefunction(make_state):
        raise RegistrationError(
            f"state={name}: give what makes the state of a new client at once, such as a class or `dict`"
        )
    try:
        inspect.signature(make_state).bind()
    except TypeError as exc:
        raise RegistrationError(
            f"state={name} cannot be called without arguments ({exc}): write `state=lambda: {name}(...)`, or set"
            " client.state in on_connect"
        ) from None
    except ValueError:
        pass  # a builtin such as dict has no signature to look at


def taking(what: str, hook: Callable[..., Awaitable[object]], offered: tuple[str, ...]) -> Hook:
    """Return a function that takes all the arguments offered, and calls the hook with as many as it takes."""
    if inspect.iscoroutinefunction(hook):
        _check_order(what, hook, offered)
        most = takes(hook)
        check_hook(what, hook, offered[:most])
        return functools.wraps(hook)(lambda *args: hook(*args[:most]))
    check_hook(what, hook, offered)
    return hook


# {argument: the types by which a hook may annotate it}
_TYPES: Final[dict[str, tuple[type, ...]]] = {"client": (Client,), "request": (Request,), "reason": (Reason, str)}
_ALL_TYPES: Final = tuple(each for types in _TYPES.values() for each in types)


def _check_order(what: str, hook: Callable[..., object], offered: tuple[str, ...]) -> None:
    """Refuse a hook whose parameters are in another order than the arguments that it is offered."""
    for parameter, name in zip(inspect.signature(hook).parameters.values(), offered, strict=False):
        hint = parameter.annotation
        asked = typing.get_origin(hint) or hint
        named = parameter.name if parameter.name in _TYPES else None
        if (asked in _ALL_TYPES and asked not in _TYPES[name]) or (named is not None and named != name):
            written = f"`async def ({', '.join(offered)})`"
            raise RegistrationError(
                f"{what}, {name_place(hook)}, takes {parameter.name!r} where {name!r} comes: write {written}"
            )
