"""The chain: middleware and exception handlers around one handler.

Laws:
- A chain is built once for an action in a room, not for each message.
- A handler without middleware and exception handlers has no chain.
- The middleware that is written first is the outermost.
"""

from collections.abc import Iterable
from typing import Any

from .._functions import check_hook, name_place, source_of
from ..errors import ActionError, RegistrationError, is_refusal
from ..middleware import MIDDLEWARE_MARK, Call, ExceptionHandler, Middleware
from ..room import Room
from .signature import Answer


def middleware_of(room_class: type[Room[Any]]) -> list[Middleware]:
    """Return the middleware of a room class in the order written; that of its base classes comes first."""
    names = [
        name
        for base in reversed(room_class.__mro__)
        for name, value in vars(base).items()
        if hasattr(value, MIDDLEWARE_MARK)
    ]
    for name in names:  # one that a subclass overrides is middleware, with or without the decorator
        check_hook("the middleware", getattr(room_class, name), ("self", "call", "next"))
    return [_bound(name) for name in dict.fromkeys(names)]


def _bound(name: str) -> Middleware:
    return lambda call, next: getattr(call.room, name)(call, next)


def chain(wares: Iterable[Middleware], handle: Answer) -> Answer:
    """Return one function that calls all of the middleware and, innermost, the handler."""
    for ware in reversed(list(wares)):
        handle = _link(ware, handle)
    return handle


def _link(ware: Middleware, next: Any) -> Answer:  # Any: an Answer, whose result is always a coroutine, as `Next` says
    return lambda call: ware(call, next)


def check_error_class(error_class: object) -> None:
    """Refuse anything but a class of exceptions, and a decorator that is written without its parentheses."""
    if not (isinstance(error_class, type) and issubclass(error_class, Exception)):
        place = f" ({source_of(error_class)})" if source_of(error_class) else ""
        raise RegistrationError(
            f"@server.exception_handler({error_class!r}){place} is for a class of exceptions, such as KeyError"
        )


class ExceptionHandlers:
    """The exception handlers of one server, by the class of exceptions that each takes."""

    def __init__(self) -> None:
        self._handlers: dict[type[Exception], ExceptionHandler] = {}

    def __bool__(self) -> bool:
        return bool(self._handlers)

    def add(self, error_class: type[Exception], handler: ExceptionHandler) -> None:
        """Register a handler for an exception class and its subclasses; `check_error_class` has accepted the class."""
        if issubclass(error_class, ActionError):
            raise RegistrationError(
                f"@server.exception_handler({error_class.__name__}): that is an answer; middleware sees it pass"
            )
        if error_class in self._handlers:
            raise RegistrationError(
                f"@server.exception_handler({error_class.__name__}) is used twice: {name_place(handler)} is the second"
            )
        check_hook(f"the exception handler of {error_class.__name__}", handler, ("call", "error"))
        self._handlers[error_class] = handler

    def around(self, handle: Answer) -> Answer:
        """Return a function that calls `handle` and hands its exceptions to the exception handlers."""

        async def caught(call: Call) -> object:
            try:
                return await handle(call)
            except Exception as exc:
                error = _alone(exc)
                handler = self._find(type(error))
                if handler is None or _is_answer(error):
                    raise
                return await handler(call, error)

        return caught

    def _find(self, error_class: type[BaseException]) -> ExceptionHandler | None:
        return next((self._handlers[each] for each in error_class.__mro__ if each in self._handlers), None)


def _is_answer(error: BaseException) -> bool:
    """Tell whether only `ActionError` was raised, which is an answer to the caller and not a bug."""
    if isinstance(error, BaseExceptionGroup):
        return error.split(is_refusal)[1] is None
    return is_refusal(error)


def _alone(error: BaseException) -> BaseException:
    """Return the only exception of a group, as a nursery raises it, or else the error itself."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error
