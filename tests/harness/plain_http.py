"""Plain HTTP: request heads without an upgrade, and answers to them in memory."""

from typing import Any, Final  # Any: the arguments of `plain_head`

from simplysocket.testing import Net

from .attacker import Answer, send_head
from .frames import head

BROWSER: Final = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
"""The Accept of a browser that opens a page."""


def plain_head(target: str, *more: str, method: str = "GET", version: str = "1.1", **headers: str | None) -> bytes:
    """Return a request head that asks for no upgrade; `more` and `headers` are those of `head`."""
    plain = dict.fromkeys(("upgrade", "connection", "sec_websocket_key", "sec_websocket_version"))
    return head(f"{method} {target} HTTP/{version}", *more, **(plain | headers))


async def request_plain(net: Net, target: str, *more: str, **headers: Any) -> Answer:
    """Connect in memory, send one plain request, and read the answer; the arguments are those of `plain_head`."""
    _, answer = await send_head(net, plain_head(target, *more, **headers))
    return answer
