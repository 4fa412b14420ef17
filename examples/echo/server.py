"""The smallest server: it replies to the action `echo` with the body that it got, and serves a page that asks it.

Run it with `python -m examples.echo.server` and open the address that it prints.
"""

from pathlib import Path
from typing import Any

from simplysocket import Server

server = Server("echo")
server.static("/", Path(__file__).with_name("static"))


@server.action("echo")
async def echo(body: Any) -> Any:  # Any: any JSON value
    return body


if __name__ == "__main__":
    server.run()
