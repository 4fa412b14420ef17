"""What mypy says of common mistakes: `# E:` and some of its words, on every line it must complain of, and on no other.

`# M:` is what it cannot see, since a hook may take fewer arguments than it is offered. Checked by
test_types.py, with --strict and the error code unused-awaitable.
"""

from typing import Any

import attrs
import trio

from simplysocket import (
    ActionError,
    Actions,
    Call,
    Client,
    Identity,
    Limits,
    Message,
    Next,
    Request,
    Room,
    Server,
    action,
    from_thread,
    middleware,
)


@attrs.define
class Player:
    score: int = 0


@attrs.frozen
class Guess:
    word: str


# --- options

server = Server(Limits())  # E: "Server" has incompatible type "Limits"; expected "str"
server = Server(limits={"message_bytes": 10})  # E: "limits" to "Server" has incompatible type
server = Server(state=Player())  # E: "state" to "Server" has incompatible type "Player"
server = Server(broker="redis://localhost")  # E: "broker" to "Server" has incompatible type "str"
server = Server(path=80)  # E: "path" to "Server" has incompatible type "int"
server = Server(trusted_proxy=["10.0.0.1"])  # E: Unexpected keyword argument "trusted_proxy"
server = Server(origins="https://example.com")  # E: "origins" to "Server" has incompatible type "str"
server = Server(hosts="example.com")  # E: "hosts" to "Server" has incompatible type "str"
server = Server(trusted_proxies="10.0.0.1")  # E: "trusted_proxies" to "Server" has incompatible type "str"
server = Server(state=Player)
Limits(message_bytes="10")  # E: "message_bytes" to "Limits" has incompatible type "str"
Limits(close_seconds=None)  # E: "close_seconds" to "Limits" has incompatible type "None"
Limits(max_message_bytes=10)  # E: Unexpected keyword argument "max_message_bytes"
Identity(5)  # E: "Identity" has incompatible type "int"; expected "str"


# --- handlers


@server.action("plain")  # E: Value of type variable "Handler"
def plain(client: Client[Player]) -> None: ...


@server.action  # E: "action" of "Server" has incompatible type
async def without_a_name(client: Client[Player]) -> None: ...


@server.action("act", turns=False)  # E: Unexpected keyword argument "turns"
async def misspelt(client: Client[Player]) -> None: ...


@server.action("typed")
async def typed(client: Client[Player], room: Room[Player], call: Call, body: Guess) -> dict[str, int]:
    room.broadcast("hello")  # E: must be used
    client.send("hello")  # E: must be used
    client.join("hall")  # E: must be used
    room.kick(client)  # E: must be used
    print(client.state.points)  # E: "Player" has no attribute "points"
    client.state.score = "many"  # E: expression has type "str", variable has type "int"
    client.state = {}  # E: expression has type "dict[Never, Never]", variable has type "Player"
    print(body.text)  # E: "Guess" has no attribute "text"
    print(client.nick)  # E: "Client[Player]" has no attribute "nick"
    print(call.body)  # E: "Call" has no attribute "body"
    print(client.user.upper())  # E: Item "None" of "str | None" has no attribute "upper"
    await room.send(client.id, "hello")  # E: "send" of "Room" has incompatible type "str"; expected "Client[Any]"
    await room.send("hello", client)  # E: expected "Client[Any]"  # E: expected "str"
    await room.kick(client.id)  # E: "kick" of "Room" has incompatible type "str"
    await room.broadcast("hello", exclude=client.id)  # E: "exclude" to "broadcast" of "Room"
    await room.broadcast("hello", exclude=[client.id])  # E: List item 0 has incompatible type "str"
    await room.broadcast("hello", sender=5)  # E: "sender" to "broadcast" of "Room"
    await room.broadcast({"text": "hello"})  # E: "broadcast" of "Room" has incompatible type "dict[str, str]"
    await client.send({"text": "hello"})  # E: "send" of "Client" has incompatible type "dict[str, str]"
    await client.send("hello", room=room)  # E: Unexpected keyword argument "room"
    await client.join(room)  # E: "join" of "Client" has incompatible type "Room[Player]"
    await client.close("bye")  # E: "close" of "Client" has incompatible type "str"
    await client.request("ask", timeout="5")  # E: "timeout" to "request" of "Client"
    for member in room.members:
        await room.send(member, "hello")  # E: "send" of "Room" has incompatible type "str"
    room.members[client.id] = client  # E: Unsupported target for indexed assignment
    raise ActionError(404, "not found")  # E: "ActionError" has incompatible type "int"


@server.action("typed-reply")
async def typed_reply(client: Client[Player]) -> dict[str, int]:
    return client.state.score  # E: got "int", expected "dict[str, int]"


@server.action("bare")
async def bare(client: Client, room: Room) -> None:
    print(client.state.score)  # E: "dict[str, Any]" has no attribute "score"
    print(room.score)  # E: "Room[dict[str, Any]]" has no attribute "score"


chat = Actions("chat.")
server.include(Actions)  # E: "include" of "Server" has incompatible type "type[Actions]"


@chat.action("say")  # E: Value of type variable "Handler"
def say(client: Client[Player]) -> None: ...


# --- around handlers


@server.middleware  # E: Value of type variable "Ware"
def sync_middleware(call: Call, next: Next) -> object: ...


@server.middleware
async def misused(call: Call, next: Next) -> object:
    await next()  # E: Too few arguments
    next(call)  # E: must be used
    return await next(call.message)  # E: Argument 1 has incompatible type "Message"; expected "Call"


@server.middleware  # E: Value of type variable
async def only_the_call(call: Call) -> object: ...


@chat.middleware  # E: Value of type variable
async def wrong_next(call: Call, next: Client[Player]) -> object: ...


@server.exception_handler(KeyError)  # E: incompatible type
async def another_error(call: Call, error: ValueError) -> object: ...


@server.exception_handler(BaseException)  # E: cannot be "BaseException"
async def everything(call: Call, error: BaseException) -> object: ...


@server.exception_handler  # E: Value of type variable "Error"  # E: incompatible type
async def nothing(call: Call, error: Exception) -> object: ...


@server.exception_handler(KeyError)  # E: incompatible type
async def only_the_error(error: KeyError) -> object: ...


@server.outbound  # E: Value of type variable "Hook"
async def async_hook(message: Message) -> Message:
    return message


@server.authenticate  # E: Value of type variable "Asked"
async def no_identity(request: Request) -> str:
    return request.path


@server.on_connect  # E: Value of type variable "Connecting"
def sync_hello(client: Client[Player]) -> None: ...


@server.on_connect  # E: Value of type variable
async def swapped(request: Request, client: Client[Player]) -> None: ...


@server.on_disconnect  # E: Value of type variable
async def only_the_reason(reason: str) -> None: ...


# --- rooms


@server.room("none")
class NoRoom: ...  # E: Value of type variable "RoomClass"


class Odd(Room[Player]):
    capacity = "ten"  # E: expression has type "str"
    announce = "no"  # E: expression has type "str"
    empty_ttl = "1 s"  # E: expression has type "str"

    async def on_create(self) -> None:
        print(self.creator.name)  # E: Item "None" of "Client[Player] | None" has no attribute "name"
        self.after(5, self.beat())  # E: "after" of "Room" has incompatible type
        self.every(1, self.plain)  # E: "every" of "Room" has incompatible type
        self.after(self.beat, 5)  # E: expected "float"  # E: expected "Callable
        self.after(1, self.watch, "3")  # E: "after" of "Room" has incompatible type
        self.every(1, self.watch)  # E: "every" of "Room" has incompatible type
        self.start_soon(self.beat())  # E: "start_soon" of "Room" has incompatible type
        self.start_soon(self.plain)  # E: "start_soon" of "Room" has incompatible type
        self.start_soon(self.watch, "3")  # E: "start_soon" of "Room" has incompatible type
        self.start_soon(self.watch)  # E: "start_soon" of "Room" has incompatible type
        self.broadcast("hello")  # E: must be used
        self.close()  # E: must be used
        print(self.members["a"].state.points)  # E: "Player" has no attribute "points"
        print(self.members["a"].rooms["hall"].score)  # E: "Room[Any]" has no attribute "score"
        print(self.server.prot)  # E: "Server" has no attribute "prot"
        self.server.broadcast("news")  # E: must be used
        self.tick(20, self.beat)  # E: expected "Callable[[float], Awaitable[object]]"
        self.tick(self.beat, 20)  # E: expected "float"  # E: expected "Callable

    async def beat(self) -> None: ...

    async def watch(self, seconds: float) -> None: ...

    def plain(self) -> None: ...

    async def on_auth(self, options: dict[str, Any]) -> None: ...  # M: incompatible with supertype

    async def on_join(self, client: Client[Player], options: object) -> None: ...  # M: incompatible with supertype

    def on_leave(self, client: Client[Player]) -> None: ...  # M: incompatible with supertype

    async def on_close(self, client: Client[Player]) -> None: ...  # M: incompatible with supertype

    @action("act")  # E: Value of type variable "Handler"
    def act(self, client: Client[Player]) -> None: ...

    @action  # E: "action" has incompatible type
    async def nameless(self) -> None: ...  # E: "self" parameter missing

    @middleware  # E: Value of type variable "WareMethod"
    def sync_middleware(self, call: Call, next: Next) -> object: ...

    @middleware  # E: Value of type variable
    async def without_next(self, call: Call) -> object: ...

    async def broadcast(self, text: str) -> None: ...  # E: Signature of "broadcast" incompatible with supertype


# --- outside of handlers


async def outside() -> None:
    server.broadcast("hello")  # E: must be used
    server.stop()  # E: must be used
    print(server.rooms["hall"].score)  # E: "Room[Any]" has no attribute "score"
    await server.serve("localhost", "8080")  # E: "serve" of "Server" has incompatible type "str"
    await server.serve(unix="a", ssl_context="cert.pem")  # E: "ssl_context" to "serve" of "Server"
    server.run(8080)  # E: "run" of "Server" has incompatible type "int"
    server.run(prt=8080)  # E: Unexpected keyword argument "prt"
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.serve())  # E: "start_soon" of "Nursery" has incompatible type


def in_a_thread() -> None:
    from_thread.run(server, server.broadcast("news"))  # E: "run" has incompatible type
    from_thread.run(server, server.broadcast)  # E: "run" has incompatible type
    from_thread.run(server, server.open_room, 5)  # E: "run" has incompatible type
    from_thread.run(server.broadcast, "news")  # E: expected "Server"  # E: expected "Callable
    from_thread.run_sync(server.broadcast, print)  # E: "run_sync" has incompatible type
