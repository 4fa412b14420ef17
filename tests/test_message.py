"""Messages."""

import attrs
import pytest

from simplysocket.message import Message


def test_a_message_never_changes() -> None:
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        Message("a").action = "b"  # type: ignore[misc]
