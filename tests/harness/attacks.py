"""What attackers send, as data for the suite and for `make bystander`: each of it has hurt the clients of some server.

Law: an input is bytes. How it is brought to a server, and what is looked at meanwhile, is not known here.
"""

import json
from collections.abc import Callable, Sequence

import attrs

from .frames import CONTINUATION, PING, PONG, TEXT, frame, head, message

SEGMENT = 65_536  # bytes that one connection has waiting for the server at a time
LARGE = "x" * 65_000  # nearly a whole `Limits.message_bytes`
VICTIM = "{victim}"  # stands for the id of a client that has done nothing

Says = Callable[[int], bytes]  # the bytes of the connection with this number


def _nothing(number: int) -> bytes:
    return b""


@attrs.frozen
class AttackInput:
    """One attack: what each of its connections sends, once it has shaken hands."""

    name: str
    says: Says  # again and again
    first: Says = _nothing  # once, before the attack begins; each message in it is answered
    connections: int = 100  # all from one address, and as many as an address may have
    reads: bool = True  # what the server sends
    shakes_hands: bool = True  # False: what it says comes instead of a request head
    comes_again: bool = False  # it leaves when it has said that, and connects anew

    def __str__(self) -> str:
        return self.name.replace(" ", "-")


def segment(data: bytes) -> Says:
    """Return what fills a segment with copies of these bytes."""
    repeated = data * max(1, SEGMENT // len(data))
    return lambda number: repeated


def joins(room: str) -> Says:
    """Return a join; `{}` in the room's name is the number of the connection."""
    return lambda number: message("join-room", {"roomname": room.format(number)}, id=0)


def joins_of_many_rooms(number: int) -> bytes:
    """Return joins of as many rooms as one connection may join at once."""
    rooms = [f"listed-{number}-{each}" for each in range(19)]
    return b"".join(message("join-room", {"roomname": room}) for room in rooms) + joins("listed-{}")(number)


def many(messages: Sequence[bytes]) -> Says:
    """Return these messages, the same for every connection."""
    data = b"".join(messages)
    return lambda number: data


def _heads(name: str, request_head: bytes) -> AttackInput:
    return AttackInput(name, lambda number: request_head, shakes_hands=False, comes_again=True)


_FRAGMENT = frame(b"a", CONTINUATION, final=False)
_FRAGMENTED = frame(b'{"action":"', TEXT, final=False) + _FRAGMENT * 1_000 + frame(b'"}', CONTINUATION)
_ERROR_TEXT = "missing required field `" * 2_500
_BODY = json.dumps([{}] * 16_000)

READING = (
    AttackInput("empty pings", segment(frame(b"", PING))),
    AttackInput("empty pongs", segment(frame(b"", PONG))),
    AttackInput("fragments of one byte", segment(_FRAGMENTED)),
    AttackInput("fragments of no bytes", segment(frame(b"", CONTINUATION, final=False))),
    AttackInput("messages over the rate", segment(message("echo", 1, id=1))),
    AttackInput("messages without an id", segment(message("echo", 1))),
    AttackInput("joins without a name", segment(message("join-room", {}, id=1))),
    AttackInput("bad JSON", segment(frame("{"))),
    AttackInput("cancels of unknown ids", segment(message("cancel", None, id=99))),
    AttackInput("replies to no request", segment(message("reply", None, id=99))),
)
"""Small frames in large numbers."""

TEXTS = (
    AttackInput("error texts", many([message("choose", {"role": _ERROR_TEXT}, id=1)] * 4)),
    AttackInput("names that nearly match", many([message("join-room", {"roomname": "match" + "-" * 195}, id=1)] * 20)),
    AttackInput(
        "invented error codes",
        many(
            [message("ask", None)]
            + [message("error", {"code": f"{id}-{LARGE[:60_000]}", "retry_after": 1e300}, id=id) for id in range(1, 4)]
        ),
    ),
    AttackInput("dense bodies", many([frame(f'{{"action":"echo","id":1,"message_body":{_BODY}}}')] * 4)),
    AttackInput("dear numbers", many([frame('{"action":"echo","message_body":[' + "1e308," * 10_500 + "1]}")] * 4)),
    AttackInput("strings without an end", many([frame('"\\' * 30_000 + "[" * 900)] * 4)),
    AttackInput("deep bodies", many([frame(f'{{"action":"echo","id":1,"message_body":{"[" * 30_000}')] * 4)),
)
"""Texts that are dear to look at."""

ROOMS = (
    AttackInput(
        "joins with large options",
        lambda number: b"".join(
            message("join-room", {"roomname": f"hall-{number}-{each}", "o": LARGE}, id=1) for each in range(20)
        ),
    ),
    AttackInput(
        "a room with each join",
        lambda number: b"".join(message("join-room", {"roomname": f"n{number}-{each}"}, id=1) for each in range(20)),
    ),
    AttackInput("lists of rooms", segment(message("list-rooms", None, id=1))),
    AttackInput("lists of members", segment(message("who", None, target="hall", id=1)), joins("hall")),
    AttackInput(
        "joins and leaves",
        many([message("leave-room", None, target="open", id=1), message("join-room", {"roomname": "open"}, id=1)] * 10),
        joins("open"),
    ),
    AttackInput("renames in the chat", segment(message("rename", "someone", id=1)), joins("hall")),
)
"""Rooms in large numbers, and answers that grow with them."""

FANOUT = (
    AttackInput("large relays", many([message("say", LARGE, target="hall")]), joins("hall"), connections=20),
    AttackInput("large direct messages", many([message("hi", LARGE, target=VICTIM)]), joins("hall"), connections=20),
    AttackInput("a room of many words", many([message("say", 1, target="hall")] * 200), joins("hall"), connections=49),
    AttackInput("silent readers", many([message("echo", LARGE, id=1)] * 8), reads=False),
    AttackInput("silent members", many([message("say", LARGE, target="hall")]), joins("hall"), 20, reads=False),
)
"""Much that is said at once, and readers that do not read."""

TURNS = (
    AttackInput("a busy room", many([message("burn", target="hall")] * 16), joins("hall"), connections=8),
    AttackInput("a hundred busy rooms", lambda number: message("burn", target=f"hall-{number}"), joins("hall-{}")),
    AttackInput("a room that is held", many([message("wait", 0.005, target="hall")] * 16), joins("hall"), 8),
    AttackInput("joins that are refused slowly", many([message("join-room", {"roomname": "guarded"}, id=1)] * 5)),
    AttackInput("handlers that fail", segment(message("fail", id=1))),
    AttackInput(
        "messages behind a slow join",
        many([message("join-room", {"roomname": "guarded"}, id=1), *[message("say", 1, target="guarded")] * 20]),
    ),
    AttackInput(
        "a room that ends while much waits",
        many(
            [
                message("join-room", {"roomname": "hall-end"}, id=1),
                *[message("wait", 0.002, target="hall-end")] * 150,
                message("end", target="hall-end"),
            ]
        ),
        joins("hall-end"),
    ),
    AttackInput("handlers outside the turn", segment(message("linger", id=1))),
)
"""Work of the application's, in the turns of its rooms and outside of them."""

ARRIVALS = (
    AttackInput("connections that vanish", _nothing, comes_again=True),
    AttackInput("members that vanish", joins("hall-{}"), comes_again=True),
    AttackInput("members of many rooms that vanish", joins_of_many_rooms, connections=10, comes_again=True),
    AttackInput("connections that say nothing", _nothing, shakes_hands=False, comes_again=True),
    _heads("requests that are refused", head(origin="https://evil.example")),
    _heads("plain requests", head("GET /health HTTP/1.1", upgrade=None)),
    _heads("failed logins", head("GET /ws?login=no HTTP/1.1")),
    _heads("long request heads", head(cookie="x" * 15_000)[:-4]),
    _heads("heads of many lines", head("GET /ws HTTP/1.1", *["A:"] * 15_000)),
    _heads("heads of many spaces", head("GET /ws HTTP/1.1", "A:" + " " * 60_000 + "\0")),
)
"""Connections in large numbers. What the server has answered and closed connects anew."""

ATTACKS = (*READING, *TEXTS, *ROOMS, *FANOUT, *TURNS, *ARRIVALS)
