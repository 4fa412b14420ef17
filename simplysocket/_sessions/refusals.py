"""Refusals: what a client is told about an error, and what is kept from it.

Law: what one client says in an error is never said to another in the server's name.
"""

import logging

from .._functions import line_of
from .._log_limit import PLACE
from .._protocol.error_texts import shorten
from ..errors import ActionError, PeerError
from ..metrics import Metrics

logger = logging.getLogger("simplysocket.session")


def body_of(error: ActionError, action: str) -> dict[str, object]:
    """Return the body of the `error` that refuses a message of this action."""
    body: dict[str, object] = {"code": error.code, "message": shorten(error.message), "action": action}
    if error.path is not None:
        body["path"] = shorten(error.path)
    if error.retry_after is not None:
        body["retry_after"] = round(error.retry_after, 3)
    return body


def hide(error: PeerError, action: str, metrics: Metrics) -> ActionError:
    """Log and count an error of a client that no code caught; return the one for the caller, without its words."""
    metrics.peer_errors += 1
    place = line_of(error)
    logger.warning(
        "the handler of %.64r did not catch an error at %.300r: %.500r",
        action,
        place or "a place outside your code",
        str(error),
        extra={PLACE: place},
    )
    return ActionError("internal", "a client that was asked has answered with an error")
