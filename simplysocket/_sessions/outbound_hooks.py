"""OutboundHooks hooks: what may change or stop what the application says, before it is encoded.

Laws: plain functions, called once for each message, a broadcast being one. What
asks and answers (requests, replies, errors) passes them by, so that nobody waits
in vain. A bug in a hook stops the message, since it may have been there to hide
something; it is logged and counted.
"""

import inspect
import logging
from collections.abc import Callable
from typing import TypeAlias, TypeVar

from .._functions import name_place
from .._protocol import codec
from ..errors import RegistrationError
from ..message import Message
from ..metrics import Metrics

logger = logging.getLogger("simplysocket.outbound")

OutboundHook: TypeAlias = Callable[[Message], Message | None]
Hook = TypeVar("Hook", bound=OutboundHook)


class OutboundHooks:
    """The hooks of a server."""

    def __init__(self, metrics: Metrics) -> None:
        self.hooks: list[OutboundHook] = []
        self._metrics = metrics

    def add(self, hook: OutboundHook) -> None:
        """Register a hook behind those there are."""
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
        """Return what becomes of a message; None when it is stopped. Only action, body and sender may change."""
        if isinstance(body, codec.Raw):
            body = codec.decode_body(body)  # `BadBody` is for who sent it
        message: Message | None = Message(action, body, target, target_client, sender)
        for hook in self.hooks:
            try:
                message = hook(message) if message is not None else None
                if not isinstance(message, (Message, type(None))):
                    raise TypeError(f"an outbound hook returns a Message or None, not {message!r:.200}")
                if message is not None and message.body is not body:
                    codec.encode_body(message.body)  # here, where it costs this message and nobody else
            except* Exception:
                place = name_place(hook)
                logger.exception("the outbound hook %.300r failed; the message %.64r is stopped", place, action)
                message = None
        if message is None:
            self._metrics.messages_stopped += 1
        return message
