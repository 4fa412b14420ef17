"""Outbound hooks: functions that may change or stop the application's messages before they are encoded.

Laws:
- Hooks are plain functions, called once for each message. A broadcast is one message.
- Requests, replies and errors do not go through the hooks, so that every caller gets its answer.
- A hook that raises stops the message, since the hook may be there to hide something. The
  failure is logged and counted.
"""

import inspect
import logging
from collections.abc import Callable
from typing import TypeAlias, TypeVar

from .._boundary import PASSING, SHOWN
from .._functions import name_place
from .._log_limit import PLACE
from .._protocol import codec
from ..errors import RegistrationError
from ..message import Message
from ..metrics import Metrics

logger = logging.getLogger("simplysocket.outbound")

OutboundHook: TypeAlias = Callable[[Message], Message | None]
Hook = TypeVar("Hook", bound=OutboundHook)


class OutboundHooks:
    """The outbound hooks of one server."""

    def __init__(self, metrics: Metrics) -> None:
        self.hooks: list[OutboundHook] = []
        self._metrics = metrics

    def add(self, hook: OutboundHook) -> None:
        """Register a hook, to be called after those that are registered already."""
        name = name_place(hook)
        is_async = inspect.iscoroutinefunction(hook) or inspect.iscoroutinefunction(type(hook).__call__)
        if not callable(hook) or is_async:
            raise RegistrationError(f"the outbound hook {name} must be a plain `def (message)`: sending never waits")
        try:
            inspect.signature(hook).bind(None)
        except TypeError as exc:
            raise RegistrationError(f"the outbound hook {name} does not take `(message)`: {exc}") from None
        self.hooks.append(hook)

    def pass_through(
        self, action: str, body: object, target: str, sender: str, *, target_client: bool = False
    ) -> Message | None:
        """Return the message as the hooks leave it, or None if one of them stops it.

        Hooks may change the action, the body and the sender; callers ignore any other change.
        """
        if isinstance(body, codec.Raw):
            body = codec.decode_body(body)  # `BadBody` goes to the sender
        elif body is codec.NO_BODY:
            body = {}
        message: Message | None = Message(action, body, target, target_client, sender)
        for hook in self.hooks:
            seen = message
            try:
                with SHOWN:
                    message = hook(message) if message is not None else None
                if not isinstance(message, (Message, type(None))):
                    raise TypeError(f"an outbound hook returns a Message or None, not {message!r:.200}")
                if message is not None and message is not seen:
                    _check(message, body)
            except* PASSING:
                raise
            except* BaseException:
                place = name_place(hook)
                logger.exception(
                    "the outbound hook %.300r failed; the message %.64r is stopped", place, action, extra={PLACE: place}
                )
                message = None
        if message is None:
            self._metrics.messages_stopped += 1
        return message


def _check(message: Message, body: object) -> None:
    """Refuse what a hook has made of a message if it cannot be sent; here the error costs only this message.

    `body` is the one that the hooks were given, whose errors are its sender's.
    """
    if not isinstance(message.action, str) or not isinstance(message.sender, str):
        raise TypeError(f"an outbound hook has set {message.action!r:.100} by {message.sender!r:.100}: give two texts")
    changed = codec.EMPTY if message.body is body else message.body
    codec.encode(message.action, changed, "", message.sender)
