"""A server that uses every public name as it is meant; mypy --strict has nothing to say about it, and it registers."""

import time
from pathlib import Path
from typing import Annotated, Any, TypedDict

import attrs
import msgspec
import trio

from simplysocket import (
    GLOBAL_ROOM,
    ActionError,
    Actions,
    BadBody,
    Broker,
    Call,
    Client,
    CloseCode,
    EncodeError,
    Event,
    Gone,
    Identity,
    Limits,
    MemoryBroker,
    Message,
    Next,
    PeerError,
    Reason,
    ReasonKind,
    Refuse,
    RegistrationError,
    Request,
    Room,
    RoomClosed,
    Server,
    SimplySocketError,
    Timer,
    action,
    from_thread,
    hook,
    may_come_back,
    middleware,
)
from simplysocket.testing import ConnectionEnded, open_server

Die = Annotated[int, msgspec.Meta(ge=1, le=6)]


@attrs.define
class Player:
    """The state of a client."""

    score: int = 0
    team: str = ""


@attrs.frozen
class Guess:
    word: str


class Move(msgspec.Struct, tag=True):
    to: int


class Pass(msgspec.Struct, tag=True):
    pass


class Options(TypedDict):
    language: str


broker: Broker = MemoryBroker()
server = Server(
    "typed",
    limits=Limits(message_bytes=10_000, ping_seconds=None),
    path=["/ws", "/old"],
    origins=["https://example.com"],
    hosts=["example.com"],
    trusted_proxies=("10.0.0.0/8", "unix"),
    direct=True,
    open_rooms=False,
    state=Player,
    broker=broker,
)


# --- who comes in


@server.authenticate
async def who(request: Request) -> Identity:
    token = request.token
    if token is None:
        raise Refuse(401, "who are you?")
    claims = {"language": request.headers.get("accept-language", ""), "page": request.cookies.get("page")}
    return Identity(user=token, name=request.query.get("name", ""), claims=claims, expires_at=time.time() + 3_600)


@server.on_connect
async def hello(client: Client[Player], request: Request) -> None:
    client.state.team = request.query.get("team", "red")
    if client.identity is None or client.user is None:
        raise ActionError("forbidden", "nobody is nobody")


@server.on_connect
async def greet(client: Client[Player]) -> None:
    await client.send("hello", {"team": client.state.team, "from": client.address})


@server.on_disconnect
async def see_off(client: Client[Player], reason: str) -> None:
    print(client.name, client.is_gone, reason)


@server.on_disconnect
async def note(client: Client[Player], reason: Reason) -> None:
    print(client.name, reason.kind)


@server.on_disconnect
async def count() -> None:
    print(len(server.clients))


# --- around handlers


@server.middleware
async def log(call: Call, next: Next) -> object:
    started = trio.current_time()
    try:
        return await next(call)
    finally:
        print(call.action, call.client.name, call.room.name, call.is_request, trio.current_time() - started)


@server.exception_handler(KeyError)
async def missing(call: Call, error: KeyError) -> object:
    raise ActionError("not-found", f"{call.message.action}: {error}")


@server.exception_handler(EncodeError)
async def unwritable(call: Call, error: EncodeError) -> dict[str, str]:
    return {"sorry": str(error)}


@server.outbound
def sign(message: Message) -> Message | None:
    if message.action == "secret":
        return None
    return attrs.evolve(message, body={"signed": message.body})


# --- actions


@server.action("time-of-day")
async def time_of_day() -> float:
    return time.time()


@server.action("ask", turn=False)
async def ask(client: Client[Player], server: Server, options: Options) -> str:
    try:
        answer: str = await client.request("question", {"in": options["language"]}, timeout=5)
    except Gone:
        return ""
    except PeerError as error:
        wait: float | None = error.retry_after
        return f"{error.code} {error.message} {error.path} {wait}"
    await server.broadcast("answered", {"by": client.id}, sender=client)
    return answer


@server.action("roll", cancel=True)
async def roll(*, eyes: Die, client: Client[Player]) -> int:
    client.state.score += eyes
    return client.state.score


@server.on_message
async def anything(client: Client[Player], message: Message) -> None:
    print(client, message.body)


chat = Actions(prefix="chat.")


@chat.middleware
async def only_teams(call: Call, next: Next) -> object:
    if not call.client.state.team:
        raise ActionError("forbidden")
    return await next(call.with_body({"text": "..."}))


@chat.action("say")
async def say(client: Client[Player], room: Room[Player], body: dict[str, str]) -> None:
    if "text" not in body:
        raise BadBody("there is nothing in it", path="$.text")
    others = [member for member in room.members.values() if member.state.team != client.state.team]
    await room.broadcast("say", body, sender=client, exclude=others)


server.include(chat)


# --- rooms


@server.room("game-*")
class Game(Room[Player]):
    """A room that overrides every hook, each with what it needs."""

    capacity = 10
    relay = False
    announce = True
    open = True
    empty_ttl = 60.0
    on_crash = "keep"

    async def on_create(self) -> None:
        self.words: list[str] = []
        self.best = 0
        self.timer: Timer = self.every(10, self.beat)
        self.ticking: Timer = self.tick(20, self.step)
        self.after(2.5, self.watch, 3)
        self.after(5, lambda: self.broadcast("soon"))
        self.start_soon(self.watch, 3)
        if self.creator is not None:
            self.best = self.creator.state.score

    async def run(self) -> None:
        async for event in self.events():
            self.note(event)
            if event.message is not None:
                await event.reply(event.message.body)

    def note(self, event: Event[Player]) -> None:
        self.best = max(self.best, event.client.state.score)

    def is_first(self, client: Client[Player]) -> bool:
        return client is self.creator

    def hand(self, client: Client[Player]) -> dict[str, int]:
        return {"score": client.state.score}

    @action("begin", only=is_first)
    async def begin(self) -> None:
        is_private: bool = self.is_locked or self.is_hidden
        (self.lock if is_private else self.hide)()
        await self.send_view(self.hand, "hand")

    async def step(self, dt: float) -> None:
        self.best += round(dt)

    async def beat(self) -> None:
        await self.broadcast("tick", {"words": self.words}, volatile=True)

    def hurry(self) -> None:
        left: float | None = self.timer.seconds_left
        if left is not None and left > 5:
            self.timer.cancel()

    async def watch(self, seconds: float) -> None:
        await trio.sleep(seconds)
        await self.broadcast("scores", [member.state.score for member in self.members.values()], coalesce="scores")

    async def on_auth(self, client: Client[Player], options: dict[str, Any]) -> None:
        if options.get("team") != client.state.team:
            raise ActionError("forbidden", "that is not your team", retry_after=1.5)

    async def on_join(self, client: Client[Player], options: dict[str, Any]) -> None:
        client.state.team = options.get("team", "red")

    async def on_snapshot(self, client: Client[Player]) -> None:
        await self.send(client, "words", self.words)

    async def on_drop(self, client: Client[Player]) -> None:
        connected: bool = client.is_connected
        if not connected and not self.words:
            released: bool = await self.release(client)
            print(released)

    async def on_resume(self, client: Client[Player]) -> None:
        await self.broadcast("back", client.name)

    async def on_leave(self, client: Client[Player], reason: Reason) -> None:
        if reason.kind is not ReasonKind.KICKED:
            await self.broadcast("gone", {"why": reason, "code": reason.code}, sender=client, exclude=client)

    async def on_message(self, client: Client[Player], message: Message) -> object:
        return {"unknown": message.action, "to": client.name}

    async def on_error(self, error: BaseException, client: Client[Player] | None) -> None:
        await self.broadcast("bug", {"whose": client.name if client is not None else ""})

    async def on_close(self, reason: str) -> None:
        self.timer.cancel()

    @middleware
    async def only_players(self, call: Call, next: Next) -> object:
        if call.client.id not in self.members:
            raise ActionError("not-a-member")
        return await next(call)

    @action("guess")
    async def guess(self, client: Client[Player], body: Guess) -> dict[str, bool]:
        self.words.append(body.word)
        client.state.score += len(body.word)
        return {"accepted": True}

    @action("move", turn=False)
    async def move(self, call: Call, body: Move | Pass) -> int | None:
        return body.to if isinstance(body, Move) else None

    @action("where")
    async def where(self, client: Client[Player], call: Call) -> dict[str, object]:
        rooms: dict[str, Room[Any]] = client.rooms
        ports: list[int] = [self.server.port, call.server.port]
        await call.room.broadcast("seen", call.room.name)
        return {"rooms": [room.is_open for room in rooms.values()], "ports": ports}

    @action("leave")
    async def leave(self, client: Client[Player], server: Server) -> None:
        joined: dict[str, Any] = await client.join("lobby", {"from": self.name})
        if not joined["created"]:
            await self.kick(client, "moved")
        await client.leave(GLOBAL_ROOM)
        await client.close(CloseCode.KICKED, "bye")
        await server.stop(5)


@server.room("lobby")
class Lobby(Room[Player]):
    """A room whose hooks take less than they are offered."""

    hold_seconds = 120
    rejoin = True

    async def on_join(self) -> None:
        await self.broadcast("one more")

    async def on_leave(self, client: Client[Player]) -> None:
        await self.broadcast("one less", client.state.score)

    @hook
    async def on_noise(self, level: int) -> None: ...


@server.room("plain-*")
class Plain(Room):
    """A room of clients whose state is a dict."""

    @action("count")
    async def count(self, client: Client) -> int:
        client.state["count"] = client.state.get("count", 0) + 1
        return len(client.state)


server.static("/", Path(__file__).parent)


def in_a_thread() -> None:
    from_thread.run(server, server.broadcast, "news", {"text": "hello"})
    names: list[str] = from_thread.run_sync(server, lambda: list(server.rooms))
    print(names)


async def serve() -> None:
    async with trio.open_nursery() as nursery:
        running: Server = await nursery.start(server.serve, "localhost", 0)
        try:
            room = await running.open_room("game-1", {"language": "en"})
            await room.close("enough")
        except RoomClosed as error:
            print(error.code, running.port)
        print(running.statistics()["clients"], running.tree(), running.describe().actions)
        await running.stop()


async def test_it(autojump_clock: trio.testing.MockClock) -> None:
    async with open_server(server) as net:
        ana = await net.connect("Ana")
        try:
            await ana.join("game-1")
            await ana.request("guess", {"word": "tree"}, target="game-1")
        except ConnectionEnded as error:
            print(may_come_back(error.code))


def main() -> None:
    try:
        server.run(port=8080)
    except (RegistrationError, SimplySocketError) as error:
        print(error)
