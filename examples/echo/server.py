"""The smallest server there is: whatever comes with the action `echo` is the reply."""

from typing import Any

from simplysocket import Server

server = Server("echo")


@server.action("echo")
async def echo(body: Any) -> Any:  # Any: whatever JSON holds
    return body


if __name__ == "__main__":
    server.run()
