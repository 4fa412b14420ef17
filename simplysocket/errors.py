"""Errors: exceptions, error codes and close codes.

Law: words only. An exception tells whose act it was: the developer's
(`RegistrationError`, `EncodeError`), the peer's (`BadMessage`, `PeerError`) or the
world's (`ActionError`, with a code that the peer is answered with).
"""

import enum
import math
from typing import Final, TypeVar

Raised = TypeVar("Raised", bound=BaseException)

# docs/protocol.md, "Error codes". An application may add codes of its own.
ERROR_CODES: Final = frozenset(
    {
        "bad-message",
        "bad-body",
        "unknown-action",
        "unknown-target",
        "not-a-member",
        "forbidden",
        "room-full",
        "room-closed",
        "too-many",
        "busy",
        "rate-limited",
        "too-large",
        "timeout",
        "cancelled",
        "expired",
        "gone",
        "internal",
    }
)


class CloseCode(enum.IntEnum):
    """Why a connection was closed (RFC 6455, 7.4, and docs/protocol.md, "Close codes")."""

    NORMAL = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    UNSUPPORTED_DATA = 1003
    ABNORMAL = 1006  # never sent: recorded by a side that received no Close frame
    INVALID_DATA = 1007
    POLICY = 1008
    TOO_BIG = 1009

    APPLICATION = 3000
    SHUTDOWN = 3001
    INTERNAL = 3004
    EXPIRED = 3005
    SLOW = 3008
    SILENT = 3012
    OVER_RATE = 3013

    BAD_TOKEN = 3500
    BAD_REQUESTS = 3501
    TAKEN_OVER = 3502
    KICKED = 3503
    TOO_MANY = 3504


_DO_NOT_COME_BACK: Final = frozenset({1002, 1003, 1007, 1008, 1009})


def may_come_back(code: int) -> bool:
    """Tell whether a client that was closed with `code` should connect again.

    3000-3499 and 4000-4499 yes, 3500-3999 and 4500-4999 no; of the standard
    codes 1002, 1003, 1007, 1008 and 1009 no, the rest yes.
    """
    if code >= 3000:
        return code % 1000 < 500
    return code not in _DO_NOT_COME_BACK


class SimplySocketError(Exception):
    """The root of every exception that this package raises on purpose."""


class RegistrationError(SimplySocketError):
    """An action, a room class or an option was declared in a way that cannot work."""


class EncodeError(SimplySocketError, ValueError):
    """A body cannot be written as JSON: an unknown type, NaN, or a lone surrogate."""


class Refuse(SimplySocketError):
    """Raised by `authenticate` to refuse a client, with a message that says why.

    `status` is an HTTP status from 400 to 599: 401 when it is not known who the client is, 403
    when it is known but may not connect. A client that offers the subprotocol `simplysocket.json`
    is told of these two by a Close with 3500, which says not to come back, or with 3005 if
    `expired` is True: it may come back with new credentials. All else is answered in HTTP, as
    JSON with `code` and `message`.
    """

    def __init__(self, status: int = 401, message: str = "", *, expired: bool = False) -> None:
        super().__init__(status, message)
        if not (isinstance(status, int) and 400 <= status <= 599):
            raise ValueError(f"Refuse({status!r}): give an HTTP status of 400 to 599 first, then the message")
        if not isinstance(message, str):
            raise TypeError(f"Refuse({status}, {message!r:.100}): the message is a string")
        if expired and status != 401:
            raise ValueError(f"Refuse({status}, expired=True): credentials that have expired are refused with 401")
        self.status = status
        self.message = message
        self.expired = expired


class BadMessage(SimplySocketError):
    """Bytes from a peer are not a message of the protocol.

    `id` is the id of the request, if it could be read: the caller is then answered.
    """

    def __init__(self, message: str, *, path: str | None = None, id: str | int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.path = path
        self.id = id


class ActionError(SimplySocketError):
    """Refuse a request: the caller gets `error` with this code and message.

    Handlers and hooks raise it. The library raises it, too, when a request or a
    join that your code makes is refused. `code` is one of `ERROR_CODES` or a code
    of the application; `retry_after` is in seconds; `path` is a JSON path into the
    body, such as `$.word`. Message and path reach the caller with at most 500 characters
    each: of a longer one the middle is left out.
    """

    def __init__(
        self, code: str, message: str = "", *, retry_after: float | None = None, path: str | None = None
    ) -> None:
        super().__init__(code, message)
        if not isinstance(code, str):
            raise TypeError(f"ActionError({code!r}): the code is a string for programs, such as 'not-your-turn'")
        if retry_after is not None and not _is_time(retry_after):
            raise TypeError(
                f"ActionError({code!r}, retry_after={retry_after!r:.100}): give seconds, as a finite number"
            )
        self.code = code
        self.message = message
        self.retry_after = retry_after
        self.path = path

    def __str__(self) -> str:
        return f"{self.code}: {self.message}" if self.message else self.code


def _is_time(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


_OF_A_REFUSAL: Final = ("code", "message", "retry_after", "path")


def text_of(error: Refuse | ActionError) -> str:
    """Return the message of a refusal as a text, where nothing else can be sent; "" if it has none."""
    message: object = error.message  # the application may have given anything
    return message if isinstance(message, str) else "" if message is None else str(message)


def is_refusal(error: BaseException) -> bool:
    """Tell whether an error is an `ActionError` that its caller can be answered with.

    One whose `__init__` has not called that of `ActionError` has no code: it is a bug, like any other exception.
    """
    if not isinstance(error, ActionError) or not all(hasattr(error, name) for name in _OF_A_REFUSAL):
        return False
    return isinstance(error.code, str) and (error.retry_after is None or _is_time(error.retry_after))


class BadBody(ActionError):
    """The body does not fit the action; `path` says where."""

    def __init__(self, message: str, *, path: str | None = None) -> None:
        super().__init__("bad-body", message, path=path)


class RoomClosed(ActionError):
    """The room is closed or closing, and takes no more messages, joins or tasks."""

    def __init__(self, message: str) -> None:
        super().__init__("room-closed", message)


class Gone(ActionError):
    """The client that should answer has gone."""

    def __init__(self, message: str) -> None:
        super().__init__("gone", message)


_CODE_LENGTH: Final = 64  # characters of an error code at most, as of an action
_MESSAGE_LENGTH: Final = 1_000  # characters of a client's message; longer ones are cut
_PATH_LENGTH: Final = 200  # characters of a client's JSON path; longer ones are cut
_LONGEST_WAIT: Final = 86_400.0  # seconds, a day: a client that asks for more has no wait to tell


class PeerError(ActionError):
    """A client answered a request of the server with an error.

    The words are the client's own, so check them before you rely on them. They are bounded: a
    `code` that does not have 1 to 64 characters becomes `internal`, `message` has at most 1,000
    characters and `path` at most 200, and `retry_after` is None unless it is from 0 to 86,400
    seconds. If no handler catches it, the caller of the handler gets `internal` and none of them.
    """

    def __init__(
        self, code: str, message: str = "", *, retry_after: float | None = None, path: str | None = None
    ) -> None:
        if isinstance(code, str) and not 1 <= len(code) <= _CODE_LENGTH:
            code = "internal"
        if retry_after is not None and not (math.isfinite(retry_after) and 0 <= retry_after <= _LONGEST_WAIT):
            retry_after = None
        path = None if path is None else path[:_PATH_LENGTH]
        super().__init__(code, message[:_MESSAGE_LENGTH], retry_after=retry_after, path=path)

    def __str__(self) -> str:
        # Quoted, since a traceback shows it: a client's text must not begin a new line of a log.
        return f"a client answered {self.code!r}" + (f": {self.message!r}" if self.message else "")


def first_of(group: BaseExceptionGroup[Raised]) -> Raised:
    """Return the first plain exception inside a group."""
    error: Raised | BaseExceptionGroup[Raised] = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def count_of(error: BaseException) -> int:
    """Return the number of plain exceptions inside a group; 1 for a plain exception."""
    return sum(map(count_of, error.exceptions)) if isinstance(error, BaseExceptionGroup) else 1
