"""Servers that read one large message in many fragments and answer it: the product, or plain trio-websocket.

Run: python -m tests.benchmarks.fragment_server product|plain; the first line on stdout is the port, and for the product
the package's file. Both decode the envelope with msgspec, leave the body raw, and reply with its length.
"""

import sys
from functools import partial

import msgspec
import trio
from trio_websocket import ConnectionClosed, WebSocketRequest, serve_websocket

import simplysocket
from simplysocket import Limits, Server
from tests.benchmarks.plain_server import LIFETIME_SECONDS, OutboundHooks, decode, encode

LARGEST_BYTES = 2**25  # of one message; far more than is sent

server = Server(
    "bench",
    limits=Limits(
        message_bytes=LARGEST_BYTES,
        fragments=None,
        fragments_per_second=None,
        bytes_per_second=1e12,
        bytes_burst=10**12,
    ),
)


@server.action("measure")
async def measure(body: msgspec.Raw) -> int:
    """Reply with the length of the body."""
    return len(bytes(body))


async def serve_product() -> None:
    """Serve with simplysocket."""
    async with trio.open_nursery() as nursery:
        await nursery.start(server.serve, "127.0.0.1", 0)
        print(server.port, simplysocket.__file__, flush=True)


async def answer_client(request: WebSocketRequest) -> None:
    """Reply to each message of one client until it is gone."""
    websocket = await request.accept()
    try:
        while True:
            message = decode(await websocket.get_message())
            result = msgspec.Raw(encode(len(bytes(message.message_body))))
            await websocket.send_message(encode(OutboundHooks("reply", result, True, "", "bench", message.id)).decode())
    except ConnectionClosed:
        pass


async def serve_plain() -> None:
    """Serve with trio-websocket alone."""
    async with trio.open_nursery() as nursery:
        serve = partial(serve_websocket, ssl_context=None, max_message_size=LARGEST_BYTES)
        plain = await nursery.start(serve, answer_client, "127.0.0.1", 0)
        print(plain.port, flush=True)


async def main(kind: str) -> None:
    """Serve for a bounded time."""
    with trio.move_on_after(LIFETIME_SECONDS):
        await {"product": serve_product, "plain": serve_plain}[kind]()


if __name__ == "__main__":
    trio.run(main, *sys.argv[1:])
