"""Running: a handler that ends with its client, as the session sees it."""

from typing import Protocol

from ..errors import ActionError


class Running(Protocol):
    """A running handler that ends with its caller, as the session sees it: a `HandlerScope`."""

    id: str | int | None

    @property
    def runtime(self) -> object:
        """The room that it runs in."""

    def end(self, error: ActionError) -> None:
        """Cancel the handler, and answer its caller with `error`."""
