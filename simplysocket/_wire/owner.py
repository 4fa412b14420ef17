"""The owner of a writer: the connection, as its writer sees it.

Law: its methods never wait.
"""

from typing import Final, Protocol


class Owner(Protocol):
    """What a writer tells of its connection."""

    def too_slow(self) -> None:
        """The peer reads too slowly: close. What waited has been dropped."""

    def stalled(self) -> None:
        """The peer reads too slowly, and a Close would not reach it either: end at once."""

    def broken(self) -> None:
        """The transport failed: the peer is gone."""

    def end_if_both_closed(self) -> None:
        """The outbox is empty: end the connection if both sides have sent a Close."""

    def start_pump(self) -> None:
        """Frames wait for the first time: start the write pump."""


class _Nobody:
    """The owner of a writer whose connection has ended."""

    def too_slow(self) -> None: ...

    def stalled(self) -> None: ...

    def broken(self) -> None: ...

    def end_if_both_closed(self) -> None: ...

    def start_pump(self) -> None: ...


NOBODY: Final = _Nobody()
