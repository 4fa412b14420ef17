"""The smallest server: it replies to the action `echo` with the body that it got."""

from typing import Any

from simplysocket import Server

server = Server("echo")


@server.action("echo")
async def echo(body: Any) -> Any:  # Any: any JSON value
    return body


if __name__ == "__main__":
    server.run()
