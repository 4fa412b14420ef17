"""Views of the messages that a client has received, and requests that are expected to be refused."""

from typing import Any  # Any: JSON

import msgspec
import pytest

from simplysocket import ActionError
from simplysocket._protocol.frames import client_frame
from simplysocket.testing import TestClient


def actions_of(messages: list[dict[str, Any]]) -> list[str]:
    """Return the action of each message."""
    return [message["action"] for message in messages]


def bodies_of(messages: list[dict[str, Any]], action: str) -> list[Any]:
    """Return the bodies of the messages of one action."""
    return [message["message_body"] for message in messages if message["action"] == action]


def answers_of(messages: list[dict[str, Any]], id: str | int) -> list[Any]:
    """Return the answers to one request: the body of a `reply`, the code of an `error`."""
    return [
        message["message_body"] if message["action"] == "reply" else message["message_body"]["code"]
        for message in messages
        if message.get("id") == id
    ]


async def code_of(client: TestClient, action: str, body: object = None, **keys: Any) -> str:
    """Send a request that the server refuses, and return the error code."""
    with pytest.raises(ActionError) as caught:
        await client.request(action, body, **keys)
    return caught.value.code


async def send_together(client: TestClient, *messages: dict[str, Any]) -> None:
    """Send several messages at once, so that the server reads them at once."""
    await client.send_bytes(b"".join(client_frame(msgspec.json.encode(each), key=b"1234") for each in messages))
