"""Limits for tests: their names, values that many tests give, and which of them may be None."""

from typing import Final

import attrs

from simplysocket import Limits

LIMITS: Final = tuple(field.name for field in attrs.fields(Limits))
"""The names of all limits."""
UNLIMITED: Final = {
    "joins_per_second": None,
    "messages_per_second": None,
    "bytes_per_second": None,
    "room_bytes_per_second": None,
    "inbox_per_client": None,
    "blocked_seconds": None,  # a warning that comes on a busy machine, where a test counts the lines of the log
}
"""The limits that a fast test client reaches first; lifted, except where they are what is tested."""
UNBOUNDED: Final = {"inbox_messages": None, "intake_messages": None, "intake_bytes": None}
"""The limits that hold back what a client sends to a room; lifted where a test needs much at once."""
IMPATIENT: Final = {"close_seconds": 0.2, "handshake_seconds": 0.3, "write_seconds": 0.5, "blocked_seconds": None}


def can_be_lifted(name: str) -> bool:
    """Tell whether this limit may be None."""
    try:
        Limits(**{name: None})
    except ValueError:
        return False
    return True
