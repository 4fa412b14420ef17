"""The chain: middleware and exception handlers around one handler.

Laws: a chain is built once for an action and a room, not for each message; where
there is no middleware there is no chain. The first one written is the outermost.
"""

from collections.abc import Iterable
from typing import Any

from .._functions import check_hook, name_place, source_of
from ..errors import ActionError, RegistrationError
from ..middleware import MIDDLEWARE_MARK, Call, ExceptionHandler, Middleware
from ..room import Room
from .signature import Answer


def middleware_of(room_class: type[Room[Any]]) -> list[Middleware]:
    """Return the middleware of a room class, in the order written, that of its bases first."""
    names = [
        name
        for base in reversed(room_class.__mro__)
        for name, value in vars(base).items()
        if hasattr(value, MIDDLEWARE_MARK)
    ]
    return [_bound(name) for name in dict.fromkeys(names) if hasattr(getattr(room_class, name), MIDDLEWARE_MARK)]


def _bound(name: str) -> Middleware:
    return lambda call, next: getattr(call.room, name)(call, next)


def chain(wares: Iterable[Middleware], handle: Answer) -> Answer:
    """Return one call through all of the middleware to the handler."""
    for ware in reversed(list(wares)):
        handle = _link(ware, handle)
    return handle


def _link(ware: Middleware, next: Any) -> Answer:  # Any: a handler's call, which is a coroutine as `Next` says
    return lambda call: ware(call, next)


def check_error_class(error_class: object) -> None:
    """Refuse what is no class of exceptions; a decorator without its parentheses, too."""
    if not (isinstance(error_class, type) and issubclass(error_class, Exception)):
        place = f" ({source_of(error_class)})" if source_of(error_class) else ""
        raise RegistrationError(
            f"@server.exception_handler({error_class!r}){place} is for a class of exceptions, such as KeyError"
        )


class ExceptionHandlers:
    """Which exception handler takes what."""

    def __init__(self) -> None:
        self._handlers: dict[type[Exception], ExceptionHandler] = {}

    def __bool__(self) -> bool:
        return bool(self._handlers)

    def add(self, error_class: type[Exception], handler: ExceptionHandler) -> None:
        """Register a handler for an exception class, which was checked, and those below it."""
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
        """Return `handle` with its exceptions handed to whom they belong."""

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
    """Tell whether all that was raised is what the caller is to be told."""
    if isinstance(error, BaseExceptionGroup):
        return error.split(ActionError)[1] is None
    return isinstance(error, ActionError)


def _alone(error: BaseException) -> BaseException:
    """Return the one exception that a group holds, if it holds just one, as nurseries raise it."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error
