"""The comparison: a room server as one writes it with trio-websocket alone, without any artificial slowness.

Same behaviour on the wire as `product_server`: join-room, say, ask, others, wait; the sender is overwritten and the
envelope is encoded once for each broadcast. Same behaviour among clients, too: messages to a room are handled one at a
time, so that every member sees them in the same order, and no member waits for the one before: a lock for each room,
and a nursery for each broadcast. With `--loop` one member is sent to after the other, which is the least that a room
server can do: there, one member that does not read holds up the room. No limits, no checks: less work, not more.

Run: python -m tests.benchmarks.plain_server [--loop]; the first line on stdout is the port.
"""

import itertools
import sys
from functools import partial

import msgspec
import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, WebSocketRequest, serve_websocket

QUEUED_MESSAGES = 1_024  # per client, between its reader and its loop; more than any column has in flight
WAIT_SECONDS = 0.001  # what the action "wait" sleeps before it broadcasts; the product's sleeps as long
LIFETIME_SECONDS = 600.0  # far more than any run takes: a server that was left over ends by itself


class Inbound(msgspec.Struct):
    """What a client sends; the body stays raw."""

    action: str
    target: str
    message_body: msgspec.Raw = msgspec.Raw(b"{}")
    id: int | None = None


class OutboundHooks(msgspec.Struct, omit_defaults=True):
    """The five keys of a plain message, in their order on the wire; `id` only in a reply."""

    action: str
    message_body: msgspec.Raw
    is_target_client: bool = msgspec.field(name="IsTargetClient")
    target: str
    sender: str
    id: int | None = None


decode = msgspec.json.Decoder(Inbound).decode
encode = msgspec.json.Encoder().encode
client_numbers = itertools.count(1)

IS_LOOP = "--loop" in sys.argv


class PlainRoom:
    """Who is in a room, and whose turn it is."""

    def __init__(self) -> None:
        self.members: dict[str, WebSocketConnection] = {}  # {client id: connection}
        self.turn = trio.Lock()


Rooms = dict[str, PlainRoom]  # by name


async def serve_client(rooms: Rooms, request: WebSocketRequest) -> None:
    """Handle one client's messages, one at a time, until it is gone."""
    websocket = await request.accept()
    client = f"client-{next(client_numbers)}"
    try:
        while True:
            await handle(rooms, client, websocket, decode(await websocket.get_message()))
    except ConnectionClosed:
        pass
    finally:
        for room in rooms.values():
            room.members.pop(client, None)


async def handle(rooms: Rooms, client: str, websocket: WebSocketConnection, message: Inbound) -> None:
    """Do what one message asks for, then reply if it has an id."""
    if message.action == "join-room":
        rooms.setdefault(message.target, PlainRoom()).members[client] = websocket
    room = rooms.get(message.target)
    if room is None or client not in room.members:
        return
    async with room.turn:
        if message.action != "join-room":
            if message.action == "wait":
                await trio.sleep(WAIT_SECONDS)
            exclude = client if message.action == "others" else None
            await broadcast(room.members, client, message, exclude=exclude)
        if message.id is not None:
            reply = OutboundHooks("reply", msgspec.Raw(b"null"), True, client, "bench", message.id)
            await websocket.send_message(encode(reply).decode())


async def broadcast(
    members: dict[str, WebSocketConnection], sender: str, message: Inbound, *, exclude: str | None
) -> None:
    """Encode once, then send to every member."""
    text = encode(OutboundHooks("say", message.message_body, False, message.target, sender)).decode()
    targets = [(client, websocket) for client, websocket in members.items() if client != exclude]
    if IS_LOOP:
        for client, websocket in targets:
            await send(members, client, websocket, text)
    else:
        async with trio.open_nursery() as nursery:
            for client, websocket in targets:
                nursery.start_soon(send, members, client, websocket, text)


async def send(members: dict[str, WebSocketConnection], client: str, websocket: WebSocketConnection, text: str) -> None:
    """Send to one member; one that is gone is no member any more."""
    try:
        await websocket.send_message(text)
    except ConnectionClosed:
        members.pop(client, None)


async def main() -> None:
    """Listen on a free port of 127.0.0.1 and say which."""
    rooms: Rooms = {}
    serve = partial(serve_websocket, ssl_context=None, message_queue_size=QUEUED_MESSAGES)
    with trio.move_on_after(LIFETIME_SECONDS):
        async with trio.open_nursery() as nursery:
            server = await nursery.start(serve, partial(serve_client, rooms), "127.0.0.1", 0)
            print(server.port, flush=True)


if __name__ == "__main__":
    trio.run(main)
